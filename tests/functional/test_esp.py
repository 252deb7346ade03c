"""ESP against scapy's, in both directions: every suite, every odd length, every mixture of address families."""

import pytest
from scapy.layers.inet import IP, fragment
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from harness.capture import TSHARK_CIPHERS, Capture, esp_sa_options
from harness.config import SUITES, Child, Tunnel
from harness.esp import trailer
from harness.topology import Bench, forwarded, inner_packet, token

LENGTHS = [*range(0, 36), 63, 64, 65, 100, 255, 256, 511, 777, 1000, 1300]
FAMILIES = ["4in4", "6in4", "4in6", "6in6"]


def tunnels():
    by_suite = [Child(name + ("-esn" if esn else ""), ["10.1.0.0/16"], [f"10.{100 + 2 * number + esn}.0.0/16"], name, bool(esn))
                for number, name in enumerate(SUITES) for esn in (0, 1)]
    return [Tunnel("suites", Bench.BOX4, Bench.PEER4, by_suite),
            Tunnel("over4", Bench.BOX4, Bench.PEER4, [Child("4in4", ["10.1.0.0/16"], ["10.200.0.0/16"]),
                                                     Child("6in4", ["fd00:1::/64"], ["fd00:40::/64"])]),
            Tunnel("over6", Bench.BOX6, Bench.PEER6, [Child("4in6", ["10.1.0.0/16"], ["10.201.0.0/16"]),
                                                     Child("6in6", ["fd00:1::/64"], ["fd00:60::/64"])])]


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench().start(tunnels())


def check_outbound(bench, peer, lengths):
    """LAN > gateway > WAN: scapy finds the ICV good, and the inner packet is what a router would have sent on."""
    sent = []
    for length in lengths:
        packet = inner_packet(peer, (token() + bytes(length))[-length:] if length else b"", inbound=False)
        sent.append(packet)
        bench.send("lan", packet)
    outers = [bench.expect_esp(peer) for _ in sent]
    assert [o[ESP].seq for o in outers] == list(range(outers[0][ESP].seq, outers[0][ESP].seq + len(outers)))
    for packet, outer in zip(sent, outers):
        assert bytes(peer.open(outer)) == forwarded(packet)
    return outers


def check_inbound(bench, peer, lengths):
    """WAN > gateway > LAN: what scapy sealed comes out as the inner packet, one hop on."""
    for length in lengths:
        packet = inner_packet(peer, bytes([length & 255]) * length, inbound=True)
        bench.send("wan", peer.seal(packet))
        wanted = forwarded(packet)
        frame = bench.lan.expect(lambda p: bytes(p.payload)[:len(wanted)] == wanted, f"the inner packet with {length} bytes")
        assert not bytes(frame.payload)[len(wanted):].strip(b"\0")  # at most Ethernet's padding


@pytest.mark.parametrize("esn", [False, True], ids=["", "esn"])
@pytest.mark.parametrize("suite", SUITES)
def test_suite(bench, suite, esn):
    bench.clear()
    name = suite + ("-esn" if esn else "")
    peer = bench.peers["suites", name]
    before = bench.gateway.drops()
    check_outbound(bench, peer, LENGTHS)
    check_inbound(bench, peer, LENGTHS)
    assert bench.gateway.drops() == before
    for direction in ("out", "in"):
        row = bench.gateway.sa("suites", name, direction)
        assert row["packets"] == len(LENGTHS) and row["suite"] == suite and row["esn"] == esn
        assert row["bytes"] == sum(28 + length for length in LENGTHS)


@pytest.mark.parametrize("mixture", FAMILIES)
def test_family_mixture(bench, mixture):
    bench.clear()
    peer = bench.peers["over" + mixture[-1], mixture]
    outers = check_outbound(bench, peer, LENGTHS)
    assert all(isinstance(o, IPv6 if mixture[-1] == "6" else IP) for o in outers)
    check_inbound(bench, peer, LENGTHS)


def test_tshark_agrees(bench, tmp_path):
    """A third judge: every ICV that the gateway made is good, every padding as RFC 4303 2.4 wants it."""
    bench.clear()
    frames = []
    for peer in bench.peers.values():
        if SUITES[peer.child.suite].cipher not in TSHARK_CIPHERS:
            continue
        for length in (0, 1, 5, 18):
            # Letters: tshark takes 18 zero bytes for another protocol, and gives up on it before it has judged the ICV.
            bench.send("lan", inner_packet(peer, b"x" * length, inbound=False))
            frames.append(Ether(src=Bench.WAN_MAC, dst=Bench.WAN_MAC) / bench.expect_esp(peer))
    file = str(tmp_path / "gateway.pcap")
    wrpcap(file, frames)
    capture = Capture.of_file(file)
    keys = esp_sa_options({name: peer.tunnel for (name, _), peer in bench.peers.items()}.values())
    assert capture.count("udp.port == 5678", *keys) == len(frames)
    assert capture.count("esp.icv_good == 1", *keys) == len(frames)
    assert capture.count("esp.pad.bogus", *keys) == 0


def test_outer_header(bench):
    """RFC 4301 5.1.2: DSCP, ECN and DF come from the inner header, everything else is the gateway's own."""
    bench.clear()
    peer = bench.peers["over4", "4in4"]
    for tos, flags in ((0, 0), (0xb8, 0), (0x02, "DF"), (0xb9, "DF")):
        bench.send("lan", inner_packet(peer, token(), inbound=False, tos=tos, flags=flags, ttl=9))
        outer = bench.expect_esp(peer)
        assert (outer.src, outer.dst, outer.proto) == (Bench.BOX4, Bench.PEER4, 50)
        assert outer.tos == tos and outer.ttl == 64
        assert ("DF" in str(outer.flags)) == (flags == "DF")
        again = IP(bytes(outer))
        del again.chksum
        assert bytes(again) == bytes(outer)
    peer = bench.peers["over6", "4in6"]
    bench.send("lan", inner_packet(peer, token(), inbound=False, tos=0xb8))
    outer = bench.expect_esp(peer)
    assert (outer.src, outer.dst, outer.nh, outer.tc) == (Bench.BOX6, Bench.PEER6, 50, 0xb8)


def test_congestion_mark_reaches_the_inner_packet(bench):
    """RFC 6040 4.2: CE on the outer header becomes CE on an inner packet that allows it."""
    peer = bench.peers["over4", "4in4"]
    mark = token()
    outer = IP(bytes(peer.seal(inner_packet(peer, mark, inbound=True, tos=0x02))))
    outer.tos |= 3
    del outer.chksum
    bench.send("wan", outer)
    assert bench.expect_token("lan", mark).tos == 3


def test_every_suite_has_an_engine(bench):
    assert {row["algorithm"]: bool(row["engine"]) for row in bench.gateway.show("algorithms")} == {s: True for s in SUITES}


@pytest.mark.parametrize("suite", ["aes256gcm16", "aes128gmac", "aes192ctr-sha256", "chacha20poly1305"])
def test_counter_ivs_never_repeat(bench, suite):
    """RFC 4106 3.1, RFC 3686 2.1: neither within an SA nor, for the same key, between packets of a burst."""
    bench.clear()
    peer = bench.peers["suites", suite]
    for _ in range(200):
        bench.send("lan", inner_packet(peer, b"x", inbound=False))
    ivs = [bytes(bench.expect_esp(peer)[ESP].data[:8]) for _ in range(200)]
    assert len(set(ivs)) == 200


@pytest.mark.parametrize("suite", ["aes128cbc-sha256", "3descbc-sha256"])
def test_cbc_ivs_are_unpredictable(bench, suite):
    """RFC 3602 3: no counter; among 64 IVs every bit position is seen both ways, and no two are near."""
    bench.clear()
    peer, size = bench.peers["suites", suite], SUITES[suite].iv
    for _ in range(64):
        bench.send("lan", inner_packet(peer, b"x", inbound=False))
    ivs = [int.from_bytes(bytes(bench.expect_esp(peer)[ESP].data[:size]), "big") for _ in range(64)]
    assert len(set(ivs)) == 64
    assert min((a ^ b).bit_count() for a, b in zip(ivs, ivs[1:])) > 2 * size - 8
    together = 0
    for iv in ivs[1:]:
        together |= iv ^ ivs[0]
    assert together == (1 << 8 * size) - 1


def test_extended_sequence_numbers_pass_32_bits(bench):
    """RFC 4303 A2.2: only the low half is on the wire; the receiver infers the high half from its window."""
    peer = bench.peers["suites", "aes128gcm16-esn"]
    for sequence in (0x7ffffff0, 0xfffffff0, (1 << 32) + 2, (1 << 32) + 3):
        mark = token()
        bench.send("wan", peer.seal(inner_packet(peer, mark, inbound=True), sequence=sequence))
        bench.expect_token("lan", mark)
    assert bench.gateway.sa("suites", "aes128gcm16-esn", "in")["sequence"] == (1 << 32) + 3
    mark = token()  # an older one, from below the wrap, is still inside the window
    bench.send("wan", peer.seal(inner_packet(peer, mark, inbound=True), sequence=0xfffffff5))
    bench.expect_token("lan", mark)


def test_peer_may_pad_behind_the_inner_packet(bench):
    """RFC 4303 2.7: traffic flow confidentiality padding is cut off by the inner packet's own length."""
    peer = bench.peers["over4", "4in4"]
    mark = token()
    raw = bytes(inner_packet(peer, mark, inbound=True))
    padded = raw + bytes(101)
    bench.send("wan", peer.outer(peer.sealed_bytes(padded + trailer(padded, 4, 4))))
    assert len(bench.expect_token("lan", mark)) == len(raw)


def test_esp_in_fragments_is_put_together(bench):
    """RFC 4303 3.4.1: reassembly comes before ESP; the parts may come in any order."""
    peer = bench.peers["over4", "4in4"]
    for order in (1, -1):
        mark = token()
        outer = IP(bytes(peer.seal(inner_packet(peer, mark + bytes(1200), inbound=True))))
        outer.id = 77 + order
        parts = fragment(outer, fragsize=600)
        assert len(parts) == 3
        for part in parts[::order]:
            bench.send("wan", part)
        assert len(bench.expect_token("lan", mark)) == 28 + len(mark) + 1200


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
