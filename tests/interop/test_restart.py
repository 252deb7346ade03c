"""Either end starts anew: INITIAL_CONTACT replaces what was, and our own restart leaves the traffic alone."""

import os
import signal

import pytest

from cases import STARTERS
from harness.ike_memory import IkeMemory
from harness.netns import wait_until


def peers_sas(interop):
    """What the peer knows IKE SAs and child SAs by."""
    return ({(ike["initiator-spi"], ike["responder-spi"]) for ike in interop.peer.ike_sas()},
            {(child["spi-in"], child["spi-out"]) for child in interop.peer.children()})


def test_peer_starts_anew_and_calls(interop):
    """RFC 7296 2.4: its first IKE_AUTH says INITIAL_CONTACT; the old SAs go at once and no second tunnel stays."""
    tunnel = interop.tunnel(ike={"liveness": "off"})
    interop.bring_up("peer", tunnel)
    interop.peer.kill()
    assert interop.gateway.tunnels()[tunnel.name]["state"] == "up"
    interop.peer.restart()
    interop.peer.initiate()
    interop.wait_up(tunnel)
    wait_until(lambda: len(interop.gateway.show("sas")) == 2, "the old pair is gone", 15)
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
    """Its death stops no packet, and the peer hears nothing of it: the IKE SA goes on; either end can rekey either SA."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    stream = interop.stream(tmp_path)
    before = peers_sas(interop)
    pid = interop.gateway.kill("trunkgated")
    interop.gateway.wait_restarted("trunkgated", pid)
    stream.wait_progress(200)
    interop.wait_up(tunnel, 60)
    assert peers_sas(interop) == before
    for what in ("child", "ike"):
        for who in ("peer", "gateway"):
            interop.rekey(tunnel, who, what)
    stream.assert_nothing_lost()


@STARTERS
def test_trunkgated_is_killed_as_it_rekeys(interop, starter, tmp_path):
    """Asked and dead: the same request goes out again. What the peer made of it can't be finished, so all is made anew; as
    in reauthentication the peer sends by its new SA a few milliseconds too early, and takes the old one away."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    stream = interop.stream(tmp_path)
    for _ in range(3):
        interop.gateway.do("rekey", tunnel.name, "--child", tunnel.children[0].name)
        pid = interop.gateway.kill("trunkgated")
        interop.gateway.wait_restarted("trunkgated", pid)
        interop.wait_up(tunnel, 60)
    interop.rekey(tunnel, "gateway", "child")
    stream.assert_nothing_lost(but=(15, 15))


def test_trunkgated_alone_is_ended(interop, tmp_path):
    """SIGTERM, as at an upgrade: the same as a crash, the peer hears nothing."""
    tunnel = interop.tunnel()
    interop.bring_up("gateway", tunnel)
    stream = interop.stream(tmp_path)
    before = peers_sas(interop)
    pid = interop.gateway.daemon("trunkgated")
    os.kill(pid, signal.SIGTERM)
    interop.gateway.wait_restarted("trunkgated", pid)
    stream.wait_progress(200)
    interop.wait_up(tunnel, 60)
    assert peers_sas(interop) == before
    stream.assert_nothing_lost()


@STARTERS
def test_memory_of_another_boot(interop, starter, tmp_path):
    """Nothing of it is used. The child SAs carry until there are new ones: the peer is not told INITIAL_CONTACT; as in
    reauthentication it sends by its new SA a few milliseconds too early."""
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    stream = interop.stream(tmp_path)
    ikes, children = peers_sas(interop)
    IkeMemory(interop.gateway).make_of_another_boot()
    pid = interop.gateway.kill("trunkgated")
    interop.gateway.wait_restarted("trunkgated", pid)
    wait_until(lambda: peers_sas(interop)[0] - ikes, "a new IKE SA", 60)
    wait_until(lambda: peers_sas(interop)[1] - children, "a new pair of child SAs", 60)
    if starter == "gateway":  # once: it takes a minute and a half
        wait_until(lambda: len(interop.gateway.show("sas")) == 2, "the old pair is gone", 130)
    stream.wait_progress(200)
    stream.assert_nothing_lost(but=(0, 5))


def test_keys_stay_in_the_memory(interop):
    """The IKE SA's keys are in no log, no environment, no core file, and in no other program's descriptors."""
    tunnel = interop.tunnel()
    interop.bring_up("gateway", tunnel)
    gateway = interop.gateway
    memory = IkeMemory(gateway)
    keys = memory.keys()
    assert len(keys) >= 5 and all(len(key) >= 16 for key in keys)
    pid = gateway.kill("trunkgated")
    gateway.wait_restarted("trunkgated", pid)
    interop.wait_up(tunnel, 60)
    assert set(memory.keys()) == set(keys)
    daemons = {name: gateway.daemon(name) for name in ("trunkgated", "trunkgate-dataplane", "trunkgate-keystore")}
    texts = [open(gateway.log, "rb").read()]
    texts += [open(f"/proc/{one}/{what}", "rb").read() for one in (gateway.process.pid, *daemons.values())
              for what in ("environ", "cmdline")]
    for key in keys:
        for text in texts:
            assert key not in text and key.hex().encode() not in text.lower()
    holders = {name for name, one in daemons.items() if IkeMemory.descriptor_of(one) is not None}
    assert holders == {"trunkgated"}
    assert memory.is_left_out_of_cores(daemons["trunkgated"])


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
    wait_until(lambda: len(interop.gateway.show("sas")) == 2, "what was left over is gone", 130)
    stream.assert_nothing_lost()


def test_gateway_is_stopped(make_interop):
    """The whole gateway ends in order: the peer is told, and sends into nothing no more."""
    interop = make_interop()
    interop.start_peer(raw_esp=True)
    tunnel = interop.tunnel()
    interop.bring_up("gateway", tunnel)
    memory = IkeMemory(interop.gateway)
    assert memory.keys()
    assert interop.gateway.stop() == 0
    wait_until(lambda: not interop.peer.ike_sas(), "the peer's IKE SA is gone", 5)


def test_gateway_starts_anew(make_interop):
    """The whole gateway is killed: its first IKE_AUTH says INITIAL_CONTACT to the peer, who forgets the old SAs."""
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
