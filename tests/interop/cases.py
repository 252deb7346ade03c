"""What several of the tests share: who starts, both sides' certificates, and what an explanation says."""

import os

import pytest

from harness.ike_tunnel import A_ID, B_ID
from harness.strongswan import Party

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


def assert_refusal(gateway, tunnel, governs, subjects):
    """`trunkgate explain` says of the last attempt whose certificates were not believed, and which word of the configuration
    that is about, in JSON and in its text; the record of it. `subjects`: of the path, from the peer's own up."""
    record = gateway.explain(tunnel.name)["last_failure"]
    failure = record["failure"]
    path = f"tunnels.{tunnel.name}.{governs}"
    assert (failure["trouble"], failure["notify"], failure["path"]) == ("peer_not_authentic", "AUTHENTICATION_FAILED", path)
    assert record["certificate_path"] == subjects and record["peer_subject"] == subjects[0]
    with open(failure["file"]) as f:
        line = f.read().splitlines()[failure["line"] - 1]
    assert line.strip().startswith(governs.rpartition(".")[2] + ":"), line
    told = gateway.do("explain", tunnel.name, check=False).stdout
    place = f"{os.path.basename(failure['file'])}:{failure['line']}  {path}"
    for part in (failure["text"], "the peer's certificate: " + " < ".join(subjects), place):
        assert part in told, f"{part!r} is not in\n{told}"
    return record
