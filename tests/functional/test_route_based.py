"""Route-based tunnels: what the kernel's or FRR's routes lead into a tunnel's interface goes through the tunnel."""

import json
import socket

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import ICMPv6ND_RA, IPv6

from harness import traffic
from harness.capture import Capture, assert_protected
from harness.config import Child, Tunnel
from harness.frr import Frr
from harness.netns import inside, wait_until
from harness.topology import Bench, Sites, token, udp_packet


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


def test_sender_is_told_what_fits(sites):
    errors = traffic.ping_errors("site-a", Sites.B6, count=2, size=1446 - 48 + 1)[2]
    assert errors == ["From fd00:1::1 icmp_seq=1 Packet too big: mtu=1446"]


def bgpd(own_as, peer_as, router_id, peer, networks):
    (far4, far6), (four, six) = peer, networks
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
        self.a = Frr(sites.lab, "gw-a", bgpd(65001, 65002, "10.1.0.1", ENDS[1], LANS[0]))
        self.b = Frr(sites.lab, "gw-b", bgpd(65002, 65001, "10.2.0.1", ENDS[0], LANS[1]))
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


def test_no_packet_in_clear_after_a_withdrawal(bgp, wan):
    """The route goes, the default route stays: no rule lets the packets out in clear."""
    capture = wan(bgp.sites)
    traffic.ping("site-a", Sites.B4, count=3)
    bgp.b.configure("router bgp 65002", "address-family ipv4 unicast", "no network 10.2.0.0/16")
    bgp.wait_routes(False)
    before = bgp.sites.gw_a.drops().get("no_policy", 0)
    sent, received = traffic.ping("site-a", Sites.B4, count=5, check=False, deadline=2)
    assert received == 0
    wait_until(lambda: bgp.sites.gw_a.drops().get("no_policy", 0) >= before + sent, "each is dropped by name")
    traffic.ping("site-a", Sites.B6, count=3)  # the other family's route is there still
    bgp.b.configure("router bgp 65002", "address-family ipv4 unicast", "network 10.2.0.0/16")
    bgp.wait_routes()
    traffic.ping("site-a", Sites.B4, count=3)
    capture.stop()
    assert_protected(capture, at_least=30)
    assert capture.count("ip.addr == 10.0.0.0/8 or ipv6.addr == fd00::/8") == 0


def test_bgp_recovers_when_the_data_plane_was_killed(bgp, wan):
    capture = wan(bgp.sites)
    pid = bgp.sites.gw_a.kill("trunkgate-dataplane")
    bgp.sites.gw_a.wait_restarted("trunkgate-dataplane", pid)
    bgp.sites.gw_a.wait_ready()
    for lan in LANS[1]:
        bgp.wait_routes(prefix=lan)
    for address in (Sites.B4, Sites.B6):
        wait_until(lambda a=address: traffic.ping("site-a", a, count=1, check=False, deadline=1)[1] > 0, "traffic", 20)
    wait_until(lambda: bgp.a.established(ENDS[1][0]), "the session is up again", 30)
    capture.stop()
    assert_protected(capture)


def test_routing_daemon_does_not_turn_forwarding_on(bgp):
    for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        with inside("gw-a"), open(f"/proc/sys/{key}") as f:
            assert f.read().strip() == "0", key


def packets(gateway, tunnel, child="all"):
    return gateway.sa(tunnel, child, "out")["packets"]


def test_two_side_by_side(make_sites, wan):
    """Both have any-any selectors and the same peer: the routes alone say which one a packet takes."""
    sites = make_sites().start_gateways([route_based("one", 1), route_based("two", 2)])
    capture = wan(sites)
    sites.lab.address("site-b", "eth0", "10.2.2.10/16")
    for prefix, name in (("10.2.1.0/24", "one"), ("10.2.2.0/24", "two")):
        sites.lab.ip("gw-a", "route", "add", prefix, "dev", f"tg-{name}")
    sites.lab.ip("gw-b", "route", "add", "10.1.0.0/16", "dev", "tg-one")

    def used(address):
        """How many packets each tunnel took of three pings."""
        wait_until(lambda: traffic.ping("site-a", address, count=1, check=False, deadline=1)[1], "the routes are followed")
        before = [packets(sites.gw_a, f"t-{name}") for name in ("one", "two")]
        traffic.ping("site-a", address, count=3)
        return [packets(sites.gw_a, f"t-{name}") - b for name, b in zip(("one", "two"), before)]
    assert used("10.2.1.10") == [3, 0]
    assert used("10.2.2.10") == [0, 3]
    sites.lab.ip("gw-a", "route", "replace", "10.2.1.0/24", "dev", "tg-two")
    wait_until(lambda: any(r["destination"] == "10.2.1.0/24" and r["port"] == "two" for r in sites.gw_a.show("routes")),
               "the new route is followed")
    assert used("10.2.1.10") == [0, 3]
    capture.stop()
    assert_protected(capture, at_least=18)


def test_beside_a_policy_based_one(make_sites, wan):
    """Selectors come before routes: what they name takes their tunnel, the rest of the network the interface."""
    policy = Tunnel("policy", Sites.GW_A4, Sites.GW_B4, [Child("some", ["10.1.0.0/16"], ["10.2.2.0/24"])])
    sites = make_sites().start_gateways([policy, route_based()])
    capture = wan(sites)
    sites.lab.address("site-b", "eth0", "10.2.2.10/16")
    lead(sites)
    for address, expected in (("10.2.1.10", [3, 0]), ("10.2.2.10", [0, 3])):
        before = [packets(sites.gw_a, "t-vpn"), packets(sites.gw_a, "policy", "some")]
        traffic.ping("site-a", address, count=3)
        after = [packets(sites.gw_a, "t-vpn"), packets(sites.gw_a, "policy", "some")]
        assert [b - a for a, b in zip(before, after)] == expected
    capture.stop()
    assert_protected(capture, at_least=12)


def kernel_mtu(lab, name="tg-vpn"):
    return json.loads(lab.ip("gw-a", "-j", "link", "show", name).stdout)[0]["mtu"]


def test_mtu_is_what_the_tunnel_leaves(make_sites):
    """Nobody sets it by hand: 1,500 less 20 (IPv4), 8 (ESP), 8 (IV), 16 (ICV) and the trailer."""
    sites = make_sites().start_gateways([route_based()], ports={"lan": {"mtu": 1400}})
    assert kernel_mtu(sites.lab) == 1446
    assert sites.gw_a.port("vpn")["mtu"] == 1446
    with pytest.raises(AssertionError, match="Message too long"):
        traffic.ping("gw-a", "169.254.0.2", count=1, size=1446 - 28 + 1, extra=("-M", "do"))
    traffic.ping("gw-a", "169.254.0.2", count=1, size=1446 - 28, extra=("-M", "do"))
    sites.lab.ip("gw-a", "route", "add", f"{Sites.GW_B4}/32", "via", Sites.A4, "dev", "tg-lan")
    wait_until(lambda: kernel_mtu(sites.lab) == 1346, "it follows the way to the peer")
    sites.lab.ip("gw-a", "route", "del", f"{Sites.GW_B4}/32")
    wait_until(lambda: kernel_mtu(sites.lab) == 1446, "it follows the way back")


def test_show_names_the_interface(make_sites):
    sites = make_sites().start_gateways([route_based()])
    lead(sites)
    traffic.ping("site-a", Sites.B4, count=3)
    port = sites.gw_a.port("vpn")
    assert (port["path"], port["state"], port["tap"]) == ("tunnel", "up", "tg-vpn")
    assert {"169.254.0.1/30", "fd00:ff::1/64"} <= set(port["addresses"])
    assert port["tx_packets"] >= 3 and port["rx_packets"] >= 3
    assert {s["interface"] for s in sites.gw_a.show("sas")} == {"vpn"}
    routes = [r for r in sites.gw_a.show("routes") if r["destination"] == "10.2.0.0/16"]
    assert [(r["port"], r["resolved"]) for r in routes] == [("vpn", True)]


# ---- one gateway, and scapy for the peer ----

BOX, FAR, HOST = "169.254.0.1", "169.254.0.2", Bench.HOST4
RULES = [{"name": "no-telnet", "from": "vpn", "to": "any", "protocol": "tcp", "destination_ports": "23", "action": "discard"},
         {"name": "out-again", "from": "vpn", "to": "wan", "destination": "192.0.2.0/24", "action": "bypass"},
         {"name": "not-into-it", "from": "any", "to": "vpn", "protocol": "udp", "destination_ports": "666", "action": "discard"},
         {"name": "never-in-clear", "from": "lan", "to": "vpn", "protocol": "udp", "destination_ports": "53", "action": "bypass"}]


@pytest.fixture(scope="module")
def bench(make_bench):
    tunnels = [route_based(local=Bench.BOX4, peer=Bench.PEER4), Tunnel("policy", Bench.BOX4, "203.0.113.26", [
        Child("lan", ["10.1.0.0/16"], ["10.3.0.0/16"])])]
    for n in range(3):  # each one's peer is reached through the one before
        tunnels.append(Tunnel(f"deep{n}", Bench.BOX4, f"203.0.113.{27 + n}", [Child("all", [], [])], interface=f"deep{n}"))
    b = make_bench().start(tunnels, RULES, routes=[("0.0.0.0/0", "203.0.113.1", "wan"), ("10.2.0.0/16", FAR, "vpn"),
                                                   ("fd00:2::/64", "fd00:ff::2", "vpn")])
    b.peer = b.peers["t-vpn", "all"]
    return b


def esp_of(b, mark, side="lan", packet=None):
    b.send(side, packet)
    inner = b.peer.open(b.expect_esp(b.peer))
    assert mark in bytes(inner)
    return inner


def test_what_no_rule_names_passes(bench):
    for source, destination in (("10.2.1.10", HOST), ("fd00:2::10", Bench.HOST6)):
        mark = token()
        esp_of(bench, mark, packet=udp_packet(destination, source, mark))
        mark = token()
        bench.send("wan", bench.peer.seal(udp_packet(source, destination, mark)))
        bench.expect_token("lan", mark)


def test_a_rule_lets_out_on_the_wan(bench):
    mark = token()
    bench.send("wan", bench.peer.seal(udp_packet("10.2.1.10", "192.0.2.9", mark)))
    bench.expect_token("wan", mark)


def test_bypass_into_the_interface_is_not_in_clear(bench):
    bench.clear()
    mark = token()
    esp_of(bench, mark, packet=udp_packet(HOST, "10.2.1.10", mark, dport=53))
    assert not [f for f in bench.wan.take() if mark in f.data]


@pytest.mark.parametrize("name,side,packet,reason", [
    ("a rule for what comes in", "tunnel", IP(src="10.2.1.10", dst=HOST) / TCP(sport=9, dport=23), "policy_discard"),
    ("out where its ESP came in", "tunnel", udp_packet("10.2.1.10", "198.51.100.9", b"x"), "no_policy"),
    ("a rule for what leads in", "lan", udp_packet(HOST, "10.2.1.10", b"x", dport=666), "policy_discard"),
    ("another tunnel's network", "tunnel", udp_packet("10.3.1.10", HOST, b"x"), "cleartext_must_be_protected"),
    ("in clear instead", "wan", udp_packet("10.2.1.10", HOST, b"x"), "no_policy"),
    ("a router advertisement", "tunnel", IPv6(src="fe80::1", dst="ff02::1", hlim=255) / ICMPv6ND_RA(),
     "route_change_refused")], ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "")
def test_dropped_by_name(bench, name, side, packet, reason):
    bench.wait_quiet()
    bench.clear()
    before = bench.gateway.drops()
    if side == "tunnel":
        bench.send("wan", bench.peer.seal(packet))
    else:
        bench.send(side, packet)
    bench.drops_rise(reason, before)
    mark = token()
    bench.send("wan", bench.peer.seal(udp_packet("10.2.1.10", HOST, mark)))
    assert len([f for f in (bench.lan.take() if bench.expect_token("lan", mark) else []) if b"x" == f.data[-1:]]) == 0


def test_the_box_sees_packets_come_in_at_the_interface(bench):
    """A service bound to the interface is asked and answers through the tunnel; multicast of routing protocols as well."""
    with inside("gw"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"tg-vpn")
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("224.0.0.5") + socket.inet_aton(BOX))
        s.bind(("", 5000))
        s.settimeout(3)
        for destination in (BOX, "224.0.0.5"):
            mark = token()
            bench.send("wan", bench.peer.seal(udp_packet(FAR, destination, mark, 6000, 5000)))
            assert s.recvfrom(1000) == (mark, (FAR, 6000))
        for destination in (FAR, "224.0.0.5"):
            bench.clear()
            mark = token()
            s.sendto(mark, (destination, 6000))
            wait_until(lambda m=mark: m in bytes(bench.peer.open(bench.expect_esp(bench.peer))), "it leaves as ESP")


def test_way_to_the_peer_through_the_tunnel_itself(bench):
    """A routing daemon may learn such a route: nothing loops, and the reason is told."""
    bench.lab.ip("gw", "route", "add", f"{Bench.PEER4}/32", "dev", "tg-vpn")
    wait_until(lambda: bench.has_route(f"{Bench.PEER4}/32"), "the route is followed")
    bench.wait_quiet()
    before = bench.gateway.drops()
    bench.send("lan", udp_packet(HOST, "10.2.1.10", token()))
    bench.drops_rise("peer_behind_tunnel", before)
    bench.lab.ip("gw", "route", "del", f"{Bench.PEER4}/32")
    wait_until(lambda: not bench.has_route(f"{Bench.PEER4}/32"), "the route is gone")
    test_what_no_rule_names_passes(bench)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_nested_tunnels_are_followed_two_deep(bench, depth):
    mark = token()
    packet = udp_packet("10.9.0.1", HOST, mark)
    for n in reversed(range(depth)):
        packet = bench.peers[f"deep{n}", "all"].seal(packet)
    bench.wait_quiet()
    before = bench.gateway.drops()
    bench.send("wan", packet)
    if depth <= 2:
        bench.expect_token("lan", mark)
        assert bench.gateway.drops() == before
    else:
        bench.drops_rise("too_many_passes", before)
