"""Route-based tunnels: what the kernel's or FRR's routes lead into a tunnel's interface goes through the tunnel."""

import pytest

from harness import traffic
from harness.capture import Capture, assert_protected
from harness.config import Child, Tunnel
from harness.frr import Frr
from harness.netns import wait_until
from harness.topology import Sites


def route_based(name="vpn", number=0, local=Sites.GW_A4, peer=Sites.GW_B4):
    return Tunnel(f"t-{name}", local, peer, [Child("all", [], [])], interface=name,
                  addresses=(f"169.254.{number}.1/30", f"fd00:ff:{number}::1/64"),
                  peer_addresses=(f"169.254.{number}.2/30", f"fd00:ff:{number}::2/64"))


def lead(sites, name="vpn", verb="add"):
    """Kernel routes to the other site through the interface, as an operator would set them."""
    for gateway, four, six in (("gw-a", "10.2.0.0/16", "fd00:2::/64"), ("gw-b", "10.1.0.0/16", "fd00:1::/64")):
        for prefix in (four, six):
            sites.lab.ip(gateway, "route", verb, prefix, "dev", f"tg-{name}")
    present = verb != "del"
    for gateway, prefix in ((sites.gw_a, "fd00:2::/64"), (sites.gw_b, "fd00:1::/64")):
        wait_until(lambda g=gateway, p=prefix: any(r["destination"] == p and r["port"] == name
                                                   for r in g.show("routes")) == present, "the routes are followed")


@pytest.fixture
def wan(tmp_path):
    captures = []

    def start(sites):
        captures.append(Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256))
        return captures[0]
    yield start
    for capture in captures:
        capture.process.stop()


@pytest.fixture(scope="module")
def sites(make_sites):
    return make_sites().start_gateways([route_based()])


def test_static_routes(sites, wan):
    capture = wan(sites)
    lead(sites)
    for address in (Sites.B4, Sites.B6):
        traffic.ping("site-a", address, count=5)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 5_000_000)
    traffic.tcp_transfer("site-b", "site-a", Sites.A6, 5_000_000)
    capture.stop()
    assert_protected(capture, at_least=1000)


def bgpd(own_as, peer_as, router_id, here, there, networks):
    four, six = networks
    (near4, near6), (far4, far6) = here, there
    return f"""
router bgp {own_as}
 bgp router-id {router_id}
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 timers bgp 1 3
 neighbor {far4} remote-as {peer_as}
 neighbor {far4} timers connect 1
 neighbor {far6} remote-as {peer_as}
 neighbor {far6} timers connect 1
 address-family ipv4 unicast
  neighbor {far4} activate
  network {four}
 exit-address-family
 address-family ipv6 unicast
  neighbor {far6} activate
  network {six}
 exit-address-family
"""


ENDS = ("169.254.0.1", "fd00:ff::1"), ("169.254.0.2", "fd00:ff::2")
LANS = ("10.1.0.0/16", "fd00:1::/64"), ("10.2.0.0/16", "fd00:2::/64")


class Routers:
    """A bgpd on each gateway, each announcing its LAN to the other over the tunnel."""

    def __init__(self, sites):
        self.a = Frr(sites.lab, "gw-a", bgpd(65001, 65002, "10.1.0.1", ENDS[0], ENDS[1], LANS[0]))
        self.b = Frr(sites.lab, "gw-b", bgpd(65002, 65001, "10.2.0.1", ENDS[1], ENDS[0], LANS[1]))
        self.sites = sites

    def wait_routes(self, present=True, prefix="10.2.0.0/16", seconds=30):
        def there():
            rows = [r for r in self.sites.gw_a.show("routes") if r["destination"] == prefix]
            return bool(rows) == present and all(r["port"] == "vpn" and r["resolved"] for r in rows)
        wait_until(there, lambda: f"{prefix} {'' if present else 'not '}in\n{self.sites.gw_a.table('routes')}"
                                  f"{self.a.bgpd.text()}\n{self.a.zebra.text()}", seconds)


@pytest.fixture(scope="module")
def bgp(make_sites):
    sites = make_sites().start_gateways([route_based()])
    routers = Routers(sites)
    for lan in LANS[1]:
        routers.wait_routes(prefix=lan)
    return routers


def test_bgp_over_the_tunnel(bgp, wan):
    assert bgp.a.established(ENDS[1][0]) and bgp.a.established(ENDS[1][1])
    capture = wan(bgp.sites)
    for address in (Sites.B4, Sites.B6):
        traffic.ping("site-a", address, count=5)
    traffic.ping("site-b", Sites.A4, count=5)
    capture.stop()
    assert_protected(capture, at_least=30)
