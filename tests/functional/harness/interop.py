"""The surroundings of the interop tests: a gateway and strongSwan, each with a site, and what is bad between them."""

import contextlib
import os
import re

from . import config, lossy
from .capture import HOUSEKEEPING, Capture
from .gateway import Gateway
from .nat import Nat
from .netns import Lab, run
from .strongswan import Child, Connection, Party, Psk, StrongSwan

PSK = b"a pre-shared key of the tests: not for use"
A_ID, B_ID = "gw-a.example", "peer.example"


class Interop:
    """site-a - gw-a [- nat-a] - wan [- nat-b] - peer - site-b.

    The wan is a router that can lose and delay (lossy), be cut, and is where captures are made. gw-a is Trunkgate, or
    strongSwan in its place; the peer is strongSwan. `nat`: "", "a", "b" or "ab", who is behind one."""

    A4, A6, B4, B6 = "10.1.1.10", "fd00:1::10", "10.2.1.10", "fd00:2::10"
    LAN_A4, LAN_B4 = "10.1.0.1", "10.2.0.1"  # the gateways' own
    OUTSIDE = {"a": "203.0.113.2", "b": "198.51.100.2"}
    OUTSIDE6 = {"a": "2001:db8:a::2", "b": "2001:db8:b::2"}
    BEHIND_NAT = {"a": "192.168.100.2", "b": "192.168.200.2"}
    GATEWAY = {"a": "gw-a", "b": "peer"}

    def __init__(self, directory, nat="", mtu=None):
        self.lab, self.directory, self.nat = Lab(), directory, nat
        self.gateway = self.peer = self.other = None
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
        for name, four, six in (("site-a", self.LAN_A4, "fd00:1::1"), ("site-b", self.LAN_B4, "fd00:2::1")):
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
        for key in ("all", "default", "wan0", "lan0"):
            lab.sysctl(name, f"net.ipv4.conf.{key}.rp_filter", 0)
        lab.address(name, "wan0", self.address(side) + "/24")
        if side not in self.nat:
            lab.address(name, "wan0", self.OUTSIDE6[side] + "/64")
            lab.route(name, "default", "2001:db8:%s::1" % side)
        lab.address(name, "lan0", {"a": self.LAN_A4, "b": self.LAN_B4}[side] + "/16")
        lab.route(name, "default", self._router(side))
        lab.ip(name, "route", "add", "unreachable", {"a": "10.1.0.0/16", "b": "10.2.0.0/16"}[other])

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

    def connection(self, name="a-b", local=None, remote=None, children=None, side="b", **settings):
        """The peer's connection with the gateway: by PSK unless other parties are given. `side` a: as gw-a would have it."""
        other = {"a": "b", "b": "a"}[side]
        ids = {"a": A_ID, "b": B_ID}
        nets = {"a": "10.1.0.0/16", "b": "10.2.0.0/16"}
        return Connection(name, self.address(side), self.seen(other), local or Party(id=ids[side]),
                          remote or Party(id=ids[other]), children or [Child("lan", nets[side], nets[other])], **settings)

    def load_peer(self, *connections, secrets=None, crls=()):
        return self.peer.load(connections or [self.connection()], secrets if secrets is not None else [Psk(PSK)], crls)

    # ---- gateway A ----

    def start_other(self, **options):
        """strongSwan in gateway A's place: what the harness itself is tried with."""
        self._kernel_router("gw-a", "a")
        self.other = self.lab.closing(StrongSwan(self.lab, "gw-a", os.path.join(self.directory, "gw-a"), **options)).start()
        return self.other

    def load_other(self, *connections, secrets=None, crls=()):
        return self.other.load(connections or [self.connection(side="a")], secrets if secrets is not None else [Psk(PSK)], crls)

    # ---- the way between them ----

    def lossy(self, **options):
        return lossy.LossyLink(self.lab, "wan", **options)

    def cut(self, from_side=None):
        lossy.cut(self.lab, "wan", "to-" + from_side if from_side else None)

    def repair(self):
        lossy.repair(self.lab, "wan")

    def capture(self, side="a", **options):
        """The WAN as that side's gateway (or its NAT) sees it."""
        self.captures += 1
        file = os.path.join(self.directory, f"wan-{self.captures}.pcap")
        return Capture(self.lab, "wan", "to-" + side, file, **options)

    def close(self):
        self.lab.close()
