"""Is the peer there: known from its traffic first, asked only when it is silent, and gone when it does not answer."""

from harness import traffic
from harness.capture import assert_only_esp
from harness.interop import Interop

from cases import STARTERS, assert_explained

LIVENESS = {"liveness": "2s"}
INFORMATIONAL = "isakmp.exchangetype == 37"


@STARTERS
def test_peer_is_killed(interop, starter):
    """kill -9: nothing is said. The gateway finds out, says so, and nothing of the sites passes in clear meanwhile."""
    tunnel = interop.tunnel(ike=LIVENESS)
    interop.bring_up(starter, tunnel)
    capture = interop.capture()
    interop.peer.kill()
    interop.wait_gateway_down(tunnel, 120)
    assert traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1)[1] == 0
    capture.stop()
    assert_only_esp(capture, 0)
    assert_explained(interop.gateway, tunnel, "liveness")
    interop.peer.restart()
    if starter == "gateway":  # kept up: it comes back by itself
        interop.wait_up(tunnel, 120)
    else:
        interop.peer.initiate()
        interop.wait_up(tunnel)
    interop.check_traffic()


@STARTERS
def test_link_is_cut_for_a_while(interop, starter, tmp_path):
    """Shorter than the gateway's patience: the same IKE SA goes on."""
    tunnel = interop.tunnel(ike=LIVENESS)
    interop.bring_up(starter, tunnel)
    spi = interop.peer.ike_sas()[0]["initiator-spi"]
    capture = interop.capture()
    interop.cut()
    from harness.netns import wait_until
    wait_until(lambda: capture.count(f"{INFORMATIONAL} and ip.src == {Interop.OUTSIDE['a']}") >= 2, "it is asked again", 20)
    interop.repair()
    interop.wait_up(tunnel)
    interop.check_traffic()
    assert interop.peer.ike_sas()[0]["initiator-spi"] == spi


def test_traffic_is_proof_enough(interop, tmp_path):
    """While packets come from the peer, no exchange is spent on asking (RFC 7296 2.4)."""
    tunnel = interop.tunnel(ike={"liveness": "1s"})
    interop.bring_up("gateway", tunnel)
    stream = interop.stream(tmp_path)
    capture = interop.capture(snaplen=256)
    stream.wait_progress(1000)  # 5 s
    capture.stop()
    assert capture.count(INFORMATIONAL) == 0
    stream.assert_nothing_lost()


def test_silence_is_asked_about(interop):
    from harness.netns import wait_until
    capture = interop.capture()
    interop.bring_up("gateway", interop.tunnel(ike={"liveness": "1s"}))
    wait_until(lambda: capture.count(f"{INFORMATIONAL} and ip.src == {Interop.OUTSIDE['b']}") >= 3, "answered three times", 20)
    capture.stop()


def test_the_peer_asks(interop):
    """strongSwan's check is answered, and a tunnel with nothing to carry stays up."""
    mark = interop.peer.mark()
    tunnel = interop.tunnel(ike={"liveness": "off"})
    interop.bring_up("gateway", tunnel, interop.connection(options={"dpd_delay": "1s"}))
    for number in (0, 1, 2):
        interop.peer.wait_log(rf"parsed INFORMATIONAL response {number}", mark)
    interop.wait_up(tunnel)
