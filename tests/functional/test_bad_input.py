"""Malformed packets by the hundred: cut at every byte, lies in every length, and what a peer with the right key may try.

Each is dropped under the one name that is its own, nothing comes out anywhere, and a good packet passes right afterwards.
"""

import collections
import random
import struct

import pytest

from harness import bad_input, oracle
from harness.bad_input import BOX, HOST, PEER
from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.oracle import ip_packet, packed, trailer, udp_packet
from harness.station import listener_report
from harness.topology import Bench

BOX_BYTES, PEER_BYTES, HOST_BYTES = packed(BOX), packed(PEER), packed(HOST)
CLEAR4, CLEAR6, HOST6 = packed(Bench.CLEAR4), packed(Bench.CLEAR6), packed(Bench.HOST6)
FAR4, FAR6 = packed("10.2.1.10"), packed("fd00:2::10")


@pytest.fixture(scope="module")
def bench(make_bench):
    only_tcp = Tunnel("tcp", BOX, PEER, [Child("c", ["10.1.0.0/16"], ["10.6.0.0/16"], extra={"protocol": "tcp"}),
                                         Child("port", ["10.1.0.0/16"], ["10.7.0.0/16"],
                                               extra={"protocol": "udp", "local_port": 53})])
    b = bad_input.start(make_bench(), [only_tcp], peer_type=oracle.Peer)
    b.wan.ignore = b.lan.ignore = listener_report
    b.clear()
    good_passes(b)
    return b


def ethernet(b, side, packet):
    kind = b"\x86\xdd" if packet[:1] and packet[0] >> 4 == 6 else b"\x08\x00"
    return bytes.fromhex((b.mac[side] + b.station(side).mac).replace(":", "")) + kind + packet


def inner4(payload=b"inside the tunnel", source=FAR4, sport=1234, **fields):
    return udp_packet(source, HOST_BYTES, sport, 5678, payload, **fields)


def inner6(payload=b"inside the tunnel"):
    return udp_packet(FAR6, HOST6, 1234, 5678, payload)


def good_passes(b):
    """A packet each way, whole and once."""
    peer = b.peers["good", "gcm"]
    mark = bad_input.token()
    packet = inner4(mark)
    b.wan.send(ethernet(b, "wan", peer.seal(packet)))
    assert [oracle.cut(f.data[14:]) for f in b.lan.gather(1)] == [oracle.forwarded(packet)]
    packet = udp_packet(HOST_BYTES, FAR4, 5678, 1234, mark)
    b.lan.send(ethernet(b, "lan", packet))
    assert [peer.open(f.data[14:])[2] for f in b.wan.gather(1)] == [oracle.forwarded(packet)]


def dropped(b, cases, side="wan", seconds=3.0):
    """`cases`: [(reason, IP packet)]. Sent back to back; the counters rise by these and by nothing else."""
    b.clear()
    wanted = collections.Counter(reason for reason, _ in cases)
    before = b.gateway.drops()
    b.station(side).send_many([ethernet(b, side, packet) for _, packet in cases])

    def risen():
        now = b.gateway.drops()
        return collections.Counter({k: now[k] - before.get(k, 0) for k in now if now[k] != before.get(k, 0)})
    try:
        wait_until(lambda: risen().total() >= len(cases), "the drops", seconds)
    except TimeoutError:
        pass
    assert risen() == wanted
    good_passes(b)
    assert risen() == wanted and not b.wan.take() + b.lan.take()


def each(reason, packets):
    return [(reason, packet) for packet in packets]


def sealed(b, plaintexts, child="gcm"):
    """Right ICVs around plaintexts that have their trailers."""
    peer = b.peers["good", child]
    return [peer.seal_plaintext(plaintext) for plaintext in plaintexts]


def with_trailer(inner, next_header=4, align=4):
    return inner + trailer(len(inner), next_header, align)


# ---- outer packets ----

@pytest.mark.parametrize("where", [("good", "gcm"), ("good", "cbc"), ("good", "esn"), ("udp", "c")], ids="-".join)
def test_esp_cut_at_every_byte(bench, where):
    """The IP and UDP lengths are right for what is left."""
    peer = bench.peers[where]
    a = peer.towards_gateway.algorithm
    esp = peer.towards_gateway.seal(with_trailer(inner4(), align=a.align), 500)

    def reason(left):
        if left < 8:
            return "nat_malformed" if peer.ports else "esp_truncated"
        if left < 8 + a.iv + a.icv + 4:
            return "esp_truncated"
        return "esp_bad_length" if (left - 8 - a.iv - a.icv) % a.align else "esp_integrity_failed"
    dropped(bench, [(reason(left), peer.wrap(esp[:left])) for left in range(len(esp))])


@pytest.mark.parametrize("where", [("good", "gcm"), ("udp", "c")], ids="-".join)
def test_frame_cut_at_every_byte(bench, where):
    """The lengths say what had been there."""
    peer = bench.peers[where]
    outer = peer.wrap(peer.towards_gateway.seal(with_trailer(inner4()), 501))
    dropped(bench, [("ip_bad_header_length" if left < 20 else "ip_bad_total_length", outer[:left])
                    for left in range(1, len(outer))])


def test_ipv6_frame_cut_at_every_byte(bench):
    whole = udp_packet(HOST6, CLEAR6, 1, 2, bytes(30))
    dropped(bench, [("ip_bad_header_length" if left < 40 else "ip_bad_total_length", whole[:left])
                    for left in range(1, len(whole))], "lan")


def test_udp_length_larger_than_the_packet(bench):
    peer = bench.peers["udp", "c"]
    outer = peer.wrap(peer.towards_gateway.seal(with_trailer(inner4()), 502))
    dropped(bench, each("transport_truncated", [ip_packet(outer[12:16], outer[16:20], 17, outer[20:left])
                                                for left in range(20, len(outer))]))


def test_udp_length_smaller_than_its_header(bench):
    dropped(bench, each("transport_truncated", [
        ip_packet(PEER_BYTES, BOX_BYTES, 17, struct.pack("!HHHH", 4500, 4500, length, 0) + bytes(60)) for length in range(8)]))


def test_reserved_spis(bench):
    """RFC 4303 2.1: 0 is never sent, 1 to 255 are nobody's. In UDP a zero is the mark of IKE, so it is left out."""
    raw = [struct.pack("!II", spi, 1) + bytes(60) for spi in range(256)]
    peers = bench.peers["good", "gcm"], bench.peers["udp", "c"]
    dropped(bench, [("esp_reserved_spi" if spi else "esp_zero_spi", peers[0].wrap(raw[spi])) for spi in range(256)])
    dropped(bench, each("esp_reserved_spi", [peers[1].wrap(raw[spi]) for spi in range(1, 256)]))


def test_sequence_number_zero_of_64_bits(bench):
    """RFC 4303 3.3.3: with a right ICV too; the low half alone may be 0 (test_replay.py)."""
    dropped(bench, each("esp_sequence_zero", [bench.peers[where].seal(inner4(), sequence=0)
                                              for where in (("good", "gcm"), ("good", "cbc"), ("good", "esn"), ("udp", "c"))]))


def test_header_lengths_of_ipv4(bench):
    """IHL 0 to 4, and 6 to 15 where the packet ends before; with a right checksum wherever there is a whole header."""
    packet = udp_packet(HOST_BYTES, CLEAR4, 1, 2, b"")
    cases = [("ip_bad_header_length", bad_input.ipv4(packet, version_ihl=0x40 | ihl)) for ihl in range(5)]
    cases += [("ip_bad_header_length", bad_input.ipv4(packet[:20], version_ihl=0x40 | ihl)) for ihl in range(6, 16)]
    cases += [("ip_bad_total_length", bad_input.ipv4(packet + bytes(40), version_ihl=0x40 | ihl, total_length=4 * ihl - 1))
              for ihl in range(6, 16)]
    dropped(bench, cases, "lan")


def with_options(packet, options):
    head = bytearray(packet[:20])
    head[0] = 0x45 + len(options) // 4
    head[2:4] = struct.pack("!H", len(packet) + len(options))
    head[10:12] = b"\0\0"
    head += options
    head[10:12] = struct.pack("!H", oracle.checksum(bytes(head)))
    return bytes(head) + packet[20:]


@pytest.mark.parametrize("options", [b"\x01" * 40, b"\x07\xff\x04" + bytes(37), b"\x44\x28\xff\xff" + b"\xff" * 36, b"\x83\x00" + bytes(2)],
                         ids=["forty no-ops", "record route too long", "timestamps full", "length 0"])
def test_ipv4_options_of_any_size_do_no_harm(bench, options):
    """No option is obeyed; inside and outside of a tunnel, the packet counts as one without."""
    peer = bench.peers["good", "gcm"]
    inner = with_options(inner4(), options)
    bench.clear()
    bench.wan.send(ethernet(bench, "wan", with_options(peer.seal(inner), options)))
    (frame,) = bench.lan.gather(1)
    got = oracle.cut(frame.data[14:])
    assert got[20:] == inner[20:] and got[8] == inner[8] - 1 and oracle.checksum(got[:20 + len(options)]) == 0
    damaged = bytearray(with_options(peer.seal(inner), options))
    damaged[-1] ^= 1
    dropped(bench, each("esp_integrity_failed", [bytes(damaged)]))


def chain(headers, last=17, content=b"\1\4\0\0\0\0"):
    """Destination options, one behind the other."""
    out = b"".join(bytes([60, 0]) + content for _ in range(headers - 1))
    return out + bytes([last, 0]) + content


def test_ipv6_chains_without_end(bench):
    udp = oracle.udp_segment(HOST6, CLEAR6, 1, 2, b"x")
    bodies = [chain(headers) + udp for headers in (9, 10, 50, 160)]  # too many
    bodies += [chain(headers, last=60) for headers in (1, 3, 8)]  # the last names one more, which is not there
    bodies += [bytes([60, length]) + bytes(6) + udp for length in range(2, 256)]  # longer than the packet
    bodies += [chain(3)[:cut] for cut in (1, 7, 9, 15, 17, 23)]
    bodies += [b""]
    dropped(bench, each("ipv6_bad_extension", [ip_packet(HOST6, CLEAR6, 60, body) for body in bodies]), "lan")
    dropped(bench, each("ipv6_bad_extension", sealed(bench, [
        with_trailer(ip_packet(FAR6, HOST6, 60, body), 41) for body in bodies], "six")))


@pytest.mark.parametrize("kind", [0, 43, 44, 51, 60], ids=["hop-by-hop", "routing", "fragment", "authentication", "options"])
def test_ipv6_extension_cut_at_every_byte(bench, kind):
    body = bytes([17, 0]) + bytes(6)
    dropped(bench, each("ipv6_bad_extension", [ip_packet(HOST6, CLEAR6, kind, body[:left]) for left in range(8)]), "lan")


def test_jumbograms_are_none_of_ours(bench):
    """RFC 2675: a payload length of 0, and the real one in an option. What follows the header is not believed."""
    udp = oracle.udp_segment(HOST6, CLEAR6, 1, 2, bytes(20))
    packets = []
    for length in (0, 8, len(udp) + 8, 65535, 65536, 0xffffffff):
        packet = ip_packet(HOST6, CLEAR6, 0, bytes([17, 0, 0xc2, 4]) + struct.pack("!I", length) + udp)
        packets.append(packet[:4] + b"\0\0" + packet[6:])
    dropped(bench, each("ipv6_bad_extension", packets), "lan")


def test_total_length_lies(bench):
    four, six = udp_packet(HOST_BYTES, CLEAR4, 1, 2, bytes(20)), udp_packet(HOST6, CLEAR6, 1, 2, bytes(20))
    lies = (len(four) + 1, 1500, 0x7fff, 0x8000, 0xffff)
    cases = [("ip_bad_total_length", bad_input.ipv4(four, total_length=length)) for length in (*range(20), *lies)]
    cases += [("ip_bad_total_length", six[:4] + struct.pack("!H", length) + six[6:]) for length in lies]
    cases += [("transport_truncated", bad_input.ipv4(four, total_length=length)) for length in range(20, len(four))]
    cases += [("transport_truncated", six[:4] + struct.pack("!H", length) + six[6:]) for length in range(len(six) - 40)]
    dropped(bench, cases, "lan")


# ---- behind a right ICV ----

def test_inner_packet_cut_at_every_byte(bench):
    four, six = inner4(), inner6()
    dropped(bench, [("ip_bad_header_length" if left < 20 else "ip_bad_total_length", packet) for left, packet in
                    enumerate(sealed(bench, [with_trailer(four[:left]) for left in range(len(four))]))])
    dropped(bench, [("ip_bad_header_length" if left < 40 else "ip_bad_total_length", packet) for left, packet in
                    enumerate(sealed(bench, [with_trailer(six[:left], 41) for left in range(len(six))], "six"))])


def test_inner_transport_cut_at_every_byte(bench):
    def cut(packet, left):
        return ip_packet(packet[12:16], packet[16:20], protocol, packet[20:20 + left])
    for protocol, header in ((17, 8), (6, 20), (1, 4), (132, 12)):
        segment = bytes([0, 80, 0, 80]) + bytes(8) + b"\x50" + bytes(7)
        whole = ip_packet(FAR4, HOST_BYTES, protocol, segment)
        dropped(bench, each("transport_truncated", sealed(bench, [with_trailer(cut(whole, left)) for left in range(header)])))


@pytest.mark.parametrize("child", ["gcm", "cbc"])
def test_pad_length_past_the_packet(bench, child):
    align = bench.peers["good", child].towards_gateway.algorithm.align
    text = with_trailer(inner4(), align=align)
    dropped(bench, each("esp_bad_padding", sealed(bench, [text[:-2] + bytes([pad, 4]) for pad in range(len(text) - 1, 256)], child)))
    shortest = bytes(align - 2)
    dropped(bench, each("esp_bad_padding", sealed(bench, [shortest + bytes([pad, 4]) for pad in range(align - 1, 256)], child)))


def test_wrong_pad_bytes(bench):
    """RFC 4303 2.4: each of them is looked at, however many there are."""
    dice, texts = random.Random(1), []
    for pad in range(1, 256):
        inner = inner4(bytes(-(28 + pad + 2) % 4))
        padding = bytearray(range(1, pad + 1))
        padding[dice.randrange(pad)] ^= dice.randrange(1, 256)
        texts.append(inner + padding + bytes([pad, 4]))
    dropped(bench, each("esp_bad_padding", sealed(bench, texts)))


def test_every_right_pad_length_passes(bench):
    bench.clear()
    inners = [inner4(bytes(-(28 + pad + 2) % 4), sport=1000 + pad) for pad in range(256)]
    bench.wan.send_many([ethernet(bench, "wan", packet) for packet in sealed(bench, [
        inner + bytes(range(1, pad + 1)) + bytes([pad, 4]) for pad, inner in enumerate(inners)])])
    assert [oracle.cut(f.data[14:]) for f in bench.lan.gather(256)] == [oracle.forwarded(inner) for inner in inners]


def test_next_headers_that_a_tunnel_does_not_carry(bench):
    dropped(bench, [("esp_dummy" if number == 59 else "esp_bad_next_header", packet) for number, packet in zip(
        (n for n in range(256) if n not in (4, 41)),
        sealed(bench, [with_trailer(inner4(), number) for number in range(256) if number not in (4, 41)]))])


def test_protocols_and_ports_that_the_selectors_forbid(bench):
    def seal(where, inner):
        return bench.peers[where].seal(inner)
    far = packed("10.6.1.1")
    cases = [seal(("tcp", "c"), ip_packet(far, HOST_BYTES, protocol, oracle.udp_segment(far, HOST_BYTES, 1, 2, bytes(30))))
             for protocol in range(256) if protocol not in (6, 50)]
    cases.append(seal(("tcp", "c"), ip_packet(far, HOST_BYTES, 50, struct.pack("!II", 0xdeadbeef, 1) + bytes(40))))
    far = packed("10.7.1.1")
    cases += [seal(("tcp", "port"), udp_packet(far, HOST_BYTES, 1, port, b"x")) for port in (0, 52, 54, 0x3500, 65535)]
    dropped(bench, each("selector_mismatch", cases))
    later = ip_packet(far, HOST_BYTES, 17, bytes(16), fragment=5)  # RFC 4301 7.3: no port can be seen in it
    dropped(bench, each("fragment_without_first", [seal(("tcp", "port"), later)]))


def test_versions_under_the_wrong_next_header(bench):
    four, six = inner4(), inner6()
    texts = [with_trailer(six, 4), with_trailer(four, 41)]
    for version in range(16):
        if version not in (4, 6):
            texts += [with_trailer(bytes([version << 4 | 5]) + four[1:], next_header) for next_header in (4, 41)]
    dropped(bench, each("ip_bad_version", sealed(bench, texts)))


def test_lengths_that_lie_inside(bench):
    four, six = inner4(), inner6()
    dropped(bench, each("ip_bad_total_length", sealed(bench, [
        with_trailer(bad_input.ipv4(four, total_length=length)) for length in (0, 19, len(four) + 4, 0xffff)])))
    dropped(bench, each("ip_bad_total_length", sealed(bench, [
        with_trailer(six[:4] + struct.pack("!H", length) + six[6:], 41) for length in (len(six) - 39, 0xffff)], "six")))
    dropped(bench, each("ip_bad_checksum", sealed(bench, [with_trailer(four[:10] + b"\x12\x34" + four[12:])])))
    jumbo = ip_packet(FAR6, HOST6, 0, bytes([17, 0, 0xc2, 4]) + struct.pack("!I", 65536) + bytes(30))
    dropped(bench, each("ipv6_bad_extension", sealed(bench, [with_trailer(jumbo[:4] + b"\0\0" + jumbo[6:], 41)], "six")))


def test_esp_to_us_inside_esp(bench):
    """Followed, as far as the selectors let it come: to the box's LAN address. There it is judged like any other ESP."""
    box_lan, gcm = packed(Bench.BOX_LAN4), bench.peers["good", "gcm"]

    def inside(esp):
        return gcm.seal(ip_packet(FAR4, box_lan, 50, esp))
    known = gcm.towards_gateway.seal(with_trailer(inner4()), 503)
    cases = [("esp_wrong_endpoint", inside(known)), ("esp_unknown_spi", inside(struct.pack("!II", 0xdeadbeef, 1) + bytes(60))),
             ("esp_truncated", inside(known[:7])), ("esp_zero_spi", inside(bytes(70)))]
    cases += [("esp_reserved_spi", inside(struct.pack("!II", spi, 1) + bytes(60))) for spi in (1, 255)]
    # To the outer address: the SA does not allow that.
    cases += [("selector_mismatch", gcm.seal(ip_packet(PEER_BYTES, BOX_BYTES, 50, known)))]
    nested = [bench.peers[f"nested{n}", "c"] for n in range(3)]
    for depth in (3, 3, 3):
        packet = udp_packet(packed("203.0.113.29"), BOX_BYTES, 1, 7000, b"deep")
        for peer in reversed(nested[:depth]):
            packet = peer.seal(packet)
        cases.append(("too_many_passes", packet))
    dropped(bench, cases)


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
