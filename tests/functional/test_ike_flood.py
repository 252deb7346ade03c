"""A flood of IKE_SA_INIT from sources that are not there, through port, TAP and socket: ESP, the IKE SAs that are up, a new
peer, and everything else that is for the box do not notice."""

import json
import os
import struct
import time

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness import ike_octets, traffic
from harness.gateway import BIN
from harness.ike_attack import Attacked
from harness.ike_octets import INFORMATIONAL, INITIATOR, Init
from harness.ike_tunnel import B_NET, IkeChild, IkeTunnel
from harness.netns import run, wait_until

pytestmark = pytest.mark.heavy

WANTED = 50_000            # messages a second, if the generator and the devices reach it
LOAD = 20_000_000          # bit/s through the tunnel, each way
SIZE = 1000                # octets of a datagram
MOST_LOST = 0.001
MEMORY = 48 << 20
NEW_NET = "10.9.0.0/16"


class Flood:
    """Runs until it is stopped; what it reached is printed."""

    def __init__(self, lab, side, ike, rate=WANTED):
        wan = lab.sides[side]
        frame = (Ether(src=wan.station.mac, dst=wan.mac) / IP(src="11.0.0.1", dst=wan.address) /
                 UDP(sport=500, dport=500, chksum=0) / Raw(ike))
        self.process = lab.sites.lab.start([os.path.join(BIN, "ike_flood"), "to-" + side, bytes(frame).hex(), rate, 600],
                                           os.path.join(lab.sites.directory, "flood.log"), "wan")
        self.gateway = lab.gateways[side]
        before = self.refused()
        wait_until(lambda: self.refused() > before + 1000, "more comes than the box takes")

    def refused(self):
        return self.gateway.drops().get("punt_rate_limited", 0)

    def stop(self):
        self.process.popen.terminate()
        self.process.wait(10)
        said = json.loads(self.process.text().splitlines()[-1])
        print(f"the flood: {said['rate']} messages a second for {said['seconds']} s")
        return said


@pytest.fixture(scope="module")
def lab(make_sites):
    attacked = Attacked(make_sites(), liveness="1s")
    # Gateway B waits for one more peer: strangers get as far into it as they can.
    attacked.more["b"] = [IkeTunnel("any", "new", "answer", "gw-b.example", "new.example",
                                    children=[IkeChild("lan", [B_NET], [NEW_NET])])]
    attacked.start()
    attacked.sides["b"].station.close()  # the answers to the flood are more than Python reads
    return attacked


@pytest.fixture
def calm(lab):
    """No flood is left of a test that failed."""
    floods = []
    yield floods
    for one in floods:
        if one.process.running():
            one.stop()


def lost(lab, directory, seconds):
    """The part of the load that did not arrive, each way."""
    flow = traffic.BothWays(lab.sites.lab, ("site-a", lab.sites.A4), ("site-b", lab.sites.B4), str(directory),
                            rate=LOAD // 8 // SIZE, size=SIZE)
    flow.wait_progress(seconds * LOAD // 8 // SIZE)
    return [got["missing"] / sent["sent"] for sent, got in flow.finish()]


def made_up():
    """Of an IKE SA that nobody has: only the first SPI is another in each copy."""
    return ike_octets.message(os.urandom(8), os.urandom(8), INFORMATIONAL, INITIATOR, 2,
                              struct.pack("!BBH", 0, 0, 84) + os.urandom(80), ike_octets.SK)


KINDS = pytest.mark.parametrize("ike", [Init(nat=False).octets(), made_up()], ids=["first-messages", "made-up-ike-sas"])


@KINDS
def test_esp_does_not_notice(lab, calm, tmp_path, ike):
    """20 Mbit/s each way through the tunnel, under the flood: no more than a thousandth is lost, or no more than without it
    where this machine loses as much anyhow. The IKE SA goes on (it is asked for life each second), no SA is another one,
    the box answers pings and ARP, and trunkgated has not grown."""
    quiet = lost(lab, tmp_path, 3)
    sas, memory = lab.sas(), lab.memory("b")
    calm.append(Flood(lab, "b", ike))
    flooded = lost(lab, tmp_path, 6)
    lab.sites.lab.ip("wan", "neighbour", "del", lab.sites.GW_B4, "dev", "to-b", check=False)
    sent, received = traffic.ping("wan", lab.sites.GW_B4, 20)
    grown = lab.memory("b") - memory
    reached = calm[0].stop()
    print(f"lost without it {quiet}, under it {flooded}; {grown >> 10} KiB more memory; {reached}")
    for without, under in zip(quiet, flooded):
        assert under <= max(MOST_LOST, 2 * without)
    assert (sent, received) == (20, 20)
    assert lab.sas() == sas
    assert grown < MEMORY


@KINDS
def test_ike_sas_go_on(lab, calm, ike):
    """Who is known is heard at once: a rekey is answered, and the new SAs are there."""
    calm.append(Flood(lab, "b", ike))
    took = []
    for _ in range(3):
        old, begun = lab.sas()["a"], time.monotonic()
        lab.gateways["a"].do("rekey", "a-b", "--child", "lan")
        wait_until(lambda: len(lab.sas()["a"] - old) == 2, "the child is rekeyed", 20)
        took.append(time.monotonic() - begun)
        wait_until(lambda: not lab.sas()["a"] & old, "the old one is gone", 20)
    calm[0].stop()
    print(f"rekeyed after {took} s")
    assert max(took) <= 3


def test_a_new_peer_comes_up(lab, calm, tmp_path):
    """An honest peer that was not there before: its tunnel is up within three seconds of its first message."""
    new = IkeTunnel(lab.sites.GW_B4, "new", "always", "new.example", "gw-b.example",
                    children=[IkeChild("lan", [NEW_NET], [B_NET])])
    calm.append(Flood(lab, "b", Init(nat=False).octets()))
    took = []
    for _ in range(3):
        lab.sides["a"].station.take()
        lab.more["a"] = [new]
        lab.reload("a")
        begun = lab.sides["a"].station.expect(
            lambda frame: frame[UDP].dport == 500 and bytes(frame[UDP].payload)[8:19] == bytes(8) + b"!\x20\x22",
            "A's new IKE_SA_INIT", 15).time
        wait_until(lambda: len(lab.sas()["a"]) == 4, lambda: f"the tunnel is up\n{lab.gateways['a'].log_tail()}\n{lab.gateways['b'].log_tail()}", 15)
        took.append(time.time() - begun)
        lab.more["a"] = []
        lab.reload("a")
        wait_until(lambda: [len(sas) for sas in lab.sas().values()] == [2, 2], "the tunnel is gone", 15)
    calm[0].stop()
    print(f"up after {took} s")
    assert max(took) <= 3
    lab.check_traffic()


def test_the_flood_leaves_nothing(lab):
    lab.check_traffic(3)
    run("ip", "netns", "exec", "wan", "ping", "-c", "1", lab.sites.GW_B4)
