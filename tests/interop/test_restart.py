"""Either end starts anew: INITIAL_CONTACT replaces what was, and our own restart leaves the traffic alone."""

import pytest

from cases import STARTERS


def test_peer_starts_anew_and_calls(interop):
    """RFC 7296 2.4: its first IKE_AUTH says INITIAL_CONTACT; the old SAs go at once and no second tunnel stays."""
    tunnel = interop.tunnel(ike={"liveness": "off"})
    interop.bring_up("peer", tunnel)
    interop.peer.kill()
    assert interop.gateway.tunnels()[tunnel.name]["state"] == "up"
    interop.peer.restart()
    interop.peer.initiate()
    interop.wait_up(tunnel)
    assert len(interop.gateway.show("sas")) == 2
    interop.check_traffic()


def test_peer_starts_anew_and_waits(interop):
    """The gateway keeps the tunnel up: it finds the peer without its SAs and makes new ones."""
    tunnel = interop.tunnel(ike={"liveness": "2s"})
    interop.bring_up("gateway", tunnel)
    interop.peer.kill()
    interop.peer.restart()
    interop.wait_up(tunnel, 120)
    interop.check_traffic()


@STARTERS
def test_trunkgated_is_killed(interop, starter, tmp_path):
    """Its death stops no packet; it comes back with the IKE SA, or makes a new one without a gap; either end can rekey."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    stream = interop.stream(tmp_path)
    pid = interop.gateway.kill("trunkgated")
    interop.gateway.wait_restarted("trunkgated", pid)
    stream.wait_progress(200)
    interop.wait_up(tunnel, 60)
    for who in ("peer", "gateway"):
        interop.rekey(tunnel, who, "child")
    stream.assert_nothing_lost()


@pytest.mark.parametrize("times", [3])
def test_trunkgated_is_killed_again_and_again(interop, times, tmp_path):
    """No SA is left over and none is doubled."""
    tunnel = interop.tunnel()
    interop.bring_up("gateway", tunnel)
    stream = interop.stream(tmp_path)
    for _ in range(times):
        pid = interop.gateway.kill("trunkgated")
        interop.gateway.wait_restarted("trunkgated", pid)
        interop.wait_up(tunnel, 60)
    assert len(interop.gateway.show("sas")) == 2
    stream.assert_nothing_lost()


def test_gateway_starts_anew(make_interop):
    """The whole gateway is killed: its first IKE_AUTH says INITIAL_CONTACT to the peer, who forgets the old SAs."""
    import signal
    interop = make_interop()
    interop.start_peer(raw_esp=True)
    tunnel = interop.tunnel()
    interop.bring_up("gateway", tunnel)
    interop.gateway.stop(signal.SIGKILL)
    assert len(interop.peer.ike_sas()) == 1
    mark = interop.peer.mark()
    interop.gateway.start()
    interop.peer.wait_log(r"parsed IKE_AUTH request 1 \[.*N\(INIT_CONTACT\)", mark, 60)
    interop.wait_up(tunnel)
    interop.check_traffic()
