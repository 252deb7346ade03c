"""Rekeying under 200 packets per second in each direction: from each end and from both at once, nothing is lost."""

import pytest

from harness.capture import assert_only_esp
from harness.ike_tunnel import IkeChild
from harness.strongswan import Child

from cases import STARTERS


@STARTERS
@pytest.mark.parametrize("who", ["gateway", "peer", "both"])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_nothing_is_lost(interop, starter, who, what, tmp_path):
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    capture = interop.capture(snaplen=256)
    stream = interop.stream(tmp_path)
    for _ in range(3):
        interop.rekey(tunnel, who, what)
        stream.wait_progress(50)
    stream.assert_nothing_lost(150)
    capture.stop()
    assert_only_esp(capture, 300)


@STARTERS
def test_by_lifetime_of_the_gateway(interop, starter, tmp_path):
    """Soft lifetimes in packets: reached by the traffic itself."""
    lifetime = {"soft": {"packets": 200}, "hard": {"packets": 20000}}
    tunnel = interop.tunnel(children=[IkeChild(options={"lifetime": lifetime})])
    interop.bring_up(starter, tunnel)
    stream = interop.stream(tmp_path)
    for _ in range(2):
        interop.wait_another("child", interop.keys("child"))
        interop.wait_up(tunnel)
    stream.assert_nothing_lost(200)


@STARTERS
def test_by_lifetime_of_the_peer(interop, starter, tmp_path):
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel, interop.connection(
        options={"rekey_time": "3s", "over_time": "60s", "rand_time": 0},
        children=[Child(options={"rekey_time": "2s", "life_time": "60s", "rand_time": 0})]))
    stream = interop.stream(tmp_path)
    for event in ("child-rekey", "child-rekey", "ike-rekey"):
        interop.peer.wait_event(event)
    stream.assert_nothing_lost(200)
    interop.wait_up(tunnel)


@STARTERS
def test_without_a_key_exchange_of_the_child(interop, starter, tmp_path):
    """No PFS: CREATE_CHILD_SA without KE."""
    tunnel = interop.tunnel(children=[IkeChild(esp=["aes128gcm16"])])
    interop.bring_up(starter, tunnel, interop.connection(children=[Child(esp_proposals="aes128gcm16")]))
    stream = interop.stream(tmp_path)
    for who in ("gateway", "peer"):
        interop.rekey(tunnel, who, "child")
    stream.assert_nothing_lost()
