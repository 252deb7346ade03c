"""What several of the tests share: who starts, both sides' certificates, and what an explanation says."""

import os

import pytest

from harness import pki
from harness.ike_tunnel import A_ID, B_ID
from harness.netns import wait_until
from harness.strongswan import NegotiationFailed, Party

STARTERS = pytest.mark.parametrize("starter", ["gateway", "peer"])


def certified(authority, key="ecdsa256", a=None, b=None):
    """(of the gateway's tunnel, of the peer's connection): the settings for certificates of this authority, whose root each
    side trusts. `a`, `b`: other credentials than new ones."""
    root = authority
    while root.issuer:
        root = root.issuer
    a = a or authority.issue(A_ID, key)
    b = b or authority.issue(B_ID, key)
    return ({"credential": a, "authorities": [root]},
            {"local": Party("pubkey", B_ID, b), "remote": Party("pubkey", A_ID, authorities=[root])})


def texts(record):
    """Every text and number in a JSON value."""
    if isinstance(record, dict):
        for key, value in record.items():
            yield key
            yield from texts(value)
    elif isinstance(record, list):
        for value in record:
            yield from texts(value)
    elif record is not None:
        yield str(record)


def says(record, word):
    return any(word.lower() in text.lower() for text in texts(record))


def assert_explained(gateway, tunnel, *words):
    """`trunkgate explain` names each of these, in JSON; and what it tells an operator is not empty."""
    record = gateway.explain(tunnel.name)
    missing = [word for word in words if not says(record, word)]
    assert not missing, f"nothing of {missing} in the explanation: {record}"
    told = gateway.do("explain", tunnel.name, check=False).stdout
    assert tunnel.name in told
    return record


def be_refused(interop, starter, tunnel, connection):
    """The gateway does not believe the peer: in IKE_AUTH, or in an exchange of its own if it was the one that asked (RFC 7296
    2.21.2). Nothing is up then."""
    interop.forget()
    interop.load_peer(connection)
    tunnel.start = {"gateway": "always", "peer": "answer"}[starter]
    mark = interop.peer.mark()
    interop.put(tunnel)
    if starter == "peer":
        with pytest.raises(NegotiationFailed):
            interop.peer.initiate()
    said = {"gateway": "INFORMATIONAL request", "peer": "IKE_AUTH response"}[starter]
    interop.peer.wait_log(rf"parsed {said} \d+ \[.*N\(AUTH_FAILED\)", mark)
    assert interop.gateway.tunnels()[tunnel.name]["state"] != "up" and not interop.peer.children()


def assert_refusal(gateway, tunnel, governs, *certificates, trouble="peer_not_authentic"):
    """`trunkgate explain` says of the last attempt which certificates were not believed, and which word of the configuration
    that is about, in JSON and in its text; the record of it. `certificates`: of the path, from the peer's own up, as far as
    it goes; none: nobody looked at them."""
    record = wait_until(lambda: gateway.explain(tunnel.name)["last_failure"], "the refusal is explained")
    failure, path = record["failure"], f"tunnels.{tunnel.name}.{governs}"
    subjects = [pki.subject_text(one) for one in certificates]
    assert (failure["trouble"], failure["notify"], failure["path"]) == (trouble, "AUTHENTICATION_FAILED", path)
    assert record["certificate_path"] == subjects and record["peer_subject"] == (subjects or [""])[0]
    ends = [one.not_valid_after_utc.timestamp() * 10**9 for one in certificates]
    assert record["certificate_not_after_unix_ns"] == min(ends, default=None)
    with open(failure["file"]) as f:
        line = f.read().splitlines()[failure["line"] - 1]
    assert line.strip().startswith(governs.rpartition(".")[2] + ":"), line
    told = gateway.do("explain", tunnel.name, check=False).stdout
    place = f"{os.path.basename(failure['file'])}:{failure['line']}  {path}"
    for part in (failure["text"], *(["the peer's certificate: " + " < ".join(subjects)] if subjects else []), place):
        assert part in told, f"{part!r} is not in\n{told}"
    return record
