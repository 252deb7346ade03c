"""Every cipher suite that both sides know, for ESP and for IKE, negotiated from either end and carrying traffic."""

import pytest

from harness.config import SUITES
from harness.ike_tunnel import IkeChild, strongswan_words
from harness.strongswan import Child

from cases import STARTERS

# strongSwan's ESP in user space has no GMAC.
ESP_SUITES = [name for name, suite in SUITES.items() if suite.cipher != "gmac"]
GROUPS = ["modp2048", "modp3072", "modp4096", "modp6144", "modp8192", "ecp256", "ecp384", "ecp521", "x25519", "x448"]
IKE_PROPOSALS = [
    *(f"{cipher}-{prf}-x25519" for cipher in ("aes128gcm16", "aes256gcm16", "chacha20poly1305")
      for prf in ("prfsha256", "prfsha384", "prfsha512")),
    *(f"aes{bits}cbc-{auth}-x25519" for bits in (128, 256) for auth in ("sha256", "sha384", "sha512")),
    "aes256cbc-sha256-prfsha512-ecp256", *(f"aes256gcm16-prfsha384-{group}" for group in GROUPS),
    "3descbc-sha1-modp1024"]  # legacy


@STARTERS
@pytest.mark.parametrize("suite", ESP_SUITES)
def test_esp(interop, starter, suite):
    tunnel = interop.tunnel(children=[IkeChild(esp=[suite + "-noesn"])])
    child = interop.bring_up(starter, tunnel,
                             interop.connection(children=[Child(esp_proposals=strongswan_words(suite))]))
    wanted = {"gcm": "AES_GCM_16", "chacha20": "CHACHA20_POLY1305", "cbc": "AES_CBC", "ctr": "AES_CTR", "null": "NULL",
              "3des": "3DES_CBC"}[SUITES[suite].cipher]
    assert child["encr-alg"] == wanted
    interop.check_traffic()


@STARTERS
@pytest.mark.parametrize("proposal", IKE_PROPOSALS)
def test_ike(interop, starter, proposal):
    tunnel = interop.tunnel(proposals=[proposal])
    interop.bring_up(starter, tunnel, interop.connection(proposals=strongswan_words(proposal)))
    interop.check_traffic()
    interop.rekey(tunnel, "peer", "ike")  # the same proposal, inside the IKE SA


@STARTERS
def test_the_starters_order_does_not_bind_the_other(interop, starter):
    """Several proposals: one that both have is found, wherever it stands in the lists."""
    tunnel = interop.tunnel(proposals=["aes256gcm16-prfsha512-x448", "aes128cbc-sha256-modp2048"])
    interop.bring_up(starter, tunnel,
                     interop.connection(proposals="chacha20poly1305-prfsha256-ecp384,aes128-sha256-modp2048"))
    assert interop.peer.ike_sas()[0]["dh-group"] == "MODP_2048"
    interop.check_traffic()


@STARTERS
def test_another_group_is_asked_for(interop, starter):
    """INVALID_KE_PAYLOAD: the first guess is wrong, the second is what the other said (RFC 7296 1.2)."""
    interop.forget()
    capture = interop.capture()
    ours, theirs = ["aes256gcm16-prfsha384-x25519", "aes256gcm16-prfsha384-ecp384"], "aes256gcm16-prfsha384-ecp384"
    if starter == "peer":
        ours, theirs = [ours[1]], "aes256gcm16-prfsha384-x25519-ecp384"
    interop.bring_up(starter, interop.tunnel(proposals=ours), interop.connection(proposals=theirs))
    capture.stop()
    assert capture.count("isakmp.notify.msgtype == 17") == 1
    assert interop.peer.ike_sas()[0]["dh-group"] == "ECP_384"
    interop.check_traffic()
