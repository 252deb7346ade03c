"""Two gateways with a tunnel that IKE made, and somebody on the WAN between them who sends what he likes to either."""

import contextlib
import dataclasses
import os
import signal
import struct
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from . import config, ike_octets, traffic
from .gateway import BIN, Gateway
from .ike_tunnel import A_ID, A_NET, B_ID, B_NET, ESP, IkeChild, IkeTunnel
from .netns import wait_until
from .station import Station

MARKER = bytes(4)
PING = {"name": "ping", "from": "any", "to": "box", "protocol": "icmp", "action": "bypass", "both_ways": True}
# Freed memory is kept for a while under AddressSanitizer, so that a late use is noticed.
MEMORY_MORE = (400 if "asan" in BIN else 24) << 20


@dataclasses.dataclass
class Heard:
    """A UDP datagram as the WAN saw it."""
    source: str
    sport: int
    destination: str
    dport: int
    payload: bytes

    @property
    def ike(self):
        data = self.payload
        if 4500 in (self.sport, self.dport):
            data = data[4:] if data[:4] == MARKER else b""
        return ike_octets.read(data) if len(data) >= 28 else None


class WanSide:
    """The WAN's link to one gateway: what leaves that gateway is heard, and anything can be sent to it."""

    def __init__(self, sites, side):
        self.address = {"a": sites.GW_A4, "b": sites.GW_B4}[side]
        self.peer = {"a": sites.GW_B4, "b": sites.GW_A4}[side]
        device = "to-" + side
        self.mac = sites.lab.mac("gw-" + side, "wan0")
        self.station = sites.lab.closing(Station("wan", device, sites.lab.mac("wan", device)))
        self.station.ignore = lambda data: data[12:14] != b"\x08\x00" or data[23] != 17

    def send(self, octets, port=500, source=None, sport=None, marker=True):
        """A datagram to the gateway, from its peer unless another `source` is given."""
        data = (MARKER if port == 4500 and marker else b"") + bytes(octets)
        packet = IP(src=source or self.peer, dst=self.address, id=1) / UDP(sport=sport or port, dport=port) / Raw(data)
        frame = Ether(src=self.station.mac, dst=self.mac)
        for part in (packet.fragment(1480) if len(data) > 1472 else [packet]):
            self.station.send(frame / part)

    def heard(self):
        """What the gateway has sent since the last call."""
        out = []
        for frame in self.station.take():
            ip = frame.data[14:]
            at = 4 * (ip[0] & 15)
            if struct.unpack_from("!H", ip, 6)[0] & 0x1fff:
                continue
            sport, dport, length = struct.unpack_from("!HHH", ip, at)
            source, destination = (".".join(map(str, ip[n:n + 4])) for n in (12, 16))
            out.append(Heard(source, sport, destination, dport, ip[at + 8:at + length]))
        return out

    def answers(self, spis, seconds=3.0):
        """{SPI of the initiator: message} for those of `spis` that were answered: a last question that is answered for
        certain ends the wait."""
        last = ike_octets.Init()
        self.send(last.octets(), source=self.stranger, sport=500)
        found = {}

        def all_heard():
            found.update({m.ike.spi_i: m.ike for m in self.heard() if m.ike and m.ike.response})
            return last.spi in found
        wait_until(all_heard, "the question behind the others is answered", seconds)
        return {spi: found[spi] for spi in spis if spi in found}

    stranger = "192.0.2.77"  # no tunnel is for him: his IKE_SA_INIT is refused by NO_PROPOSAL_CHOSEN


class Attacked:
    """Sites with a tunnel by PSK: gateway A is the IKE SA's initiator, B its responder."""

    def __init__(self, sites, **ike):
        self.sites, self.ike = sites, {"liveness": "off", "childless": True, **ike}
        self.esp = [ESP]  # tried at once where the IKE SA comes without a child: no exchange more a while later
        lab = sites.lab
        self.sides = {}
        self.gateways = {}
        self.more = {"a": [], "b": []}
        lab.ip("wan", "route", "add", "blackhole", "192.0.2.0/24")
        for side in "ab":
            directory = os.path.join(sites.directory, "gw-" + side)
            self.gateways[side] = lab.closing(Gateway(lab, "gw-" + side, self.write(side), directory))
        sites.gw_a, sites.gw_b = self.gateways["a"], self.gateways["b"]

    def tunnel(self, side, **changes):
        own, other, peer = (A_ID, B_ID, self.sites.GW_B4) if side == "a" else (B_ID, A_ID, self.sites.GW_A4)
        nets = ([A_NET], [B_NET]) if side == "a" else ([B_NET], [A_NET])
        return IkeTunnel(peer, "a-b", "always" if side == "a" else "answer", own, other, ike=dict(self.ike),
                         children=[IkeChild("lan", *nets, self.esp)], **changes)

    def write(self, side, **changes):
        sites = self.sites
        number, wan = {"a": (1, sites.GW_A4), "b": (2, sites.GW_B4)}[side]
        ports = {"wan": {"device": "wan0", "addresses": [wan + "/24"]},
                 "lan": {"device": "lan0", "addresses": [f"10.{number}.0.1/16"]}}
        routes = [("0.0.0.0/0", wan.rpartition(".")[0] + ".1", "wan")]
        tunnels = [self.tunnel(side, **changes), *self.more[side]]
        return config.write(os.path.join(sites.directory, "gw-" + side), ports, tunnels, [PING], routes, "gw-" + side)

    def reload(self, side, **changes):
        """Its configuration anew, with what stands in `more` now; the caller waits for what comes of it."""
        self.write(side, **changes)
        os.kill(self.gateways[side].process.pid, signal.SIGHUP)

    def start(self):
        """What was heard until the tunnel was up is in `first`, by the side that sent it."""
        for side in "ab":
            self.write(side)
            self.sides[side] = WanSide(self.sites, side)
        for side in "ba":  # B listens when A begins
            self.gateways[side].start()
        self.wait_up()
        self.first = {side: [one for one in self.sides[side].heard() if one.ike] for side in "ab"}
        return self

    def sas(self):
        """{side: SPIs in the data plane}"""
        return {side: {(row["direction"], row["spi"]) for row in g.show("sas")} for side, g in self.gateways.items()}

    def wait_up(self, seconds=30):
        def log():
            return "\n".join(g.log_tail(20) for g in self.gateways.values())
        wait_until(lambda: all(len(sas) == 2 for sas in self.sas().values()), lambda: f"the tunnel is up\n{log()}", seconds)
        self.check_traffic(3)

    def check_traffic(self, count=1):
        traffic.ping("site-a", self.sites.B4, count)
        traffic.ping("site-b", self.sites.A4, count)

    def daemons(self):
        return {(side, name): g.daemon(name) for side, g in self.gateways.items()
                for name in ("trunkgated", "trunkgate-dataplane", "trunkgate-keystore")}

    def memory(self, side):
        """Resident octets of that trunkgated."""
        with open(f"/proc/{self.gateways[side].daemon('trunkgated')}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @contextlib.contextmanager
    def unharmed(self):
        """Nothing ended, the same SAs are there, packets pass, and no memory was taken that grows with what was sent."""
        daemons, sas, memory = self.daemons(), self.sas(), {side: self.memory(side) for side in self.gateways}
        yield
        self.check_traffic()
        assert self.daemons() == daemons
        assert self.sas() == sas
        for side, before in memory.items():
            assert self.memory(side) < before + MEMORY_MORE, f"gateway {side}: {before} octets before"


def wait_for(side, match, what, seconds=10):
    """The first IKE message that the gateway sends and that matches."""
    deadline, seen = time.monotonic() + seconds, []
    while time.monotonic() < deadline:
        for one in side.heard():
            if one.ike and match(one):
                return one
            seen.append(one)
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come within {seconds} s: {seen[-8:]}")
