"""Fragments where rules and tunnels name ports: virtual reassembly (RFC 4301 7.4, RFC 1858, RFC 5722)."""

import itertools

import pytest
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.topology import Bench, token

HERE, THERE = {4: Bench.HOST4, 6: Bench.HOST6}, {4: Bench.CLEAR4, 6: Bench.CLEAR6}
BEHIND = {4: "10.2.1.10", 6: "fd00:2::10"}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
PORT, OTHER = 6000, 6001
_ids = itertools.count(100)


@pytest.fixture(scope="module")
def bench(make_bench):
    rules = [{"name": f"port{family}", "from": "lan", "to": "wan", "source": f"{HERE[family]}", "destination": f"{THERE[family]}",
              "protocol": protocol, "destination_ports": PORT, "action": "bypass", "both_ways": True}
             for family in (4, 6) for protocol in ("udp", "tcp")]
    ports = {"protocol": "udp", "local_port": "5000-5999", "remote_port": PORT}
    tunnel = Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("ports", ["10.1.0.0/16"], ["10.2.0.0/16"], extra=ports),
                                                  Child("ports6", ["fd00:1::/64"], ["fd00:2::/64"], extra=ports)])
    return make_bench().start([tunnel], [{**rule, "name": rule["name"] + rule["protocol"]} for rule in rules])


def parts_of(source, destination, dport, sport=5000):
    """UDP in three fragments of 400 bytes and a bit; the last of them holds the token."""
    payload = bytes(1150) + token()
    if ":" in source:
        whole = IPv6(src=source, dst=destination) / IPv6ExtHdrFragment(id=next(_ids)) / UDP(sport=sport, dport=dport) / Raw(payload)
        return [IPv6(bytes(p)) for p in fragment6(IPv6(bytes(whole)), 48 + 400)]
    whole = IP(src=source, dst=destination, id=next(_ids)) / UDP(sport=sport, dport=dport) / Raw(payload)
    return fragment(IP(bytes(whole)), 400)


def place(packet):
    """(id, offset) of a fragment."""
    if packet.version == 4:
        return packet[IP].id, packet[IP].frag
    return packet[IPv6ExtHdrFragment].id, packet[IPv6ExtHdrFragment].offset


def is_part(packet):
    return packet.type == 0x0800 and packet[IP].proto == 17 or packet.type == 0x86dd and IPv6ExtHdrFragment in packet


def expect_parts(bench, side, parts):
    for part in parts:
        bench.station(side).expect(lambda p, part=part: is_part(p) and place(p.payload) == place(part), f"the fragment {place(part)}")


def nothing_passed(bench):
    """A good datagram goes through behind those that must not; nothing was in front of it."""
    for part in parts_of(HERE[4], THERE[4], PORT):
        bench.send("lan", part)
    bench.wan.count(lambda data: data[12:14] == b"\x08\x00", 3, "fragments of the good datagram")
    assert bench.wan.take() == []


@FAMILIES
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=lambda order: "".join(map(str, order)))
def test_every_order_passes_by_the_ports(bench, family, order):
    bench.clear()
    before = bench.gateway.drops()
    parts = parts_of(HERE[family], THERE[family], PORT)
    assert len(parts) == 3
    for place_in_order in order:
        bench.send("lan", parts[place_in_order])
    expect_parts(bench, "wan", parts)
    assert bench.gateway.drops() == before


@FAMILIES
def test_the_other_direction_too(bench, family):
    bench.clear()
    parts = parts_of(THERE[family], HERE[family], 5000, sport=PORT)
    for part in reversed(parts):
        bench.send("wan", part)
    expect_parts(bench, "lan", parts)


@FAMILIES
def test_what_no_rule_allows_goes_with_all_its_parts(bench, family):
    bench.clear()
    for order in ((0, 1, 2), (2, 1, 0)):
        before = bench.gateway.drops()
        parts = parts_of(HERE[family], THERE[family], OTHER)
        for place_in_order in order:
            bench.send("lan", parts[place_in_order])
        bench.drops_rise("no_policy", before, by=3)
    nothing_passed(bench)


@FAMILIES
def test_without_its_first_part_nothing_passes(bench, family):
    bench.clear()
    before = bench.gateway.drops()
    for part in parts_of(HERE[family], THERE[family], PORT)[1:]:
        bench.send("lan", part)
    bench.drops_rise("fragment_without_first", before, by=2, seconds=5)
    assert bench.wan.take() == []
    bench.wait_buffers_free()


def at(packet, offset, more, data, id):
    """A fragment by hand, in the place of `packet`'s addresses; `offset` in bytes."""
    if packet.version == 4:
        return IP(src=packet.src, dst=packet.dst, id=id, proto=17, frag=offset // 8, flags="MF" if more else 0) / Raw(data)
    return IPv6(src=packet.src, dst=packet.dst) / IPv6ExtHdrFragment(nh=17, id=id, offset=offset // 8, m=int(more)) / Raw(data)


@FAMILIES
def test_overlapping_parts_take_the_datagram_with_them(bench, family):
    """The later part would write other ports over those that were judged (RFC 5722)."""
    bench.clear()
    head = bytes(UDP(sport=5000, dport=PORT, len=8 + 400)) + bytes(392)
    evil = bytes(UDP(sport=5000, dport=22, len=8 + 400)) + bytes(400)
    frame, id = parts_of(HERE[family], THERE[family], PORT)[0], next(_ids)
    bench.send("lan", first := at(frame, 0, True, head, id))
    expect_parts(bench, "wan", [first])
    before = bench.gateway.drops()
    bench.send("lan", at(frame, 0, True, evil, id))
    bench.send("lan", at(frame, 392, True, bytes(400), id))
    bench.send("lan", at(frame, 400, False, bytes(8), id))
    bench.drops_rise("fragment_overlapping", before, by=3)
    nothing_passed(bench)


@FAMILIES
def test_a_copy_goes_alone(bench, family):
    bench.clear()
    parts = parts_of(HERE[family], THERE[family], PORT)
    before = bench.gateway.drops()
    for part in (parts[0], parts[0], parts[1], parts[1], parts[2]):
        bench.send("lan", part)
    expect_parts(bench, "wan", parts)
    bench.drops_rise("fragment_duplicate", before, by=2)


@FAMILIES
def test_tiny_parts_never_pass(bench, family):
    """RFC 1858: a first part that ends inside the TCP header, and one that reaches into it."""
    bench.clear()
    segment = bytes(TCP(sport=5000, dport=PORT, flags="S")) + bytes(40)
    frame, id = parts_of(HERE[family], THERE[family], PORT)[0], next(_ids)
    before = bench.gateway.drops()
    for offset, more, data in ((0, True, segment[:16]), (16, True, segment[16:32]), (32, False, segment[32:])):
        one = at(frame, offset, more, data, id)
        if family == 4:
            one.proto = 6
        else:
            one[IPv6ExtHdrFragment].nh = 6
        bench.send("lan", one)
    bench.drops_rise("fragment_tiny", before, by=3)
    nothing_passed(bench)


@FAMILIES
def test_broken_parts_never_pass(bench, family):
    bench.clear()
    frame = parts_of(HERE[family], THERE[family], PORT)[0]
    before = bench.gateway.drops()
    bench.send("lan", at(frame, 400, True, bytes(401), next(_ids)))  # more to come, and no whole units of eight bytes
    bench.send("lan", at(frame, 65528, False, bytes(16), next(_ids)))  # beyond 65,535
    bench.drops_rise("fragment_malformed", before, by=2)
    nothing_passed(bench)


def test_more_parts_than_wait_are_refused(bench):
    bench.clear()
    frame, id = parts_of(HERE[4], THERE[4], PORT)[0], next(_ids)
    before = bench.gateway.drops()
    for number in range(17):
        bench.send("lan", at(frame, 400 + number * 16, True, bytes(16), id))
    bench.drops_rise("fragment_limit", before, by=17)
    bench.wait_buffers_free()


# ---- tunnels ----

CHILD = {4: "ports", 6: "ports6"}


@FAMILIES
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=["in-order", "backwards", "mixed"])
def test_parts_go_into_the_tunnel_by_their_ports(bench, family, order):
    peer = bench.peers["t", CHILD[family]]
    bench.clear()
    parts = parts_of(HERE[family], BEHIND[family], PORT, sport=5999)
    for place_in_order in order:
        bench.send("lan", parts[place_in_order])
    inner = [peer.open(bench.expect_esp(peer)) for _ in parts]
    assert sorted(map(place, inner)) == sorted(map(place, parts))
    before = bench.gateway.drops()
    for part in parts_of(HERE[family], BEHIND[family], OTHER):
        bench.send("lan", part)
    bench.drops_rise("no_policy", before, by=3)


@FAMILIES
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)], ids=["in-order", "backwards", "mixed"])
def test_parts_come_out_of_the_tunnel_by_their_ports(bench, family, order):
    peer = bench.peers["t", CHILD[family]]
    bench.clear()
    parts = parts_of(BEHIND[family], HERE[family], 5000, sport=PORT)
    for place_in_order in order:
        bench.send("wan", peer.seal(parts[place_in_order]))
    expect_parts(bench, "lan", parts)
    before = bench.gateway.drops()
    parts = parts_of(BEHIND[family], HERE[family], 6000, sport=PORT)
    for place_in_order in order:
        bench.send("wan", peer.seal(parts[place_in_order]))
    bench.drops_rise("selector_mismatch", before, by=3)
    assert bench.lan.take() == []
    bench.wait_buffers_free()
