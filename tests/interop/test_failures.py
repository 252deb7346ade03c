"""What cannot work ends in the right notify, and `trunkgate explain` says why. charon's log shows what was on the wire, where
that is encrypted: "N(AUTH_FAILED)" and so on, parsed or generated."""

import dataclasses
import typing

import pytest

from harness import pki, traffic
from harness.capture import assert_only_esp
from harness.ike_tunnel import A_ID, B_ID, IkeChild
from harness.interop import Interop
from harness.netns import wait_until
from harness.strongswan import Child, NegotiationFailed, Psk

from cases import STARTERS, assert_explained, assert_refusal, be_refused, certified, says


@dataclasses.dataclass
class Case:
    """A pair of configurations that do not go together."""
    name: str
    make: typing.Callable    # of the surroundings: (tunnel, connection, how the peer is loaded)
    notify: str              # as the RFC writes it, and the explanation
    short: str               # as charon writes it
    exchange: str            # whose response carries it
    words: tuple             # more that the explanation names: {starter: (...)} or (...)

    def words_for(self, starter):
        return self.words[starter] if isinstance(self.words, dict) else self.words


def wrong_psk(interop):
    return interop.tunnel(), interop.connection(), {"secrets": [Psk(b"another secret")]}


def wrong_id_of_the_peer(interop):
    return interop.tunnel(remote_id="somebody-else.example"), interop.connection(), {}


def wrong_id_of_the_gateway(interop):
    return interop.tunnel(local_id="nobody-knows.example"), interop.connection(), {}


def credentials(name_of_bad, **bad):
    """The gateway's or the peer's certificate is a bad one: expired, or revoked."""
    def make(interop):
        authority = pki.Authority("CA")
        a, b = (authority.issue(id_, **({k: v for k, v in bad.items() if k == "days"} if who == name_of_bad else {}))
                for who, id_ in (("gateway", A_ID), ("peer", B_ID)))
        ours, theirs = certified(authority, a=a, b=b)
        crls = [authority.crl([{"gateway": a, "peer": b}[name_of_bad]] if bad.get("revoked") else [])]
        theirs["remote"].options["revocation"] = "strict"
        return (interop.tunnel(crls=crls, revocation="strict", **ours), interop.connection(**theirs), {"crls": crls})
    return make


def unknown_authority(interop):
    ours, _ = certified(pki.Authority("one CA"))
    _, theirs = certified(pki.Authority("another CA"))
    return interop.tunnel(**ours), interop.connection(**theirs), {}


def no_common_ike_proposal(interop):
    return (interop.tunnel(proposals=["aes256gcm16-prfsha384-x25519"]),
            interop.connection(proposals="aes128-sha256-modp2048"), {})


def no_common_esp_proposal(interop):
    return (interop.tunnel(children=[IkeChild(esp=["aes256gcm16"])]),
            interop.connection(children=[Child(esp_proposals="aes128-sha256")]), {})


def ts_unacceptable(interop):
    return interop.tunnel(), interop.connection(children=[Child("lan", "10.7.0.0/16", "10.8.0.0/16")]), {}


CASES = [
    Case("wrong PSK", wrong_psk, "AUTHENTICATION_FAILED", "AUTH_FAILED", "IKE_AUTH", ("psk",)),
    Case("wrong id of the peer", wrong_id_of_the_peer, "AUTHENTICATION_FAILED", "AUTH_FAILED", "IKE_AUTH",
         ("somebody-else.example",)),
    Case("wrong id of the gateway", wrong_id_of_the_gateway, "AUTHENTICATION_FAILED", "AUTH_FAILED", "IKE_AUTH",
         ("nobody-knows.example",)),
    Case("gateway's certificate expired", credentials("gateway", days=(-10, -1)), "AUTHENTICATION_FAILED", "AUTH_FAILED",
         "IKE_AUTH", ()),
    Case("peer's certificate expired", credentials("peer", days=(-10, -1)), "AUTHENTICATION_FAILED", "AUTH_FAILED",
         "IKE_AUTH", ("expired",)),
    Case("gateway's certificate revoked", credentials("gateway", revoked=True), "AUTHENTICATION_FAILED", "AUTH_FAILED",
         "IKE_AUTH", ()),
    Case("peer's certificate revoked", credentials("peer", revoked=True), "AUTHENTICATION_FAILED", "AUTH_FAILED",
         "IKE_AUTH", ("revoked",)),
    Case("unknown authority", unknown_authority, "AUTHENTICATION_FAILED", "AUTH_FAILED", "IKE_AUTH",
         {"gateway": ("certificate",), "peer": ("another CA",)}),
    Case("no common IKE proposal", no_common_ike_proposal, "NO_PROPOSAL_CHOSEN", "NO_PROP", "IKE_SA_INIT",
         {"gateway": ("aes256gcm16", "x25519"), "peer": ("aes256gcm16", "aes128cbc", "modp2048")}),
    Case("no common ESP proposal", no_common_esp_proposal, "NO_PROPOSAL_CHOSEN", "NO_PROP", "IKE_AUTH",
         {"gateway": ("aes256gcm16",), "peer": ("aes256gcm16", "aes128cbc")}),
    Case("TS unacceptable", ts_unacceptable, "TS_UNACCEPTABLE", "TS_UNACCEPT", "IKE_AUTH",
         {"gateway": ("10.1.0.0", "10.2.0.0"), "peer": ("10.1.0.0", "10.7.0.0", "10.8.0.0")}),
]


def on_the_wire(case):
    """In charon's log, whoever said it. An initiator that does not believe the responder tells it in an exchange of its own
    (RFC 7296 2.21.2)."""
    return rf"(?:parsed|generating) (?:{case.exchange} response \d+|INFORMATIONAL request \d+) \[.*N\({case.short}\)"


@STARTERS
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_failure(interop, starter, case):
    interop.forget()
    tunnel, connection, how = case.make(interop)
    interop.load_peer(connection, **how)
    tunnel.start = {"gateway": "always", "peer": "answer"}[starter]
    mark = interop.peer.mark()
    capture = interop.capture()
    interop.put(tunnel)
    if starter == "peer":
        with pytest.raises(NegotiationFailed):
            interop.peer.initiate()
    interop.peer.wait_log(on_the_wire(case), mark)
    if case.exchange == "IKE_SA_INIT":
        wait_until(lambda: capture.count("isakmp.notify.msgtype == 14") >= 1, case.notify)
    wait_until(lambda: says(interop.gateway.explain(tunnel.name), case.notify),
               lambda: f"{case.notify} in {interop.gateway.explain(tunnel.name)}")
    assert_explained(interop.gateway, tunnel, case.notify, *case.words_for(starter))
    assert interop.gateway.tunnels()[tunnel.name]["state"] != "up"
    assert not interop.gateway.show("sas") and not interop.peer.children()
    assert traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1)[1] == 0
    capture.stop()
    assert_only_esp(capture, 0)


# ---- what is wrong with a certificate, whose, and which line of the configuration it is about ----

@STARTERS
@pytest.mark.parametrize("expired", ["peer", "intermediate"])
def test_expired_certificate_is_told(interop, starter, expired):
    root = pki.Authority("root CA")
    middle = pki.Authority("middle CA", issuer=root, days=-0.5 if expired == "intermediate" else 3650)
    peer = middle.issue(B_ID, days=(-10, -1) if expired == "peer" else (-10, 30))
    ours, theirs = certified(middle, a=root.issue(A_ID), b=peer)
    tunnel = interop.tunnel(**ours)
    be_refused(interop, starter, tunnel, interop.connection(options={"send_cert": "always"}, **theirs))
    record = assert_refusal(interop.gateway, tunnel, "remote.ca", peer.certificate, middle.certificate, root.certificate)
    bad, what = {"peer": (peer, "the peer's certificate"), "intermediate": (middle, "the CA certificate")}[expired]
    assert record["failure"]["text"] == (f"{what} {pki.subject_text(bad.certificate)} expired on "
                                         f"{bad.certificate.not_valid_after_utc:%Y-%m-%d}")


@STARTERS
def test_authority_that_nobody_knows_is_told(interop, starter):
    """The path goes as far as what the peer has sent."""
    stranger = pki.Authority("their middle CA", issuer=pki.Authority("their CA"))
    ours, _ = certified(authority := pki.Authority("our CA"))
    _, theirs = certified(stranger)
    theirs["remote"] = dataclasses.replace(theirs["remote"], authorities=[authority])
    tunnel = interop.tunnel(**ours)
    be_refused(interop, starter, tunnel, interop.connection(options={"send_cert": "always"}, **theirs))
    record = assert_refusal(interop.gateway, tunnel, "remote.ca", theirs["local"].credential.certificate, stranger.certificate)
    assert record["failure"]["text"].endswith("its issuer is O=Trunkgate tests, CN=their CA")


def with_another_name(interop, says):
    """A peer whose authority is ours, but whose certificate does not prove the name that is expected; `says` its own."""
    authority = pki.Authority("CA")
    peer = authority.issue("other.example", common_name="gateway b")
    ours, theirs = certified(authority, b=peer)
    theirs["local"].id = says
    return authority, peer, interop.tunnel(**ours), interop.connection(**theirs)


def test_name_that_the_certificate_does_not_prove_is_told(interop):
    """strongSwan without a name of its own takes the one that it is asked for."""
    authority, peer, tunnel, connection = with_another_name(interop, "%any")
    be_refused(interop, "gateway", tunnel, connection)
    record = assert_refusal(interop.gateway, tunnel, "remote.id", peer.certificate, authority.certificate)
    assert record["failure"]["text"] == (f"the peer says it is {B_ID}, its certificate proves other.example and "
                                         "O=Trunkgate tests, CN=gateway b")


def test_name_that_no_tunnel_is_for_is_told(interop):
    """The peer begins: its name says which tunnel it is for, before its certificate is looked at. None is."""
    _, _, tunnel, connection = with_another_name(interop, "other.example")
    be_refused(interop, "peer", tunnel, connection)
    record = assert_refusal(interop.gateway, tunnel, "remote.id", trouble="unknown_peer")
    assert record["failure"]["text"].startswith("the peer says it is other.example and looks for ")
    assert B_ID in record["failure"]["text"]


@STARTERS
def test_pfs_that_the_peer_refuses_is_found_soon(interop, starter, tmp_path):
    """IKE_AUTH carries no key exchange of the child: the difference shows at the first rekey, so the gateway tries one
    within 60 s. The child that is there stays up."""
    tunnel = interop.tunnel(children=[IkeChild(esp=["aes256gcm16-x25519"])])
    interop.bring_up(starter, tunnel, interop.connection(children=[Child(esp_proposals="aes256gcm16-ecp384")]))
    stream = interop.stream(tmp_path)
    wait_until(lambda: says(interop.gateway.explain(tunnel.name), "x25519") and
               says(interop.gateway.explain(tunnel.name), "NO_PROPOSAL_CHOSEN"), "it is found and explained", 60)
    stream.wait_progress(50)
    stream.assert_nothing_lost()


def test_a_failing_tunnel_disturbs_no_other(interop, tmp_path):
    interop.bring_up("gateway", good := interop.tunnel())
    bad = interop.tunnel(local_id="nobody-knows.example", children=[IkeChild("other", ["10.1.0.0/16"], ["10.3.0.0/16"])])
    stream = interop.stream(tmp_path)
    interop.put(good, bad)
    wait_until(lambda: says(interop.gateway.explain(bad.name), "AUTHENTICATION_FAILED"), "the bad one fails")
    stream.wait_progress(100)
    stream.assert_nothing_lost()
    assert interop.gateway.tunnels()[good.name]["state"] == "up"


def test_mended_configuration_comes_up_at_once(interop):
    """A tunnel that failed is tried again when its configuration changes, without waiting out the backoff."""
    interop.forget()
    interop.load_peer()
    tunnel = interop.put(interop.tunnel(psk=b"a wrong one"))
    wait_until(lambda: says(interop.gateway.explain(tunnel.name), "AUTHENTICATION_FAILED"), "it fails")
    mended = interop.put(interop.tunnel())
    interop.wait_up(mended, 5)
    interop.check_traffic()
