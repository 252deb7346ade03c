"""Deleting children and IKE SAs from either end: the other side follows, and nothing passes in clear afterwards."""

from harness import traffic
from harness.capture import assert_only_esp
from harness.interop import Interop
from harness.netns import wait_until

from cases import STARTERS, assert_explained


@STARTERS
def test_down_and_up_by_the_operator(interop, starter):
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    capture = interop.capture()
    interop.gateway.do("down", tunnel.name)
    interop.peer.wait_down()
    interop.wait_gateway_down(tunnel)
    assert traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1)[1] == 0
    interop.gateway.do("up", tunnel.name)
    interop.wait_up(tunnel)
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 6)


@STARTERS
def test_peer_deletes_the_ike_sa(interop, starter):
    """Who waits for the peer waits; who keeps it up brings it up again."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    mark = interop.peer.mark()
    interop.peer.terminate(ike="a-b")
    if starter == "gateway":
        interop.peer.wait_log("parsed IKE_AUTH request", mark, 60)
        interop.wait_up(tunnel)
        interop.check_traffic()
    else:
        interop.wait_gateway_down(tunnel)
        assert_explained(interop.gateway, tunnel, "delete")
        assert not interop.gateway.show("sas")


@STARTERS
def test_peer_deletes_the_child(interop, starter):
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    ike = interop.peer.ike_sas()[0]["initiator-spi"]
    mark = interop.peer.mark()
    interop.peer.terminate(child="lan")
    if starter == "gateway":
        interop.peer.wait_log("parsed CREATE_CHILD_SA request", mark, 60)
        interop.wait_up(tunnel)
        interop.check_traffic()
        assert interop.peer.ike_sas()[0]["initiator-spi"] == ike
    else:
        wait_until(lambda: not interop.gateway.show("sas"), "the gateway's SAs are gone")


def test_configuration_without_the_tunnel(interop):
    interop.bring_up("gateway", interop.tunnel())
    capture = interop.capture()
    interop.put()
    interop.peer.wait_down()
    assert traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1)[1] == 0
    capture.stop()
    assert_only_esp(capture, 0)


def test_gateway_ends_well(make_interop):
    """SIGTERM: the peer is told (RFC 7296 1.4.1)."""
    interop = make_interop()
    interop.start_peer(raw_esp=True)
    interop.bring_up("gateway", interop.tunnel())
    mark = interop.peer.mark()
    interop.gateway.stop()
    interop.peer.wait_down()
    interop.peer.wait_log("received DELETE for IKE_SA", mark)
