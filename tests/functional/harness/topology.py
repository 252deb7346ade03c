"""The surroundings of the tests: two sites with a gateway each, three of them, and one gateway between two stations."""

import contextlib
import itertools
import os
import signal
import time

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from . import config
from .esp import Peer
from .gateway import Gateway
from .ike_tunnel import IkeChild, IkeTunnel
from .netns import Lab, wait_until
from .station import Station


class Sites:
    """site-a - gw-a - wan - gw-b - site-b. The WAN is a router between two networks, with a NAT if wanted."""

    A4, A6, B4, B6 = "10.1.1.10", "fd00:1::10", "10.2.1.10", "fd00:2::10"
    GW_A4, GW_A6, GW_B4, GW_B6 = "203.0.113.2", "2001:db8:a::2", "198.51.100.2", "2001:db8:b::2"
    NAT_A4, NAT_PORT = "192.168.100.2", 40000
    NAT_OUTSIDE = "198.51.100.1"  # where gateway B finds gateway A behind the NAT

    def __init__(self, directory, nat=False, mtu=None):
        self.lab, self.directory, self.nat = Lab(), directory, nat
        self.gw_a = self.gw_b = None
        os.makedirs(directory, exist_ok=True)
        lab = self.lab
        for name in ("site-a", "gw-a", "gw-b", "site-b"):
            lab.namespace(name)
        lab.namespace("wan", forwarding=True)
        lab.veth(("site-a", "eth0"), ("gw-a", "lan0"), mtu)
        lab.veth(("gw-a", "wan0"), ("wan", "to-a"), mtu)
        lab.veth(("wan", "to-b"), ("gw-b", "wan0"), mtu)
        lab.veth(("gw-b", "lan0"), ("site-b", "eth0"), mtu)
        lab.address("site-a", "eth0", f"{self.A4}/16", f"{self.A6}/64")
        lab.address("site-b", "eth0", f"{self.B4}/16", f"{self.B6}/64")
        lab.address("wan", "to-a", "192.168.100.1/24" if nat else "203.0.113.1/24", "2001:db8:a::1/64")
        lab.address("wan", "to-b", "198.51.100.1/24", "2001:db8:b::1/64")
        for name, four, six in (("site-a", "10.1.0.1", "fd00:1::1"), ("site-b", "10.2.0.1", "fd00:2::1")):
            lab.route(name, "default", four)
            lab.route(name, "default", six)
        if nat:
            lab.nft("wan", f"""table ip nat {{ chain out {{ type nat hook postrouting priority 100;
                oifname "to-b" ip saddr 192.168.100.0/24 udp sport 4500 masquerade to :{self.NAT_PORT}
                oifname "to-b" ip saddr 192.168.100.0/24 masquerade; }}; }}""")

    def tunnels(self, suite="aes256gcm16", esn=True):
        """The tunnels of gateway A; B's are their mirror image."""
        def child(name, local, remote):
            return config.Child(name, [local], [remote], suite, esn)
        if self.nat:
            return [config.Tunnel("a-b", self.NAT_A4, self.GW_B4, [child("lan", "10.1.0.0/16", "10.2.0.0/16"),
                                                                  child("lan6", "fd00:1::/64", "fd00:2::/64")], True)]
        return [config.Tunnel("a-b", self.GW_A4, self.GW_B4, [child("lan", "10.1.0.0/16", "10.2.0.0/16"),
                                                             child("lan6", "fd00:1::/64", "fd00:2::/64")])]

    def ike_tunnels(self, authority, **settings):
        """Gateway A's tunnel and B's, with certificates of this authority; what is not said is the gateway's default."""
        both = []
        for own, other, peer in (("a", "b", self.GW_B4), ("b", "a", self.NAT_OUTSIDE if self.nat else self.GW_A4)):
            names = {side: f"gw-{side}.example" for side in "ab"}
            nets = {"a": ("10.1.0.0/16", "fd00:1::/64"), "b": ("10.2.0.0/16", "fd00:2::/64")}
            children = [IkeChild(name, [nets[own][n]], [nets[other][n]], []) for n, name in enumerate(("lan", "lan6"))]
            both.append(IkeTunnel(peer, "a-b", "always" if own == "a" else "answer", names[own], names[other],
                                  credential=authority.issue(names[own]), authorities=[authority], proposals=[],
                                  children=children, **settings))
        return both

    def start_gateways(self, tunnels=None, policies=(), ports=None, wait=True, tunnels_b=None, **gateway):
        """`tunnels`: of gateway A; B's are `tunnels_b`, or the same as seen from there."""
        self.tunnels_a = tunnels or self.tunnels()
        changes = {"peer": self.NAT_OUTSIDE, "udp": (4500, self.NAT_PORT)} if self.nat else {}
        self.tunnels_b = tunnels_b or [t.mirrored(**changes) for t in self.tunnels_a]
        ping = {"name": "ping", "from": "any", "to": "box", "protocol": "icmp", "action": "bypass", "both_ways": True}
        ping6 = {**ping, "name": "ping6", "protocol": "ipv6-icmp"}
        a_wan = [f"{self.NAT_A4 if self.nat else self.GW_A4}/24", f"{self.GW_A6}/64"]
        plan = (("gw-a", a_wan, ["10.1.0.1/16", "fd00:1::1/64"], "192.168.100.1" if self.nat else "203.0.113.1",
                 "2001:db8:a::1", self.tunnels_a),
                ("gw-b", [f"{self.GW_B4}/24", f"{self.GW_B6}/64"], ["10.2.0.1/16", "fd00:2::1/64"], "198.51.100.1",
                 "2001:db8:b::1", self.tunnels_b))
        gateways = []
        for name, wan, lan, via4, via6, own in plan:
            own_ports = {"wan": {"device": "wan0", "addresses": wan, **(ports or {}).get("wan", {})},
                         "lan": {"device": "lan0", "addresses": lan, **(ports or {}).get("lan", {})}}
            routes = [("0.0.0.0/0", via4, "wan"), ("::/0", via6, "wan")]
            directory = os.path.join(self.directory, name)
            file = config.write(directory, own_ports, own, [ping, ping6, *policies], routes, name, **gateway)
            gateways.append(self.lab.closing(Gateway(self.lab, name, file, directory)))
        self.gw_a, self.gw_b = gateways
        for g in gateways:
            g.launch()
        if wait:
            for g in gateways:
                g.wait_ready()
        return self

    def plain_routers(self):
        """The kernel in the gateways' places: what the helpers are themselves tried on."""
        lab = self.lab
        for name, wan, lan, via in (
                ("gw-a", [f"{self.NAT_A4 if self.nat else self.GW_A4}/24", f"{self.GW_A6}/64"],
                 ["10.1.0.1/16", "fd00:1::1/64"], ("192.168.100.1" if self.nat else "203.0.113.1", "2001:db8:a::1")),
                ("gw-b", [f"{self.GW_B4}/24", f"{self.GW_B6}/64"], ["10.2.0.1/16", "fd00:2::1/64"],
                 ("198.51.100.1", "2001:db8:b::1"))):
            lab.sysctl(name, "net.ipv4.ip_forward", 1)
            lab.sysctl(name, "net.ipv6.conf.all.forwarding", 1)
            lab.address(name, "wan0", *wan)
            lab.address(name, "lan0", *lan)
            for gateway in via:
                lab.route(name, "default", gateway)
        lab.route("wan", "10.1.0.0/16", self.NAT_A4 if self.nat else self.GW_A4)
        lab.route("wan", "fd00:1::/64", self.GW_A6)
        lab.route("wan", "10.2.0.0/16", self.GW_B4)
        lab.route("wan", "fd00:2::/64", self.GW_B6)
        return self

    def close(self):
        self.lab.close()


class Hub:
    """site-h, site-1 and site-2, each behind its gateway; the gateways meet at one router, the WAN."""

    KEYS = ("h", "1", "2")
    WAN4 = {key: f"203.0.{113 + n}.2" for n, key in enumerate(KEYS)}
    LAN4 = {key: f"10.{n + 1}.0.0/16" for n, key in enumerate(KEYS)}
    LAN6 = {key: f"fd00:{n + 1}::/64" for n, key in enumerate(KEYS)}
    HOST4 = {key: f"10.{n + 1}.1.10" for n, key in enumerate(KEYS)}
    HOST6 = {key: f"fd00:{n + 1}::10" for n, key in enumerate(KEYS)}

    def __init__(self, directory):
        self.lab, self.directory, self.gateways = Lab(), directory, {}
        os.makedirs(directory, exist_ok=True)
        lab = self.lab
        lab.namespace("wan", forwarding=True)
        for n, key in enumerate(self.KEYS):
            lab.namespace(f"site-{key}")
            lab.namespace(f"gw-{key}")
            lab.veth((f"site-{key}", "eth0"), (f"gw-{key}", "lan0"))
            lab.veth((f"gw-{key}", "wan0"), ("wan", f"to-{key}"))
            lab.address(f"site-{key}", "eth0", f"{self.HOST4[key]}/16", f"{self.HOST6[key]}/64")
            lab.address("wan", f"to-{key}", f"203.0.{113 + n}.1/24")
            lab.route(f"site-{key}", "default", f"10.{n + 1}.0.1")
            lab.route(f"site-{key}", "default", f"fd00:{n + 1}::1")

    def start(self, tunnels, routes=None):
        """`tunnels` and `routes` by gateway; a route as in Sites."""
        for n, key in enumerate(self.KEYS):
            ports = {"wan": {"device": "wan0", "addresses": [f"{self.WAN4[key]}/24"]},
                     "lan": {"device": "lan0", "addresses": [f"10.{n + 1}.0.1/16", f"fd00:{n + 1}::1/64"]}}
            ways = [("0.0.0.0/0", f"203.0.{113 + n}.1", "wan"), *(routes or {}).get(key, ())]
            directory = os.path.join(self.directory, f"gw-{key}")
            file = config.write(directory, ports, tunnels[key], (), ways, f"gw-{key}")
            self.gateways[key] = self.lab.closing(Gateway(self.lab, f"gw-{key}", file, directory)).launch()
        for g in self.gateways.values():
            g.wait_ready()
        return self

    def close(self):
        self.lab.close()


_tokens = itertools.count(1)


def token():
    """Payload that no other packet of this run has."""
    return b"token-%08d-" % next(_tokens)


class Bench:
    """One gateway; the test itself is every station on its WAN and on its LAN."""

    WAN_MAC, LAN_MAC = "02:00:00:00:0f:01", "02:00:00:00:01:10"
    BOX4, BOX6, PEER4, PEER6 = "203.0.113.2", "2001:db8:f::2", "203.0.113.25", "2001:db8:f::25"
    BOX_LAN4, BOX_LAN6, HOST4, HOST6 = "10.1.0.1", "fd00:1::1", "10.1.1.10", "fd00:1::10"
    CLEAR4, CLEAR6 = "192.0.2.10", "2001:db8:c::10"  # reached in clear, by policy

    def __init__(self, directory, mtu=None):
        self.lab, self.directory, self.mtu = Lab(), directory, mtu
        self.gateway, self.peers, self.buffers_free = None, {}, 0
        os.makedirs(directory, exist_ok=True)
        lab = self.lab
        lab.namespace("gw", quiet=True)
        for name in ("peer", "host"):
            lab.namespace(name, quiet=True)
            lab.sysctl(name, "net.ipv6.conf.default.disable_ipv6", 1)
        lab.veth(("gw", "wan0"), ("peer", "eth0"), mtu, (None, self.WAN_MAC))
        lab.veth(("gw", "lan0"), ("host", "eth0"), mtu, (None, self.LAN_MAC))
        self.mac = {"wan": lab.mac("gw", "wan0"), "lan": lab.mac("gw", "lan0")}
        self.wan = lab.closing(Station("peer", "eth0", self.WAN_MAC))
        self.lan = lab.closing(Station("host", "eth0", self.LAN_MAC))
        self.wan.neighbours = dict.fromkeys(
            ["203.0.113.1", *(f"203.0.113.{n}" for n in range(25, 40)), "2001:db8:f::1", self.PEER6], self.WAN_MAC)
        self.lan.neighbours = dict.fromkeys([self.HOST4, "10.1.1.11", self.HOST6, "fd00:1::11"], self.LAN_MAC)

    # ---- configuration ----

    POLICIES = (
        {"name": "ping", "from": "any", "to": "box", "protocol": "icmp", "action": "bypass", "both_ways": True},
        {"name": "clear4", "from": "lan", "to": "wan", "source": "10.1.0.0/16", "destination": "192.0.2.0/24",
         "action": "bypass", "both_ways": True},
        {"name": "clear6", "from": "lan", "to": "wan", "source": "fd00:1::/64", "destination": "2001:db8:c::/64",
         "action": "bypass", "both_ways": True})

    def start(self, tunnels=(), policies=POLICIES, ports=None, routes=None, wait=True, peer_type=Peer, **gateway):
        ports = ports or {}
        own = {"wan": {"device": "wan0", "addresses": [f"{self.BOX4}/24", f"{self.BOX6}/64"], **ports.get("wan", {})},
               "lan": {"device": "lan0", "addresses": [f"{self.BOX_LAN4}/16", f"{self.BOX_LAN6}/64"],
                       **ports.get("lan", {})}}
        if routes is None:
            routes = [("0.0.0.0/0", "203.0.113.1", "wan"), ("::/0", "2001:db8:f::1", "wan")]
        self.around = {"ports": own, "policies": policies, "routes": routes, **gateway}
        file = config.write(self.directory, tunnels=tunnels, **self.around)
        self.gateway = self.lab.closing(Gateway(self.lab, "gw", file, self.directory))
        self.peers = {(t.name, c.name): peer_type(t, c) for t in tunnels for c in t.children}
        self.gateway.launch()
        if wait:
            self.gateway.wait_ready()
            self.wait_quiet()
            self.buffers_free = self.gateway.show("gateway")[0]["buffers_free"]
        return self

    def reload(self, tunnels):
        """The same configuration with these tunnels, put into force as an operator does; the caller waits for it."""
        config.write(self.directory, tunnels=tunnels, **self.around)
        os.kill(self.gateway.process.pid, signal.SIGHUP)

    def wait_quiet(self, seconds=0.15):
        """The box's own kernel has told its multicast groups to the ports (no policy lets it): only tests drop now."""
        seen = (self.gateway.drops(), time.monotonic())

        def quiet():
            nonlocal seen
            if (now := self.gateway.drops()) != seen[0]:
                seen = (now, time.monotonic())
            return time.monotonic() - seen[1] > seconds
        wait_until(quiet, "the box is quiet")

    def close(self):
        self.lab.close()

    # ---- packets ----

    def station(self, side):
        return {"wan": self.wan, "lan": self.lan}[side]

    def send(self, side, packet, mac=None):
        """An IP packet to the gateway's port; `mac` for another destination than the gateway's."""
        station = self.station(side)
        station.send(Ether(src=station.mac, dst=mac or self.mac[side],
                           type=0x86dd if bytes(packet)[0] >> 4 == 6 else 0x0800) / Raw(bytes(packet)))

    def ask_arp(self, asked=BOX4):
        """A broadcast ARP request of the WAN peer."""
        self.wan.send(Ether(src=self.WAN_MAC, dst="ff:ff:ff:ff:ff:ff") /
                      ARP(op=1, hwsrc=self.WAN_MAC, psrc=self.PEER4, pdst=asked))

    def expect_token(self, side, mark, seconds=3.0):
        """The IP packet that holds the token, as it left the gateway in clear."""
        frame = self.station(side).expect(lambda p: mark in bytes(p), f"the packet with {mark}", seconds)
        return frame.payload

    def expect_esp(self, peer, seconds=3.0):
        """The next outer packet that the gateway sent for this child."""
        spi = peer.child.out_spi.to_bytes(4, "big")
        what = f"ESP of {peer.tunnel.name}/{peer.child.name}"
        frame = self.wan.expect(lambda p: spi in bytes(p)[34:66], what, seconds)
        return frame.payload

    def has_route(self, destination):
        return any(r["destination"] == destination for r in self.gateway.show("routes"))

    def clear(self):
        self.wan.take()
        self.lan.take()

    def drops_rise(self, reason, before, by=1, seconds=3.0):
        """Waits until the reason's counter has risen by that much. Fails if it rises further."""
        def risen():
            return self.gateway.drops().get(reason, 0) - before.get(reason, 0) >= by
        with contextlib.suppress(TimeoutError):
            wait_until(risen, reason, seconds, every=0.03)
        after = self.gateway.drops()
        differences = {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}
        assert differences.get(reason, 0) == by, f"expected {reason} +{by}; the counters rose by {differences}"
        return differences

    def wait_buffers_free(self):
        """Every packet buffer that was free at the start is free again."""
        def free():
            return self.gateway.show("gateway")[0]["buffers_free"]
        wait_until(lambda: free() >= self.buffers_free, lambda: f"{free()} buffers free, {self.buffers_free} at the start")

    def good_packet_passes(self, peer):
        """A packet through the tunnel in each direction: proof that nothing is stuck, and the end of a silence."""
        mark = token()
        self.send("wan", peer.seal(inner_packet(peer, mark, inbound=True)))
        self.expect_token("lan", mark)
        mark = token()
        self.send("lan", inner_packet(peer, mark, inbound=False))
        inner = peer.open(self.expect_esp(peer))
        assert mark in bytes(inner)


def host_in(prefix, number=10):
    """An address inside the prefix; in the LAN's networks it is the bench's host."""
    import ipaddress
    network = ipaddress.ip_network(prefix)
    if network.version == 6:
        return str(network[int(str(number), 16)])  # ::10, not ::a
    return str(network[256 + number] if network.num_addresses > 512 else network[number])


def udp_packet(source, destination, payload, sport=1234, dport=5678, **fields):
    head = IPv6(src=source, dst=destination, **fields) if ":" in source else IP(src=source, dst=destination, **fields)
    return head / UDP(sport=sport, dport=dport) / Raw(payload)


def inner_packet(peer, payload, inbound, **fields):
    """A UDP packet that fits the child's selectors; the near end is the bench's LAN host."""
    near = host_in(peer.child.local[0])
    far = host_in(peer.child.remote[0])
    return udp_packet(*((far, near) if inbound else (near, far)), payload, **fields)


def forwarded(packet):
    """The packet's bytes as a router sends them on: one hop less, the checksum made new."""
    copy = packet.__class__(bytes(packet))
    if copy.version == 4:
        copy.ttl -= 1
        del copy.chksum
    else:
        copy.hlim -= 1
    return bytes(copy)
