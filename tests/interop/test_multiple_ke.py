"""Several key exchanges (RFC 9242, RFC 9370): x25519 and then ECP-384, for lack of ML-KEM in the peer."""

from harness.ike_tunnel import IkeChild
from harness.strongswan import Child

from cases import STARTERS

IKE, ESP = "aes256gcm16-prfsha384-x25519-ke1_ecp384", "aes256gcm16-x25519-ke1_ecp384"
IKE_INTERMEDIATE, IKE_FOLLOWUP_KE = "43", "44"


def exchanges(capture):
    return [row[0] for row in capture.fields(["isakmp.exchangetype"], "isakmp")]


@STARTERS
def test_set_up_and_rekeys(interop, starter):
    tunnel = interop.tunnel(proposals=[IKE], children=[IkeChild(esp=[ESP])])
    interop.forget()
    capture = interop.capture()
    interop.bring_up(starter, tunnel, interop.connection(proposals=IKE, children=[Child(esp_proposals=ESP)]))
    capture.stop()
    assert exchanges(capture)[:6] == ["34", "34", IKE_INTERMEDIATE, IKE_INTERMEDIATE, "35", "35"]
    interop.check_traffic()
    for what in ("child", "ike"):
        capture = interop.capture()
        interop.rekey(tunnel, "gateway", what)
        interop.rekey(tunnel, "peer", what)
        capture.stop()
        assert exchanges(capture).count(IKE_FOLLOWUP_KE) == 4
        interop.check_traffic()


@STARTERS
def test_post_quantum_first_and_classic_where_the_peer_has_no_other(interop, starter):
    """What the gateway offers first is ML-KEM, which this peer does not know: the next proposal is taken."""
    tunnel = interop.tunnel(proposals=["aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"])
    interop.bring_up(starter, tunnel)
    interop.check_traffic()


@STARTERS
def test_second_exchange_is_optional(interop, starter):
    """ke1_none beside ke1_ecp384 at the peer (RFC 9370 2.2.1)."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel,
                     interop.connection(proposals="aes256gcm16-prfsha384-x25519-ke1_ecp384-ke1_none"))
    interop.check_traffic()
