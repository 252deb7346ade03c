"""The gateway itself on the network: the kernel is its slow path, and sees what is its own exactly once."""

import socket

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6NDOptPrefixInfo, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.netns import inside, wait_until
from harness.topology import Bench, inner_packet, token, udp_packet

POLICIES = [{"name": "ping-wan", "from": "wan", "to": "box", "protocol": "icmp", "source": "203.0.113.0/24",
             "action": "bypass", "both_ways": True},
            {"name": "ping-wan6", "from": "wan", "to": "box", "protocol": "ipv6-icmp", "action": "bypass",
             "both_ways": True},
            {"name": "on-link", "from": "lan", "to": "wan", "destination": "203.0.113.0/24", "action": "bypass"},
            {"name": "routed", "from": "lan", "to": "wan", "destination": "198.51.100.0/24", "action": "bypass"},
            *Bench.POLICIES[1:]]


@pytest.fixture(scope="module")
def bench(make_bench):
    tunnel = Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"])])
    return make_bench().start([tunnel], POLICIES)


@pytest.fixture
def ike(bench):
    with inside("gw"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("", 500))
    s.settimeout(3)
    yield s
    s.close()


def settle(bench):
    """Packets through the tunnel both ways: what came before them has come."""
    bench.good_packet_passes(bench.peers["t", "lan"])


def test_one_arp_reply(bench):
    bench.clear()
    bench.ask_arp()
    reply = bench.wan.expect(lambda p: ARP in p and p[ARP].op == 2, "the ARP reply")
    assert reply.src == reply[ARP].hwsrc == bench.mac["wan"] and reply[ARP].psrc == Bench.BOX4
    settle(bench)
    assert [f for f in bench.wan.take() if ARP in Ether(f.data)] == []


def test_no_arp_reply_for_the_other_ports_address(bench):
    bench.clear()
    bench.ask_arp("203.0.113.99")
    bench.ask_arp(Bench.BOX_LAN4)
    settle(bench)
    assert [f for f in bench.wan.take() if ARP in Ether(f.data)] == []


def test_one_neighbour_advertisement(bench):
    bench.clear()
    target = socket.inet_pton(socket.AF_INET6, Bench.BOX6)
    group = "ff02::1:ff%02x:%02x%02x" % tuple(target[13:])
    bench.wan.send(Ether(src=Bench.WAN_MAC, dst="33:33:ff:%02x:%02x:%02x" % tuple(target[13:])) /
                   IPv6(src=Bench.PEER6, dst=group, hlim=255) / ICMPv6ND_NS(tgt=Bench.BOX6) / ICMPv6NDOptSrcLLAddr(lladdr=Bench.WAN_MAC))
    reply = bench.wan.expect(lambda p: ICMPv6ND_NA in p, "the neighbour advertisement")
    assert reply[ICMPv6ND_NA].tgt == Bench.BOX6 and reply.src == bench.mac["wan"]
    settle(bench)
    assert [f for f in bench.wan.take() if ICMPv6ND_NA in Ether(f.data)] == []


def test_router_advertisements_change_nothing(bench):
    """Whoever is on the WAN can't give the gateway a default route or an address."""
    before = (bench.gateway.show("routes"), bench.gateway.port("wan")["addresses"])
    drops = bench.gateway.drops()
    router = "fe80::bad"
    bench.send("wan", IPv6(src=router, dst="ff02::1", hlim=255) / ICMPv6ND_RA(routerlifetime=1800, prf=1) /
               ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64) / ICMPv6NDOptSrcLLAddr(lladdr=Bench.WAN_MAC),
               mac="33:33:00:00:00:01")
    bench.drops_rise("route_change_refused", drops)
    settle(bench)
    assert (bench.gateway.show("routes"), bench.gateway.port("wan")["addresses"]) == before


def test_ike_is_delivered_once(bench, ike):
    mark = token()
    bench.send("wan", udp_packet(Bench.PEER4, Bench.BOX4, mark, 500, 500))
    assert ike.recvfrom(1000) == (mark, (Bench.PEER4, 500))
    settle(bench)
    ike.setblocking(False)
    with pytest.raises(BlockingIOError):
        ike.recv(1000)
    answer = token()
    ike.sendto(answer, (Bench.PEER4, 500))
    frame = bench.wan.expect(lambda p: answer in bytes(p), "the answer of the IKE daemon")
    again = IP(bytes(frame[IP]))
    del again.chksum, again[UDP].chksum
    assert bytes(again) == bytes(frame[IP])  # checksums were completed, whatever the TAP left open


def test_ike_in_fragments_reaches_the_box(bench, ike):
    """Certificates make IKE messages larger than the path: the kernel gets every part."""
    payload = token() + bytes(2500)
    whole = IP(src=Bench.PEER4, dst=Bench.BOX4, id=321) / UDP(sport=500, dport=500) / Raw(payload)
    for part in fragment(whole, fragsize=1400):
        bench.send("wan", part)
    assert ike.recv(4000) == payload


def test_ike_from_the_lan_side_to_the_wan_address(bench, ike):
    mark = token()
    bench.send("lan", udp_packet(Bench.HOST4, Bench.BOX4, mark, 500, 500))
    assert ike.recvfrom(1000)[0] == mark


def test_ping_to_the_box_by_policy_only(bench):
    bench.clear()
    for source, dest, layer, reply in (
            (Bench.PEER4, Bench.BOX4, ICMP(type=8, id=3, seq=1), lambda p: ICMP in p and p[ICMP].type == 0),
            (Bench.PEER6, Bench.BOX6, ICMPv6EchoRequest(id=3), lambda p: ICMPv6EchoReply in p)):
        mark = token()
        bench.send("wan", (IPv6 if ":" in source else IP)(src=source, dst=dest) / layer / Raw(mark))
        answer = bench.wan.expect(lambda p: reply(p) and mark in bytes(p), f"the echo reply of {dest}")
        assert answer.payload.src == dest
    before = bench.gateway.drops()
    bench.send("lan", IP(src=Bench.HOST4, dst=Bench.BOX_LAN4) / ICMP(type=8, id=4) / Raw(token()))
    bench.drops_rise("no_policy", before)
    settle(bench)
    assert [f for f in bench.lan.take() if ICMP in Ether(f.data)] == []


def test_box_sends_nothing_else_past_the_policy(bench):
    """Only IKE, ARP and ND of the box itself pass by built-in rule: what a stray daemon sends is dropped by name."""
    bench.clear()
    with inside("gw"):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    before = bench.gateway.drops()
    mark = token()
    with s:
        s.sendto(mark, (Bench.PEER4, 9999))
        bench.drops_rise("no_policy", before)
    settle(bench)
    assert not [f for f in bench.wan.take() if mark in f.data]


def test_route_of_a_routing_daemon_is_followed(bench):
    """`ip route add ... dev tg-wan`, as FRR or BIRD would: followed, changed and withdrawn."""
    second = "02:00:00:00:0f:77"
    bench.wan.neighbours["203.0.113.77"] = second
    bench.clear()
    mark = token()
    bench.send("lan", udp_packet(Bench.HOST4, "198.51.100.9", mark))
    assert bench.wan.expect(lambda p: mark in bytes(p), "by the default route").dst == Bench.WAN_MAC
    bench.lab.ip("gw", "route", "add", "198.51.100.0/24", "via", "203.0.113.77", "dev", "tg-wan")
    wait_until(lambda: bench.has_route("198.51.100.0/24"), "the route is followed")
    mark = token()
    bench.send("lan", udp_packet(Bench.HOST4, "198.51.100.9", mark))
    assert bench.wan.expect(lambda p: mark in bytes(p), "by the new route").dst == second
    bench.lab.ip("gw", "route", "del", "198.51.100.0/24")
    wait_until(lambda: not bench.has_route("198.51.100.0/24"), "the route is gone")
    mark = token()
    bench.send("lan", udp_packet(Bench.HOST4, "198.51.100.9", mark))
    assert bench.wan.expect(lambda p: mark in bytes(p), "by the default route again").dst == Bench.WAN_MAC


def announce_mac(bench, mac, op):
    """An ARP announcement of the peer (RFC 5227 1.1: a request), or as a reply, as some routers send it."""
    bench.wan.send(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") /
                   ARP(op=op, hwsrc=mac, psrc=Bench.PEER4, hwdst=mac if op == 2 else "00:00:00:00:00:00",
                       pdst=Bench.PEER4))


@pytest.mark.parametrize("op", [1, 2], ids=["request", "reply"])
def test_next_hop_changes_its_mac(bench, op):
    """A standby router takes the next hop's address over: a running flow follows, without being interrupted."""
    new = "02:00:00:00:0f:02"
    peer = bench.peers["t", "lan"]
    settle(bench)
    bench.clear()
    bench.wan.neighbours[Bench.PEER4] = new
    announce_mac(bench, new, op)

    def follows():
        bench.send("lan", inner_packet(peer, token(), inbound=False))
        spi = peer.child.out_spi.to_bytes(4, "big")
        return bench.wan.expect(lambda p: spi in bytes(p)[34:42], "ESP").dst == new

    wait_until(follows, "ESP goes to the new MAC", 3)
    bench.wan.neighbours[Bench.PEER4] = Bench.WAN_MAC
    announce_mac(bench, Bench.WAN_MAC, op)
    settle(bench)


@pytest.mark.parametrize("number", range(3))
def test_first_packet_waits_for_its_next_hop(bench, number):
    address = f"203.0.113.{80 + number}"
    bench.wan.neighbours[address] = Bench.WAN_MAC
    marks = [token() for _ in range(5)]
    for mark in marks:
        bench.send("lan", udp_packet(Bench.HOST4, address, mark))
    for mark in marks:
        bench.expect_token("wan", mark)
    assert bench.wan.asked[address] >= 1


def test_on_link_ipv6_next_hop_is_resolved(bench):
    bench.lan.neighbours["fd00:1::77"] = Bench.LAN_MAC
    mark = token()
    bench.send("wan", udp_packet(Bench.CLEAR6, "fd00:1::77", mark))
    bench.expect_token("lan", mark)


def test_kernel_does_not_forward(bench):
    """The kernel must not route between the TAPs past the policy."""
    for key in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
        with inside("gw"), open(f"/proc/sys/{key}") as f:
            assert f.read().strip() == "0", key


def test_netdev_has_no_address(bench):
    text = bench.lab.ip("gw", "address", "show", "dev", "wan0").stdout
    assert "inet" not in text, text
    text = bench.lab.ip("gw", "address", "show", "dev", "tg-wan").stdout
    assert f"inet {Bench.BOX4}/24" in text and f"inet6 {Bench.BOX6}/64" in text
