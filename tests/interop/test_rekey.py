"""Rekeying under 200 packets per second in each direction: from each end and from both at once, nothing is lost."""

import pytest

from harness.capture import assert_only_esp
from harness.ike_tunnel import IkeChild
from harness.netns import wait_until
from harness.strongswan import Child

from cases import STARTERS


def rekey(interop, tunnel, who, what):
    """Asked of the gateway, of the peer, or of both before either can have finished."""
    if who in ("gateway", "both"):
        interop.gateway.do("rekey", tunnel.name, *(["--child", "lan"] if what == "child" else ["--ike"]))
    if who in ("peer", "both"):
        interop.peer.rekey(**({"child": "lan"} if what == "child" else {"ike": "a-b"}))


def keys(interop, what):
    if what == "child":
        return {child["spi-in"] for child in interop.peer.children("lan")}
    return {ike["initiator-spi"] for ike in interop.peer.ike_sas()}


@STARTERS
@pytest.mark.parametrize("who", ["gateway", "peer", "both"])
@pytest.mark.parametrize("what", ["child", "ike"])
def test_nothing_is_lost(interop, starter, who, what, tmp_path):
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    capture = interop.capture(snaplen=256)
    stream = interop.stream(tmp_path)
    for _ in range(3):
        before = keys(interop, what)
        rekey(interop, tunnel, who, what)
        wait_until(lambda: (now := keys(interop, what)) and not now & before, f"another {what} SA is in use")
        interop.wait_up(tunnel)
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
    before = keys(interop, "child")
    for _ in range(2):
        wait_until(lambda: (now := keys(interop, "child")) and not now & before, "another SA is in use")
        before = keys(interop, "child")
        interop.wait_up(tunnel)
    stream.wait_progress(50)
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
    stream.wait_progress(50)
    stream.assert_nothing_lost(200)
    interop.wait_up(tunnel)


@STARTERS
def test_without_a_key_exchange_of_the_child(interop, starter, tmp_path):
    """No PFS: CREATE_CHILD_SA without KE."""
    tunnel = interop.tunnel(children=[IkeChild(esp=["aes128gcm16"])])
    interop.bring_up(starter, tunnel, interop.connection(children=[Child(esp_proposals="aes128gcm16")]))
    stream = interop.stream(tmp_path)
    for who in ("gateway", "peer"):
        before = keys(interop, "child")
        rekey(interop, tunnel, who, "child")
        wait_until(lambda: (now := keys(interop, "child")) and not now & before, "another SA is in use")
        interop.wait_up(tunnel)
    stream.assert_nothing_lost()
