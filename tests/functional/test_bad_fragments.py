"""Fragments that nobody honest sends, and floods of them: each part is dropped by name, memory stays bounded, and the
tunnels do not notice.
"""

import os
import random
import struct

import pytest

from harness import oracle
from harness.bad_input import BOX, PEER, token
from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.oracle import ip_packet, packed, udp_packet
from harness.station import listener_report
from harness.topology import Bench

FOUR, SIX = (packed(PEER), packed(BOX)), (packed(Bench.PEER6), packed(Bench.BOX6))
MORE = 0x2000
_numbers = iter(range(1, 1 << 16))


@pytest.fixture(scope="module")
def bench(make_bench):
    tunnels = [Tunnel("four", BOX, PEER, [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])]),
               Tunnel("six", Bench.BOX6, Bench.PEER6, [Child("c", ["10.1.0.0/16"], ["10.3.0.0/16"])]),
               Tunnel("udp", BOX, PEER, [Child("c", ["10.1.0.0/16"], ["10.4.0.0/16"])], True)]
    b = make_bench().start(tunnels, peer_type=oracle.Peer)
    b.wan.ignore = b.lan.ignore = listener_report
    b.clear()
    good_passes(b)
    return b


def ethernet(b, packet):
    kind = b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00"
    return bytes.fromhex((b.mac["wan"] + b.WAN_MAC).replace(":", "")) + kind + packet


def good_passes(b, tunnel="four", length=20):
    peer = b.peers[tunnel, "c"]
    inner = inner_of(peer, token() + bytes(length))
    b.wan.send(ethernet(b, peer.seal(inner)))
    assert [oracle.cut(f.data[14:]) for f in b.lan.gather(1)] == [oracle.forwarded(inner)]


def inner_of(peer, payload):
    return udp_packet(packed(peer.child.remote[0].replace("0.0/16", "1.10")), packed(Bench.HOST4), 1, 2, payload)


def part(ends, number, at, more, content, protocol=50):
    """One fragment; `at` in bytes."""
    if len(ends[0]) == 4:
        return ip_packet(*ends, protocol, content, identification=number & 0xffff, fragment=at // 8 | (MORE if more else 0))
    return ip_packet(*ends, 44, struct.pack("!BBHI", protocol, 0, at | more, number) + content)


def upper(b, tunnel, payload):
    """(outer ends, protocol, what the fragments carry, the inner packet) of a good ESP packet."""
    peer = b.peers[tunnel, "c"]
    inner = inner_of(peer, payload)
    outer = peer.seal(inner)
    ends = SIX if tunnel == "six" else FOUR
    return ends, 17 if tunnel == "udp" else 50, outer[40 if ends is SIX else 20:], inner


def cut(b, tunnel, size=200, payload=640):
    """Name of the datagram and its parts as [(offset, more, content)]."""
    ends, protocol, data, inner = upper(b, tunnel, token() + bytes(payload))
    parts = [(at, at + size < len(data), data[at:at + size]) for at in range(0, len(data), size)]
    return (ends, protocol, next(_numbers)), parts, inner


def built(name, parts):
    ends, protocol, number = name
    return [part(ends, number, at, more, content, protocol) for at, more, content in parts]


def risen(b, before):
    """{reason: by how much}; (of fragments, of everything else)."""
    now = b.gateway.drops()
    by = {k: now[k] - before.get(k, 0) for k in now if now[k] != before.get(k, 0)}
    fragments = sum(count for reason, count in by.items() if reason.startswith("fragment_"))
    return by, fragments, sum(by.values()) - fragments


def refused(b, packets, seconds=8):
    """Every part is counted, as fragments are."""
    b.clear()
    before = b.gateway.drops()
    b.wan.send_many([ethernet(b, packet) for packet in packets])
    try:
        wait_until(lambda: risen(b, before)[1] >= len(packets), "the drops", seconds)
    except TimeoutError:
        pass
    assert risen(b, before)[1:] == (len(packets), 0), risen(b, before)[0]
    assert not b.lan.take() + b.wan.take()
    good_passes(b)


families = pytest.mark.parametrize("tunnel", ["four", "six", "udp"])


@families
@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_honest_fragments_pass(bench, tunnel, order):
    name, parts, inner = cut(bench, tunnel)
    bench.clear()
    bench.wan.send_many([ethernet(bench, packet) for packet in built(name, parts)[::order]])
    assert [oracle.cut(f.data[14:]) for f in bench.lan.gather(1)] == [oracle.forwarded(inner)]


def overlaps(parts):
    """Sets of parts that overlap, none of which is whole without the part that does."""
    first, second, *rest = parts
    udp_header = first[2][:8]
    return [
        [first, (second[0] - 8, second[1], bytes(8) + second[2]), *rest],  # the second begins early
        [first, (second[0] - 8, second[1], second[2]), *rest],  # and leaves a hole behind it
        [(0, True, first[2] + bytes(8)), second, *rest],  # the first is wider
        [(0, True, first[2] + second[2]), (8, True, bytes(16)), *rest],  # one inside another
        [first, (0, True, udp_header + bytes(len(first[2]) - 8)), second],  # other bytes at the same place
        [first, (second[0] + 200, False, second[2]), (second[0] + 264, False, second[2])],  # two ends
        [first, (second[0] + 400, True, second[2]), (second[0], False, second[2])],  # something behind the end
        [(0, True, udp_header + bytes(35 * 8)), (24 * 8, False, bytes(4))]]  # teardrop


@families
@pytest.mark.parametrize("order", [1, -1], ids=["forwards", "backwards"])
def test_overlapping_fragments(bench, tunnel, order):
    """RFC 5722 3, RFC 8200 4.5: what overlaps is not put together, whichever part came first."""
    packets = []
    for number in range(8):
        name, parts, _ = cut(bench, tunnel)
        packets += built(name, overlaps(parts)[number][::order])
    refused(bench, packets)


@families
def test_tiny_fragments(bench, tunnel):
    """Eight bytes each, more of them than a packet may have."""
    name, parts, _ = cut(bench, tunnel, size=8, payload=200)
    assert len(parts) > 20
    refused(bench, built(name, parts))


def test_fragments_that_reach_past_the_largest_packet(bench):
    """The ping of death: offset and length together more than 65,535."""
    for ends in (FOUR, SIX):
        number = next(_numbers)
        refused(bench, [part(ends, number, 0, True, bytes(64)), part(ends, number, 0xfff8, False, bytes(800))])


def test_fragments_with_odd_lengths(bench):
    """All but the last must be multiples of eight (RFC 791 3.2, RFC 8200 4.5)."""
    for ends in (FOUR, SIX):
        number = next(_numbers)
        refused(bench, [part(ends, number, 0, True, bytes(61)), part(ends, number, 64, False, bytes(64))])


def test_fragments_of_nothing(bench):
    for ends in (FOUR, SIX):
        number = next(_numbers)
        refused(bench, [part(ends, number, 8 * at, True, b"") for at in range(1, 4)])


def test_fragments_behind_other_headers(bench):
    """Only a fragment header right behind the IPv6 header is taken."""
    body = struct.pack("!BB6s", 44, 0, b"\1\4\0\0\0\0") + struct.pack("!BBHI", 50, 0, 1, 77) + bytes(64)
    refused(bench, [ip_packet(*SIX, 60, body)])


def test_esp_damaged_before_it_was_cut(bench):
    for tunnel in ("four", "six", "udp"):
        name, parts, _ = cut(bench, tunnel)
        at, more, content = parts[1]
        parts[1] = (at, more, bytes([content[0] ^ 1]) + content[1:])
        before = bench.gateway.drops()
        bench.wan.send_many([ethernet(bench, packet) for packet in built(name, parts)])
        assert bench.drops_rise("esp_integrity_failed", before) == {"esp_integrity_failed": 1}
        good_passes(bench)


# ---- floods ----

def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sources(count):
    dice = random.Random(4)
    return [bytes([198, 18 + dice.randrange(2), dice.randrange(256), 1 + dice.randrange(254)]) for _ in range(count)]


@pytest.mark.parametrize("what", ["esp", "udp", "ipv6"])
def test_a_flood_of_first_fragments(bench, what):
    """50,000 from many sources. Meanwhile whole packets pass, and fewer buffers than the table has places are held."""
    data_plane = bench.gateway.daemon("trunkgate-dataplane")
    peer = bench.peers["four", "c"]
    head = oracle.udp_segment(b"", b"", 4500, 4500, bytes(1400), False) if what == "udp" else struct.pack("!II", 0x1234, 1)
    frames = [ethernet(bench, part((SIX[0][:8] + source * 2, SIX[1]) if what == "ipv6" else (source, FOUR[1]), number, 0, True,
                                   head[:24] + bytes(40), 17 if what == "udp" else 50))
              for number, source in enumerate(sources(50_000))]
    bench.clear()
    memory, lost, held, answered = resident(data_plane), 0, 0, 0
    drops, rx_before = bench.gateway.drops(), rx_lost(bench)
    for start in range(0, len(frames), 500):
        bench.wan.send_many(frames[start:start + 500])
        if start % 2500 == 0:
            inner = inner_of(peer, token())
            bench.wan.send(ethernet(bench, peer.seal(inner)))
            got = [oracle.cut(f.data[14:]) for f in bench.lan.gather(1)]
            answered += got == [oracle.forwarded(inner)]
            lost += got == []
            held = max(held, bench.buffers_free - bench.gateway.show("gateway")[0]["buffers_free"])
    assert (answered, lost) == (20, 0)
    assert resident(data_plane) - memory < 4 << 20, "the flood made the process grow"
    assert held < 2000, f"{held} packet buffers were held"
    # What did not wait, and what has waited long enough: all of it is counted, and every buffer is free again.
    wait_until(lambda: risen(bench, drops)[1] + rx_lost(bench) - rx_before >= len(frames),
               lambda: f"{risen(bench, drops)} of {len(frames)} counted", 10)
    assert risen(bench, drops)[2] == 0, risen(bench, drops)[0]
    bench.wait_buffers_free()
    # Honest fragments are put together again.
    name, parts, inner = cut(bench, "four")
    bench.clear()
    bench.wan.send_many([ethernet(bench, packet) for packet in built(name, parts)])
    assert [oracle.cut(f.data[14:]) for f in bench.lan.gather(1)] == [oracle.forwarded(inner)]


def rx_lost(bench):
    """What the kernel threw away before the gateway saw it."""
    return bench.gateway.port("wan")["rx_dropped"]


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
