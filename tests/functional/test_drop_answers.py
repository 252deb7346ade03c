"""Drops that make an answer, need several packets, or a state of the network: too big, expired, unresolved."""

import random
import socket

import pytest
from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6PacketTooBig, ICMPv6TimeExceeded, IPv6, IPv6ExtHdrFragment, fragment6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness import bad_input
from harness.bad_input import BOX, HOST, PEER, clear, nested
from harness.netns import inside, wait_until
from harness.topology import Bench, inner_packet, token, udp_packet


@pytest.fixture(scope="module")
def bench(make_bench):
    return bad_input.start(make_bench())


def quoted(packet, error):
    """An ICMP error quotes the start of the packet that caused it (RFC 792, RFC 4443)."""
    quote = bytes(error)[8:]
    original = bytes(packet)
    return quote[12:20] == original[12:20] if original[0] >> 4 == 4 else quote[8:40] == original[8:40]


def with_new_checksums(packet, layer):
    """The packet with the checksums that scapy finds right."""
    copy = packet.__class__(bytes(packet))
    if copy.version == 4:
        del copy.chksum, copy[layer].chksum
    else:
        del copy[layer].cksum
    return copy


def test_hop_limit_expired(bench):
    bench.clear()
    six = udp_packet(Bench.HOST6, Bench.CLEAR6, token(), hlim=1)
    for family, packet, layer in ((4, clear(ttl=1), ICMP), (6, six, ICMPv6TimeExceeded)):
        before = bench.gateway.drops()
        bench.send("lan", packet)
        error = bench.lan.expect(lambda p: layer in p, f"time exceeded, IPv{family}")
        assert error.payload.dst == packet.src
        assert error.payload.src == (Bench.BOX_LAN4 if family == 4 else Bench.BOX_LAN6)
        assert error[layer].type == (11 if family == 4 else 3) and quoted(packet, error[layer])
        assert bytes(with_new_checksums(error.payload, layer)) == bytes(error.payload)
        bench.drops_rise("hop_limit_expired", before)


@pytest.mark.parametrize("reason,packet,type_code", [
    ("no_route", udp_packet(Bench.HOST6, "2001:db8:dead::1", b"nowhere to send it"), (1, 0)),
    ("route_unreachable", udp_packet(HOST, "192.0.2.200", b"an unreachable route"), (3, 1))])
def test_no_way_there(bench, reason, packet, type_code):
    """RFC 4443 3.1, RFC 1812 5.2.7.1; the quotation ends where the packet does."""
    bench.clear()
    before = bench.gateway.drops()
    bench.send("lan", packet)
    layer = ICMP if packet.version == 4 else ICMPv6DestUnreach
    error = bench.lan.expect(lambda p: layer in p, "destination unreachable")
    assert (error[layer].type, error[layer].code) == type_code and quoted(packet, error[layer])
    assert len(bytes(error[layer])) == 8 + len(bytes(packet))
    assert bytes(with_new_checksums(error.payload, layer)) == bytes(error.payload)
    bench.drops_rise(reason, before)


def test_icmp_error_is_not_answered_by_one(bench):
    """RFC 1122 3.2.2: no ICMP error about an ICMP error."""
    bench.clear()
    before = bench.gateway.drops()
    bench.send("lan", IP(src=HOST, dst="203.0.113.25", ttl=1) / ICMP(type=3, code=1) /
               IP(src="203.0.113.25", dst=HOST) / UDP(sport=1, dport=2))
    bench.drops_rise("icmp_error_suppressed", before)
    bench.good_packet_passes(bench.peers["good", "gcm"])
    assert not [f for f in bench.lan.take() if ICMP in Ether(f.data)]


@pytest.mark.parametrize("child", ["gcm", "six"], ids=["ipv4", "ipv6"])
def test_packet_too_big(bench, child):
    """The sender is told the largest packet that the tunnel carries; one of exactly that size passes, a larger does not."""
    peer = bench.peers["good", child]
    v6 = child == "six"
    fields = {} if v6 else {"flags": "DF"}
    bench.clear()
    packet = inner_packet(peer, token() + bytes(1420), inbound=False, **fields)
    before = bench.gateway.drops()
    bench.send("lan", packet)
    layer = ICMPv6PacketTooBig if v6 else ICMP
    error = bench.lan.expect(lambda p: layer in p, "packet too big")
    bench.drops_rise("packet_too_big", before)
    mtu = error[layer].mtu if v6 else error[layer].nexthopmtu
    assert v6 or (error[layer].type, error[layer].code) == (3, 4)
    assert quoted(packet, error[layer]) and 1380 < mtu < 1500
    header = 48 if v6 else 28
    bench.send("lan", inner_packet(peer, bytes(mtu - header), inbound=False, **fields))
    outer = bench.expect_esp(peer)
    assert len(outer) <= 1500 and len(peer.open(outer)) == mtu
    bench.send("lan", inner_packet(peer, bytes(mtu - header + 1), inbound=False, **fields))
    bench.lan.expect(lambda p: layer in p, "packet too big, for one byte")


def test_fragment_of_esp_without_its_rest(bench):
    """The parts that came are dropped by name when the rest cannot come any more; the next whole packet passes."""
    peer = bench.peers["good", "gcm"]
    outer = IP(bytes(peer.seal(inner_packet(peer, token() + bytes(1200), inbound=True))))
    outer.id = 4242
    first, second, *_ = fragment(outer, fragsize=800)
    before = bench.gateway.drops().get("fragment_mismatch", 0)
    wider = first.copy()  # overlaps the second part (RFC 5722's reason to refuse)
    wider.payload = Raw(bytes(first.payload) + bytes(400))
    del wider.len, wider.chksum
    bench.send("wan", second)
    bench.send("wan", wider)
    wait_until(lambda: bench.gateway.drops().get("fragment_mismatch", 0) > before, "the drop is counted", 10)
    bench.good_packet_passes(peer)


def test_fragment_whose_rest_never_comes(bench):
    peer = bench.peers["good", "gcm"]
    before = bench.gateway.drops()
    bench.send("wan", fragment(IP(bytes(peer.seal(inner_packet(peer, token() + bytes(1200), inbound=True)))), fragsize=800)[0])
    bench.drops_rise("fragment_timeout", before, seconds=10)


def test_many_fragments_that_do_not_fit_together(bench):
    """Each datagram's eight parts are dropped together, many at once; every one is counted."""
    peer = bench.peers["good", "gcm"]
    before = bench.gateway.drops()

    def part(number, at, more, length=8):
        header = IP(src=PEER, dst=BOX, proto=50, id=number, frag=at, flags="MF" if more else 0)
        return bytes(Ether(src=Bench.WAN_MAC, dst=bench.mac["wan"]) / header / Raw(bytes(length)))

    numbers = range(1000, 1060)
    bench.wan.send_many([part(n, at, at < 7) for n in numbers for at in range(1, 8)])
    bench.wan.send_many([part(n, 0, True, 80) for n in numbers])  # longer than the whole
    bench.drops_rise("fragment_mismatch", before, by=8 * len(numbers), seconds=10)
    bench.good_packet_passes(peer)


@pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("size", [1700, 5000])
@pytest.mark.parametrize("port", [500, 4500, 7000])
def test_fragments_of_udp_reach_the_box(bench, port, size, family):
    """IKE with certificates is larger than a packet. Its parts come in any order, and the later ones do not say their port."""
    with inside("gw"):
        box = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    with box:
        box.bind(("", port))
        box.settimeout(3)
        for order in (1, -1):
            payload = bytes(4) + token() + random.randbytes(size)  # the first four: RFC 3948 2.2's marker
            whole = udp_packet(*((PEER, BOX) if family == 4 else (Bench.PEER6, Bench.BOX6)), payload, sport=port, dport=port)
            parts = fragment(IP(bytes(whole), id=order & 0xff), fragsize=1000) if family == 4 else fragment6(
                IPv6(src=whole.src, dst=whole.dst) / IPv6ExtHdrFragment(id=order & 0xff) / whole.payload, 1000)
            assert len(parts) > size // 1000
            for part in parts[::order]:
                bench.send("wan", part)
            assert box.recv(65536) == payload


def test_neighbour_that_never_answers(bench):
    before = bench.gateway.drops().get("neighbour_unresolved", 0)
    bench.send("lan", udp_packet(HOST, "203.0.113.200", token()))
    wait_until(lambda: bench.gateway.drops().get("neighbour_unresolved", 0) == before + 1, "neighbour_unresolved", 10)
    assert bench.wan.asked["203.0.113.200"] >= 1
    bench.good_packet_passes(bench.peers["good", "gcm"])


def test_more_packets_than_wait_for_a_neighbour(bench):
    before = bench.gateway.drops().get("neighbour_queue_full", 0)
    one = bytes(Ether(src=Bench.LAN_MAC, dst=bench.mac["lan"]) / udp_packet(HOST, "203.0.113.201", b"x"))
    bench.lan.send_many([one] * 5000)
    wait_until(lambda: bench.gateway.drops().get("neighbour_queue_full", 0) > before, "neighbour_queue_full")
    bench.good_packet_passes(bench.peers["good", "gcm"])


def test_flood_for_the_box_is_limited(bench):
    """A flood of echo requests to the box is policed, and the tunnel does not notice."""
    before = bench.gateway.drops().get("punt_rate_limited", 0)
    echo = bytes(Ether(src=Bench.WAN_MAC, dst=bench.mac["wan"]) / IP(src=PEER, dst=BOX) /
                 ICMP(type=8, id=1, seq=1) / Raw(bytes(20)))
    bench.wan.ignore = lambda data: data[23:24] == b"\x01" and data[34:35] == b"\0"
    for _ in range(20):
        bench.wan.send_many([echo] * 500)
    wait_until(lambda: bench.gateway.drops().get("punt_rate_limited", 0) > before, "punt_rate_limited")
    bench.good_packet_passes(bench.peers["good", "gcm"])
    bench.wan.ignore = lambda data: False


def test_port_down(bench):
    """The far side of the WAN's cable is pulled: what would leave there is dropped by name, and flows again after."""
    bench.lab.ip("peer", "link", "set", "eth0", "down")
    wait_until(lambda: bench.gateway.port("wan")["state"] == "down", "the port is reported down")
    before = bench.gateway.drops().get("port_down", 0)
    bench.send("lan", clear())
    bench.send("lan", inner_packet(bench.peers["good", "gcm"], token(), inbound=False))
    wait_until(lambda: bench.gateway.drops().get("port_down", 0) >= before + 2, "port_down")
    bench.lab.ip("peer", "link", "set", "eth0", "up")
    wait_until(lambda: bench.gateway.port("wan")["state"] == "up", "the port is up again")
    wait_until(lambda: _flows(bench), "packets flow again")


def _flows(bench):
    try:
        bench.good_packet_passes(bench.peers["good", "gcm"])
        return True
    except (AssertionError, OSError):
        return False


def test_two_nested_tunnels_are_followed(bench):
    """One less than too many: the innermost packet reaches the box."""
    with inside("gw"):
        box = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with box:
        box.bind(("", 7000))
        box.settimeout(3)
        bench.send("wan", nested(bench, 2))
        assert box.recv(100).startswith(b"token-")


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
