"""The surroundings of the interop tests: a gateway and strongSwan, each with a site, and what is bad between them."""

import os
import re
import signal

from . import config, lossy, traffic
from .capture import Capture, assert_only_esp
from .gateway import Gateway
from .ike_tunnel import A_ID, A_NET, A_NET6, B_ID, B_NET, B_NET6, PSK, IkeTunnel
from .nat import Nat
from .netns import Lab, wait_until
from .strongswan import Child, Connection, Party, Psk, StrongSwan


class Interop:
    """site-a - gw-a [- nat-a] - wan [- nat-b] - peer - site-b.

    The wan is a router that can lose and delay (lossy), be cut, and is where captures are made. gw-a is Trunkgate, or
    strongSwan in its place; the peer is strongSwan. `nat`: "", "a", "b" or "ab", who is behind one."""

    A4, A6, B4, B6 = "10.1.1.10", "fd00:1::10", "10.2.1.10", "fd00:2::10"
    LAN_A4, LAN_A6, LAN_B4, LAN_B6 = "10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::1"  # the gateways' own
    OUTSIDE = {"a": "203.0.113.2", "b": "198.51.100.2"}
    OUTSIDE6 = {"a": "2001:db8:a::2", "b": "2001:db8:b::2"}
    BEHIND_NAT = {"a": "192.168.100.2", "b": "192.168.200.2"}
    GATEWAY = {"a": "gw-a", "b": "peer"}

    def __init__(self, directory, nat="", mtu=None):
        self.lab, self.directory, self.nat = Lab(), directory, nat
        self.gateway = self.peer = self.other = self.flow = self.link = None
        self.captures, self.nats = 0, {}
        os.makedirs(directory, exist_ok=True)
        lab = self.lab
        for name in ("site-a", "gw-a", "peer", "site-b"):
            lab.namespace(name)
        lab.namespace("wan", forwarding=True)
        lab.veth(("site-a", "eth0"), ("gw-a", "lan0"))
        lab.veth(("peer", "lan0"), ("site-b", "eth0"))
        for side, router4, router6 in (("a", "203.0.113.1", "2001:db8:a::1"), ("b", "198.51.100.1", "2001:db8:b::1")):
            lab.address("site-" + side, "eth0", f"{getattr(self, side.upper() + '4')}/16",
                        f"{getattr(self, side.upper() + '6')}/64")
            if side in nat:
                self._add_nat(side, router4, mtu)
            else:
                lab.veth((self.GATEWAY[side], "wan0"), ("wan", "to-" + side), mtu)
            lab.address("wan", "to-" + side, f"{router4}/24", f"{router6}/64")
        for name, four, six in (("site-a", self.LAN_A4, self.LAN_A6), ("site-b", self.LAN_B4, self.LAN_B6)):
            lab.route(name, "default", four)
            lab.route(name, "default", six)
        self._kernel_router("peer", "b")

    def _add_nat(self, side, router, mtu):
        lab, name = self.lab, "nat-" + side
        lab.namespace(name, forwarding=True)
        lab.veth((self.GATEWAY[side], "wan0"), (name, "in"), mtu)
        lab.veth((name, "out"), ("wan", "to-" + side), mtu)
        lab.address(name, "in", self._router(side) + "/24")
        lab.address(name, "out", self.OUTSIDE[side] + "/24")
        lab.route(name, "default", router)
        self.nats[side] = Nat(lab, name, "in", "out").masquerade()

    def _router(self, side):
        """The first hop of that side's gateway."""
        return re.sub(r"\d+$", "1", self.address(side))

    def _kernel_router(self, name, side):
        """strongSwan's host. Without an SA the other site is unreachable: nothing of it may leave in clear."""
        lab, other = self.lab, {"a": "b", "b": "a"}[side]
        lab.sysctl(name, "net.ipv4.ip_forward", 1)
        lab.sysctl(name, "net.ipv6.conf.all.forwarding", 1)
        for key in ("all", "default", "wan0", "lan0"):
            lab.sysctl(name, f"net.ipv4.conf.{key}.rp_filter", 0)
        lab.address(name, "wan0", self.address(side) + "/24")
        if side not in self.nat:
            lab.address(name, "wan0", self.OUTSIDE6[side] + "/64")
            lab.route(name, "default", "2001:db8:%s::1" % side)
        lab.address(name, "lan0", {"a": self.LAN_A4, "b": self.LAN_B4}[side] + "/16",
                    {"a": self.LAN_A6, "b": self.LAN_B6}[side] + "/64")
        lab.route(name, "default", self._router(side))
        lab.ip(name, "route", "add", "unreachable", {"a": A_NET, "b": B_NET}[other])
        lab.ip(name, "-6", "route", "add", "unreachable", {"a": A_NET6, "b": B_NET6}[other])

    def address(self, side):
        """Of that side's gateway itself."""
        return self.BEHIND_NAT[side] if side in self.nat else self.OUTSIDE[side]

    def seen(self, side):
        """Where the other side finds it."""
        return self.OUTSIDE[side]

    # ---- the peer ----

    def start_peer(self, **options):
        """charon, with nothing loaded."""
        self.peer = self.lab.closing(StrongSwan(self.lab, "peer", os.path.join(self.directory, "peer"), **options)).start()
        return self.peer

    def connection(self, name="a-b", local=None, remote=None, children=None, side="b", family=4, **settings):
        """The peer's connection with the gateway: by PSK unless other parties are given. `side` a: as gw-a would have it."""
        other = {"a": "b", "b": "a"}[side]
        ids = {"a": A_ID, "b": B_ID}
        nets = {"a": A_NET, "b": B_NET}
        addresses = (self.address(side), self.seen(other)) if family == 4 else (self.OUTSIDE6[side], self.OUTSIDE6[other])
        return Connection(name, *addresses, local or Party(id=ids[side]), remote or Party(id=ids[other]),
                          children or [Child("lan", nets[side], nets[other])], **settings)

    def load_peer(self, *connections, secrets=None, crls=()):
        return self.peer.load(connections or [self.connection()], secrets if secrets is not None else [Psk(PSK)], crls)

    # ---- gateway A ----

    POLICIES = [{"name": "ping", "from": "any", "to": "box", "protocol": "icmp", "action": "bypass", "both_ways": True},
                {"name": "ping6", "from": "any", "to": "box", "protocol": "ipv6-icmp", "action": "bypass", "both_ways": True}]

    def _configure(self, tunnels):
        wan = [self.address("a") + "/24"] + ([] if "a" in self.nat else [self.OUTSIDE6["a"] + "/64"])
        ports = {"wan": {"device": "wan0", "addresses": wan},
                 "lan": {"device": "lan0", "addresses": [self.LAN_A4 + "/16", self.LAN_A6 + "/64"]}}
        routes = [("0.0.0.0/0", self._router("a"), "wan")] + ([] if "a" in self.nat else [("::/0", "2001:db8:a::1", "wan")])
        directory = os.path.join(self.directory, "gw-a")
        return config.write(directory, ports, tunnels, self.POLICIES, routes, "gw-a"), directory

    def tunnel(self, family=4, **settings):
        """The gateway's side of connection()."""
        return IkeTunnel(self.seen("b") if family == 4 else self.OUTSIDE6["b"], **settings)

    def put(self, *tunnels):
        """The gateway has these tunnels and no others, and knows it; it is started if it does not run."""
        file, directory = self._configure(tunnels)
        if self.gateway:
            os.kill(self.gateway.process.pid, signal.SIGHUP)
        else:
            self.gateway = self.lab.closing(Gateway(self.lab, "gw-a", file, directory)).start()
        names = {t.name for t in tunnels}
        wait_until(lambda: set(self.gateway.tunnels()) == names, lambda: f"{names} in force\n{self.gateway.log_tail()}", 20)
        return tunnels[0] if tunnels else None

    def bring_up(self, starter, tunnel, *connections, seconds=30, **peer):
        """The tunnel and the peer's connections, negotiated by the `starter`: "gateway" or "peer"."""
        self.forget()
        self.load_peer(*connections, **peer)
        tunnel.start = {"gateway": "always", "peer": "answer"}[starter]
        self.put(tunnel)
        if starter == "peer":
            self.peer.initiate(tunnel.children[0].name, seconds=seconds)
        return self.wait_up(tunnel, seconds)

    def forget(self):
        """Both sides without a tunnel. A side that ended is not a tunnel's fault any more: the next one is new."""
        if self.gateway and not self.gateway.process.running():
            self.gateway = None
        if not self.peer.process.running():
            self.peer.restart()
        if self.gateway:
            self.put()
        self.peer.clear()

    def wait_up(self, tunnel, seconds=30):
        """Both sides say that it is up, with one IKE SA and one pair of SAs for each child; the peer's first child."""
        def up():
            return self.gateway.tunnels().get(tunnel.name, {}).get("state") == "up"
        wait_until(up, lambda: f"{tunnel.name} is up: {self.gateway.tunnels()}\n{self.gateway.log_tail()}", seconds)
        return [self.peer.wait_up(child.name, seconds) for child in tunnel.children][0]

    def keys(self, what):
        """What the peer's "child" SAs or "ike" SAs in use are known by."""
        if what == "child":
            return {child["spi-in"] for child in self.peer.children()}
        return {ike["initiator-spi"] for ike in self.peer.ike_sas()}

    def wait_another(self, what, before, seconds=30):
        """None of those `before` is in use any more, and another one is."""
        wait_until(lambda: (now := self.keys(what)) and not now & before, lambda: f"another {what} SA than {before}", seconds)

    def rekey(self, tunnel, who, what, seconds=30):
        """Asked of the "gateway", of the "peer", or of "both", whose requests cross; until all is settled."""
        before = self.keys(what)
        if who == "both":
            self.lossy(hold=0.3).choose = lambda d: "hold" if d.exchange == lossy.CREATE_CHILD_SA and not d.is_response else None
        if who in ("gateway", "both"):
            self.gateway.do("rekey", tunnel.name, *(["--child", tunnel.children[0].name] if what == "child" else ["--ike"]))
        if who in ("peer", "both"):
            self.peer.rekey(**({"child": tunnel.children[0].name} if what == "child" else {"ike": self.peer.list_sas()[0]["name"]}))
        self.wait_another(what, before, seconds)
        if who == "both":
            self.link.close()
        return self.wait_up(tunnel, seconds)

    def wait_gateway_down(self, tunnel, seconds=30):
        wait_until(lambda: self.gateway.tunnels()[tunnel.name]["state"] == "down",
                   lambda: f"{tunnel.name} is down: {self.gateway.tunnels()}", seconds)

    def start_other(self, **options):
        """strongSwan in gateway A's place: what the harness itself is tried with."""
        self._kernel_router("gw-a", "a")
        self.other = self.lab.closing(StrongSwan(self.lab, "gw-a", os.path.join(self.directory, "gw-a"), **options)).start()
        return self.other

    def load_other(self, *connections, secrets=None, crls=()):
        return self.other.load(connections or [self.connection(side="a")], secrets if secrets is not None else [Psk(PSK)], crls)

    # ---- the way between them ----

    def lossy(self, **options):
        """In place of an earlier one."""
        if self.link:
            self.link.close()
        self.link = lossy.LossyLink(self.lab, "wan", **options)
        return self.link

    def cut(self, from_side=None):
        lossy.cut(self.lab, "wan", "to-" + from_side if from_side else None)

    def repair(self):
        lossy.repair(self.lab, "wan")

    def capture(self, side="a", **options):
        """The WAN as that side's gateway (or its NAT) sees it."""
        self.captures += 1
        file = os.path.join(self.directory, f"wan-{self.captures}.pcap")
        return Capture(self.lab, "wan", "to-" + side, file, **options)

    # ---- traffic ----

    def check_traffic(self, at_least=12):
        """Pings in both directions arrive, and the WAN sees ESP for each: the capture."""
        capture = self.capture()
        traffic.ping_all("site-a", self.B4)
        traffic.ping_all("site-b", self.A4)
        capture.stop()
        assert_only_esp(capture, at_least)
        return capture

    def stream(self, directory, rate=200):
        """Numbered datagrams both ways; what is left of an earlier stream ends."""
        if self.flow:
            self.flow.stop()
        self.flow = traffic.BothWays(self.lab, ("site-a", self.A4), ("site-b", self.B4), str(directory), rate)
        return self.flow

    def close(self):
        self.lab.close()
