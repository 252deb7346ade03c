"""Two sites whose WAN has a narrow link in its middle: packets that do not fit it meet a router, and never a gateway."""

import os

from . import config
from .netns import Lab
from .topology import Sites


class NarrowSites(Sites):
    """site-a - gw-a [- nat] - wan = wan-b - gw-b - site-b; the routers' kernels cut, or send the ICMP."""

    NAT_OUTSIDE = Sites.GW_A4

    def __init__(self, directory, nat=False, narrow=1500):
        self.lab, self.directory, self.nat = Lab(), directory, nat
        self.gw_a = self.gw_b = None
        os.makedirs(directory, exist_ok=True)
        lab = self.lab
        for name in ("site-a", "gw-a", "gw-b", "site-b"):
            lab.namespace(name)
        for name in ("wan", "wan-b", *(["nat"] if nat else [])):
            lab.namespace(name, forwarding=True)
        lab.veth(("site-a", "eth0"), ("gw-a", "lan0"))
        lab.veth(("gw-a", "wan0"), ("nat", "to-a") if nat else ("wan", "to-a"))
        if nat:
            lab.veth(("nat", "to-wan"), ("wan", "to-a"))
        lab.veth(("wan", "core"), ("wan-b", "core"))
        lab.veth(("wan-b", "to-b"), ("gw-b", "wan0"))
        lab.veth(("gw-b", "lan0"), ("site-b", "eth0"))
        lab.address("site-a", "eth0", f"{self.A4}/16", f"{self.A6}/64")
        lab.address("site-b", "eth0", f"{self.B4}/16", f"{self.B6}/64")
        if nat:
            lab.address("nat", "to-a", "192.168.100.1/24")
            lab.address("nat", "to-wan", f"{self.NAT_OUTSIDE}/24")
        lab.address("wan", "to-a", "203.0.113.1/24", "2001:db8:a::1/64")
        lab.address("wan", "core", "192.0.2.1/30", "2001:db8:c::1/64")
        lab.address("wan-b", "core", "192.0.2.2/30", "2001:db8:c::2/64")
        lab.address("wan-b", "to-b", "198.51.100.1/24", "2001:db8:b::1/64")
        routes = [("site-a", "10.1.0.1"), ("site-a", "fd00:1::1"), ("site-b", "10.2.0.1"), ("site-b", "fd00:2::1"),
                  ("wan", "192.0.2.2"), ("wan", "2001:db8:c::2"), ("wan-b", "192.0.2.1"), ("wan-b", "2001:db8:c::1")]
        for name, via in routes + ([("nat", "203.0.113.1")] if nat else []):
            lab.route(name, "default", via)
        if nat:
            lab.nft("nat", f"""table ip nat {{ chain out {{ type nat hook postrouting priority 100;
                oifname "to-wan" udp sport 4500 masquerade to :{self.NAT_PORT}
                oifname "to-wan" masquerade; }}; }}""")
        self.narrow(narrow)

    def narrow(self, mtu):
        """The link in the middle carries this much from now on."""
        for name in ("wan", "wan-b"):
            if mtu < 1280:  # the kernel ends IPv6 on such a link
                self.lab.ip(name, "address", "flush", "dev", "core", "scope", "global")
                self.lab.address(name, "core", "192.0.2.1/30" if name == "wan" else "192.0.2.2/30")
            self.lab.ip(name, "link", "set", "core", "mtu", str(mtu))
        for name, via in (("wan", "192.0.2.2"), ("wan-b", "192.0.2.1")):
            self.lab.ip(name, "route", "replace", "default", "via", via)

    def tunnels_over(self, family, udp=False, suite="aes256gcm16"):
        """One tunnel with a child per inner family, between outer addresses of `family`."""
        local, peer = (self.GW_A6, self.GW_B6) if family == 6 else (self.NAT_A4 if self.nat else self.GW_A4, self.GW_B4)
        children = [config.Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"], suite),
                    config.Child("lan6", ["fd00:1::/64"], ["fd00:2::/64"], suite)]
        return [config.Tunnel("a-b", local, peer, children, udp or self.nat)]
