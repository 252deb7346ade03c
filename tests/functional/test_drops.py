"""Everything bad that one packet can be: each case raises its counter by one, sends nothing on, and stops nobody.

The table is compared with the data plane's own list: a reason without a case is named.
"""

import os
import re
import struct

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6ND_Redirect, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Raw

from harness import bad_input
from harness.bad_input import BOX, HOST, PEER, again, clear, esp, ipv4, nested, raw_esp, to_box
from harness.esp import trailer
from harness.topology import inner_packet, token, udp_packet


@pytest.fixture(scope="module")
def bench(make_bench):
    return bad_input.start(make_bench())


# Each case returns [(side, what, destination MAC or None)]; what: IP packet, or ("frame", bytes) for a whole frame.

def frame(b, side, data):
    return [(side, ("frame", bytes(data)), None)]


def head(b, side, kind):
    return Ether(src=b.station(side).mac, dst=b.mac[side], type=kind)


def replayed(b):
    peer = b.peers["good", "gcm"]
    mark = token()
    packet = peer.seal(inner_packet(peer, mark, inbound=True))
    b.send("wan", packet)
    b.expect_token("lan", mark)
    return [("wan", packet, None)]


def too_old(b, child="gcm", window=4096):
    peer = b.peers["good", child]
    mark = token()
    peer.sequence += 5000
    b.send("wan", peer.seal(inner_packet(peer, mark, inbound=True)))
    b.expect_token("lan", mark)
    return [("wan", peer.seal(inner_packet(peer, token(), inbound=True), sequence=peer.sequence - window), None)]


def wrong_icv(b, child="gcm", at=-1):
    peer, raw = esp(b, child)
    raw[at] ^= 0x40
    return [("wan", again(raw), None)]


def with_trailer(b, make):
    """`make(inner)` gives the whole plaintext; the ICV over it is right."""
    peer = b.peers["good", "cbc"]
    inner = bytes(inner_packet(peer, token(), inbound=True))
    return [("wan", peer.outer(peer.sealed_bytes(make(inner))), None)]


def bad_pad_bytes(inner):
    """Always at least one pad byte: a whole block of them where none would be needed."""
    length = -(len(inner) + 2) % 16 or 16
    return inner + bytes([0x80, *range(2, length + 1), length, 4])


def pad_length_too_large(inner):
    good = bytearray(inner + trailer(inner, 4, 16))
    good[-2] = 255
    return bytes(good)


def other_udp(b, payload):
    return [("wan", to_box(UDP(sport=4500, dport=4500) / Raw(payload)), None)]


def congestion(b):
    peer, raw = esp(b)
    raw[1] |= 3
    return [("wan", again(raw), None)]


def in_spi(b):
    return b.peers["good", "gcm"].child.in_spi


def from_lan(packet):
    return [("lan", packet, None)]


def from_wan(packet):
    return [("wan", packet, None)]


def by_version(b, child, version):
    """Right ICV, next header IPv4, and another version inside."""
    peer = b.peers["good", child]
    inner = bytearray(bytes(inner_packet(peer, token(), inbound=True)))
    inner[0] = version << 4 | inner[0] & 15
    return [("wan", peer.outer(peer.sealed_bytes(bytes(inner) + trailer(inner, 4, 4))), None)]


CASES = [  # (reason, what is wrong, builder)
    ("frame_not_for_us", "another station's MAC", lambda b: [("wan", clear(), "02:00:00:00:99:99")]),
    ("frame_unknown_vlan", "a tag on an untagged port",
     lambda b: frame(b, "wan", bytes(Ether(src=b.WAN_MAC, dst=b.mac["wan"]) / Dot1Q(vlan=5) / clear()))),
    ("frame_unknown_ethertype", "MPLS", lambda b: frame(b, "wan", bytes(head(b, "wan", 0x8847) / Raw(bytes(50))))),
    ("ip_bad_version", "version 5 under EtherType IPv4",
     lambda b: frame(b, "lan", bytes(head(b, "lan", 0x0800)) + ipv4(clear(), version_ihl=0x55))),
    ("ip_bad_version", "IPv6 under EtherType IPv4",
     lambda b: frame(b, "lan", bytes(head(b, "lan", 0x0800) / udp_packet(b.HOST6, b.CLEAR6, token())))),
    ("ip_bad_version", "version 7 inside ESP", lambda b: by_version(b, "gcm", 7)),
    ("ip_bad_header_length", "IHL 4", lambda b: from_lan(ipv4(clear(), version_ihl=0x44))),
    ("ip_bad_header_length", "IHL past the end of the packet",
     lambda b: from_lan(ipv4(IP(src=HOST, dst=b.CLEAR4), version_ihl=0x4f))),
    ("ip_bad_header_length", "no IP header at all", lambda b: frame(b, "lan", bytes(head(b, "lan", 0x0800)) + b"\x45")),
    ("ip_bad_total_length", "longer than what came", lambda b: from_lan(ipv4(clear(), total_length=1400))),
    ("ip_bad_total_length", "shorter than its header", lambda b: from_lan(ipv4(clear(), total_length=19))),
    ("ip_bad_total_length", "IPv6 longer than what came",
     lambda b: from_lan(bytes(IPv6(src=b.HOST6, dst=b.CLEAR6, plen=900) / UDP(sport=1, dport=2, len=8)))),
    ("ip_bad_checksum", "one bit of the header checksum", lambda b: from_lan(bytes(clear(chksum=0x1234)))),
    ("ip_martian_source", "loopback", lambda b: from_lan(udp_packet("127.0.0.1", b.CLEAR4, token()))),
    ("ip_martian_source", "multicast source", lambda b: from_lan(udp_packet("224.0.0.5", b.CLEAR4, token()))),
    ("ip_martian_source", "broadcast source", lambda b: from_lan(udp_packet("255.255.255.255", b.CLEAR4, token()))),
    ("ip_martian_source", "IPv6 loopback", lambda b: from_lan(udp_packet("::1", b.CLEAR6, token()))),
    ("ip_martian_source", "IPv6 multicast source", lambda b: from_lan(udp_packet("ff02::1", b.CLEAR6, token()))),
    ("ip_multicast", "a group that nobody joined",
     lambda b: [("lan", udp_packet(HOST, "239.1.2.3", token()), "01:00:5e:01:02:03")]),
    ("ipv6_bad_extension", "options that run past the packet",
     lambda b: from_lan(bytes(IPv6(src=b.HOST6, dst=b.CLEAR6, nh=60) / Raw(b"\x11\x40" + bytes(6) + bytes(8))))),
    ("ipv6_bad_extension", "twenty headers",
     lambda b: from_lan(bytes(IPv6(src=b.HOST6, dst=b.CLEAR6, nh=60) /
                              Raw(19 * bytes([60, 0, 1, 4, 0, 0, 0, 0]) + bytes([17, 0, 1, 4, 0, 0, 0, 0]) +
                                  bytes(UDP(sport=1, dport=2, len=8)))))),
    ("transport_truncated", "half a UDP header",
     lambda b: from_lan(IP(src=HOST, dst=b.CLEAR4, proto=17) / Raw(b"\1\2\3\4"))),
    ("transport_truncated", "half a TCP header",
     lambda b: from_lan(IP(src=HOST, dst=b.CLEAR4, proto=6) / Raw(bytes(TCP(sport=1, dport=2))[:12]))),
    ("transport_truncated", "UDP longer than its packet",
     lambda b: from_lan(IP(src=HOST, dst=b.CLEAR4) / UDP(sport=1, dport=2, len=100) / Raw(b"abc"))),
    ("no_policy", "from the LAN to the box", lambda b: from_lan(udp_packet(HOST, b.BOX_LAN4, token(), dport=9999))),
    ("no_policy", "from the WAN to the box", lambda b: from_wan(udp_packet("203.0.113.30", BOX, token(), dport=9999))),
    ("no_policy", "from the LAN to elsewhere", lambda b: from_lan(udp_packet(HOST, "198.51.100.9", token()))),
    ("no_policy", "from a source that the rule does not name",
     lambda b: from_lan(udp_packet("172.16.0.1", b.CLEAR4, token()))),
    ("policy_discard", "a rule says so", lambda b: from_lan(udp_packet(HOST, "192.0.2.66", token()))),
    ("cleartext_must_be_protected", "from the WAN in clear, from the peer's network",
     lambda b: from_wan(udp_packet("10.2.1.10", HOST, token()))),
    ("cleartext_must_be_protected", "IPv6", lambda b: from_wan(udp_packet("fd00:2::10", b.HOST6, token()))),
    ("route_change_refused", "an ICMP redirect, although a rule lets ICMP in",
     lambda b: from_wan(IP(src="203.0.113.30", dst=BOX) / ICMP(type=5, code=1, gw="203.0.113.99") /
                        udp_packet(BOX, PEER, token()))),
    ("route_change_refused", "an IPv6 redirect",
     lambda b: from_wan(IPv6(src="fe80::bad", dst=b.BOX6, hlim=255) / ICMPv6ND_Redirect(tgt="fe80::bad", dst=b.PEER6))),
    ("no_sa", "protection is demanded and there is none", lambda b: from_lan(udp_packet(HOST, "198.18.0.1", token()))),
    ("esp_truncated", "a header and nothing else", lambda b: from_wan(raw_esp(b, in_spi(b), 90000, b""))),
    ("esp_truncated", "half a header", lambda b: from_wan(b.peers["good", "gcm"].outer(b"\0\0\x12"))),
    ("esp_truncated", "an ICV short",
     lambda b: from_wan(raw_esp(b, in_spi(b), 90001, bytes(8 + 4 + 12)))),
    ("esp_zero_spi", "SPI 0", lambda b: from_wan(raw_esp(b, 0))),
    ("esp_reserved_spi", "SPI 255", lambda b: from_wan(raw_esp(b, 255))),
    ("esp_unknown_spi", "nobody's", lambda b: from_wan(raw_esp(b, 0xdeadbeef))),
    ("esp_unknown_spi", "the SPI of the other direction",
     lambda b: from_wan(raw_esp(b, b.peers["good", "gcm"].child.out_spi))),
    ("esp_unknown_spi", "nobody's, in UDP", lambda b: other_udp(b, struct.pack("!II", 0xdeadbeef, 1) + bytes(60))),
    ("esp_wrong_endpoint", "from another address",
     lambda b: from_wan(b.peers["good", "gcm"].outer(bytes(esp(b)[1][20:]), source="203.0.113.31"))),
    ("esp_wrong_endpoint", "to another address of the box",
     lambda b: from_wan(again(bytes(IP(src=PEER, dst=b.BOX_LAN4, proto=50) / Raw(bytes(esp(b)[1][20:])))))),
    ("esp_wrong_encapsulation", "in UDP, for an SA without",
     lambda b: other_udp(b, bytes(esp(b)[1][20:]))),
    ("esp_wrong_encapsulation", "without UDP, for an SA in UDP",
     lambda b: from_wan(IP(src=PEER, dst=BOX, proto=50) / Raw(bytes(b.peers["udp", "c"].seal(
         inner_packet(b.peers["udp", "c"], token(), inbound=True))[UDP].payload)))),
    ("esp_bad_length", "CBC, no whole number of blocks",
     lambda b: from_wan(again(bytes(esp(b, "cbc")[1]) + b"\0\0\0\0"))),
    ("esp_bad_length", "GCM, no whole number of words", lambda b: from_wan(again(bytes(esp(b)[1]) + b"\0"))),
    ("esp_sequence_zero", "sequence number 0",
     lambda b: from_wan(raw_esp(b, in_spi(b), 0))),
    ("esp_replayed", "the same again", replayed),
    ("esp_replayed", "older than the window", too_old),
    # RFC 4303 A2.2: with extended sequence numbers it counts as a packet far ahead, which its ICV does not confirm.
    ("esp_integrity_failed", "older than the window, ESN", lambda b: too_old(b, "esn", 64)),
    ("esp_integrity_failed", "last byte of the ICV", wrong_icv),
    ("esp_integrity_failed", "a byte of the ciphertext", lambda b: wrong_icv(b, at=40)),
    ("esp_integrity_failed", "a byte of the sequence number", lambda b: wrong_icv(b, at=25)),
    ("esp_integrity_failed", "HMAC", lambda b: wrong_icv(b, "cbc")),
    ("esp_bad_padding", "a pad byte that does not count", lambda b: with_trailer(b, bad_pad_bytes)),
    ("esp_bad_padding", "more padding than packet", lambda b: with_trailer(b, pad_length_too_large)),
    ("esp_bad_next_header", "UDP in a tunnel SA",
     lambda b: with_trailer(b, lambda inner: inner + trailer(inner, 17, 16))),
    ("esp_dummy", "next header 59", lambda b: with_trailer(b, lambda inner: inner + trailer(inner, 59, 16))),
    ("ecn_congestion_lost", "CE on the outer header of a packet that knows no ECN", congestion),
    ("selector_mismatch", "a source outside",
     lambda b: from_wan(b.peers["good", "gcm"].seal(udp_packet("10.9.0.1", HOST, token())))),
    ("selector_mismatch", "a destination outside",
     lambda b: from_wan(b.peers["good", "gcm"].seal(udp_packet("10.2.0.1", "10.77.0.1", token())))),
    ("selector_mismatch", "the other child's network",
     lambda b: from_wan(b.peers["good", "gcm"].seal(udp_packet("10.3.0.1", HOST, token())))),
    ("selector_mismatch", "the other family",
     lambda b: from_wan(b.peers["good", "gcm"].seal(udp_packet("fd00:2::1", b.HOST6, token())))),
    ("too_many_passes", "three tunnels inside each other", lambda b: from_wan(nested(b, 3))),
    ("nat_keepalive", "one byte 0xff", lambda b: other_udp(b, b"\xff")),
    ("nat_malformed", "one other byte", lambda b: other_udp(b, b"\xfe")),
    ("nat_malformed", "seven bytes", lambda b: other_udp(b, b"\1\2\3\4\5\6\7")),
    ("nat_malformed", "nothing", lambda b: other_udp(b, b"")),
    ("fragment_not_reassembled", "an extension header before the fragment's",
     lambda b: from_wan(IPv6(src=b.PEER6, dst=b.BOX6) / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(m=1, id=7) /
                        UDP(sport=1, dport=2, len=200) / Raw(bytes(56)))),
]


def send_case(b, made):
    for side, what, mac in made:
        if isinstance(what, tuple):
            b.station(side).send(what[1])
        else:
            b.send(side, what, mac)


@pytest.mark.parametrize("reason,what,build", CASES, ids=[f"{r}-{w.replace(' ', '_')}" for r, w, _ in CASES])
def test_dropped_by_name(bench, reason, what, build):
    made = build(bench)
    bench.clear()
    before = bench.gateway.drops()
    send_case(bench, made)
    differences = bench.drops_rise(reason, before)
    assert differences == {reason: 1}
    bench.good_packet_passes(bench.peers["good", "gcm"])
    assert [Ether(f.data).summary() for f in bench.wan.take() + bench.lan.take()] == []


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()


# Tests of their own in OWN_FILES, and reasons that the wire cannot provoke: where those are tested instead.
OWN_FILES = ("test_drop_answers.py", "test_path_mtu.py", "test_route_based.py", "test_fragments_policy.py",
             "test_lifetimes.py")
OWN_TESTS = {
    "hop_limit_expired": "test_hop_limit_expired", "icmp_error_suppressed": "test_icmp_error_is_not_answered_by_one",
    "packet_too_big": "test_packet_too_big", "fragment_mismatch": "test_fragment_of_esp_without_its_rest",
    "fragment_timeout": "test_fragment_whose_rest_never_comes",
    "fragment_table_full": "test_a_flood_of_fragments_stays_in_its_memory",
    "path_mtu_learned": "test_forged_reports_change_nothing", "path_mtu_refused": "test_forged_reports_change_nothing",
    "no_route": "test_no_way_there", "route_unreachable": "test_no_way_there",
    "neighbour_unresolved": "test_neighbour_that_never_answers",
    "neighbour_queue_full": "test_more_packets_than_wait_for_a_neighbour",
    "punt_rate_limited": "test_flood_for_the_box_is_limited", "port_down": "test_port_down",
    "peer_behind_tunnel": "test_way_to_the_peer_through_the_tunnel_itself",
    "fragment_tiny": "test_tiny_parts_never_pass", "fragment_malformed": "test_broken_parts_never_pass",
    "fragment_overlapping": "test_overlapping_parts_take_the_datagram_with_them",
    "fragment_duplicate": "test_a_copy_goes_alone", "fragment_limit": "test_more_parts_than_wait_are_refused",
    "fragment_without_first": "test_without_its_first_part_nothing_passes",
    "sa_expired": "test_packets"}
UNIT_TESTS = {  # reason: text that a file under tests/unit must hold
    reason: f"drop_reason::{reason}" for reason in (
        "frame_truncated",         # the kernel itself refuses such frames before a packet socket sees them
        "esp_sequence_exhausted",  # 4,294,967,295 packets
        "esp_encryption_failed",   # an engine that fails
        "fragmentation_failed",    # no buffer in the middle of a packet
        "transport_fragment",      # of the kernel's own, which cuts nothing for a TAP of the port's MTU
        "mempool_empty", "stage_queue_full", "handover_ring_full", "punt_ring_full", "transmit_queue_full")}


def source_file(*path):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..", *path)


def test_every_reason_has_a_test():
    with open(source_file("dataplane/core/drop_reason.cpp")) as f:
        reasons = set(re.findall(r'\{drop_reason::(\w+), "\w+"', f.read())) - {"none"}
    here = {reason for reason, _, _ in CASES} | set(OWN_TESTS)
    assert here.isdisjoint(UNIT_TESTS)
    assert sorted(reasons - here - set(UNIT_TESTS)) == [], "drop reasons without a test"
    assert sorted((here | set(UNIT_TESTS)) - reasons) == [], "tests of drop reasons that are no more"
    text = ""
    for name in OWN_FILES:
        with open(source_file("tests/functional", name)) as f:
            text += f.read()
    assert [name for name in OWN_TESTS.values() if f"def {name}(" not in text] == []
    unit = ""
    for folder, _, files in os.walk(source_file("tests/unit")):
        for name in files:
            if name.endswith(".cpp"):
                with open(os.path.join(folder, name)) as f:
                    unit += f.read()
    missing = [reason for reason, text in UNIT_TESTS.items() if text not in unit]
    assert missing == [], "drop reasons that a unit test must cover"
