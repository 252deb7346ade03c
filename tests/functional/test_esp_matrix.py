"""The whole matrix of ESP against an oracle of our own: every suite that the gateway has, ESN on and off, over IPv4 and
IPv6, with and without UDP, both inner families, both ways, in bursts. The list of suites is the gateway's own.
"""

import random

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from harness import config, oracle
from harness.config import Tunnel
from harness.matrix import BURST, LENGTHS, SUITES, MatrixChild, assert_each_once, assert_unreadable, known
from harness.station import listener_report
from harness.topology import Bench

OUTER = {"over4": (Bench.BOX4, Bench.PEER4, False), "over6": (Bench.BOX6, Bench.PEER6, False),
         "over4udp": (Bench.BOX4, Bench.PEER4, True), "over6udp": (Bench.BOX6, Bench.PEER6, True)}


def tunnels():
    out, number = [], 0
    for name, (box, peer, udp) in OUTER.items():
        children = []
        for suite in filter(known, SUITES):
            for esn in (False, True):
                children.append(MatrixChild(suite + ("-esn" if esn else ""), ["10.1.0.0/16", "fd00:1::/64"],
                                            [f"10.{100 + number // 256}.{number % 256}.0/24", f"fd00:2:0:{number:x}::/64"],
                                            suite, esn))
                number += 1
        out.append(Tunnel(name, box, peer, children, udp))
    return out


@pytest.fixture(scope="module")
def bench(make_bench):
    b = make_bench().start(tunnels(), peer_type=oracle.Peer, legacy=True)
    b.wan.ignore = b.lan.ignore = listener_report
    b.clear()
    for name, (_, _, udp) in OUTER.items():  # neighbours' addresses become known: no packet of a burst waits for one
        peer = b.peers[name, SUITES[0]]
        for packet in inner_packets(peer, 2, inbound=False):
            b.lan.send(framed(b, "lan", packet))
            b.wan.gather(1)
        for packet in inner_packets(peer, 2, inbound=True):
            b.wan.send(framed(b, "wan", peer.seal(packet)))
            b.lan.gather(1)
    return b


def framed(b, side, packet):
    mac = bytes.fromhex(b.mac[side].replace(":", "")) + bytes.fromhex(b.station(side).mac.replace(":", ""))
    return mac + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet


def inner_packets(peer, count, inbound):
    """UDP, families in turn, every length; the source port tells them apart."""
    filler = random.Random(peer.child.out_spi)
    near = [oracle.packed(Bench.HOST4), oracle.packed(Bench.HOST6)]
    far = [oracle.packed(network.replace(".0/24", ".9").replace("::/64", "::9")) for network in peer.child.remote]
    for number in range(count):
        v6 = number & 1
        ends = (far[v6], near[v6]) if inbound else (near[v6], far[v6])
        yield oracle.udp_packet(*ends, 2000 + number, 5678, filler.randbytes(LENGTHS[number // 2 % len(LENGTHS)]))


def check_outbound(b, peer):
    sent = list(inner_packets(peer, BURST, inbound=False))
    b.lan.send_many([framed(b, "lan", packet) for packet in sent])
    opened, sequences, ivs = [], [], set()
    a = peer.from_gateway.algorithm
    for frame in b.wan.gather(BURST):
        outer = frame.data[14:]
        sequence, iv, inner = peer.open(outer)
        opened.append(inner)
        sequences.append(sequence)
        ivs.add(iv)
        if not a.readable:
            assert_unreadable(inner, peer.esp_of(outer))
    assert_each_once(opened, map(oracle.forwarded, sent), "outbound packets")
    first = sequences[0] if sequences else 0
    assert sequences == list(range(first, first + BURST)), "sequence numbers rise one by one"
    assert len(ivs) == (BURST if a.iv else 1), "an IV came twice"


def check_inbound(b, peer):
    sent = list(inner_packets(peer, BURST, inbound=True))
    b.wan.send_many([framed(b, "wan", peer.seal(packet)) for packet in sent])
    got = [oracle.cut(frame.data[14:]) for frame in b.lan.gather(BURST)]
    assert_each_once(got, map(oracle.forwarded, sent), "inbound packets")


@pytest.mark.heavy  # under the sanitizers test_esp.py::test_suite has to do
@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("outer", OUTER)
def test_tunnel(bench, outer, suite, esn):
    child = suite + ("-esn" if esn else "")
    oracle.algorithm(suite)  # a suite without an oracle is an error
    peer = bench.peers[outer, child]
    bench.clear()
    drops, before = bench.gateway.drops(), [bench.gateway.sa(outer, child, d)["packets"] for d in ("out", "in")]
    check_outbound(bench, peer)
    check_inbound(bench, peer)
    assert bench.gateway.drops() == drops
    after = [bench.gateway.sa(outer, child, d)["packets"] for d in ("out", "in")]
    assert [now - then for now, then in zip(after, before)] == [BURST, BURST]
    assert not bench.wan.take() + bench.lan.take()


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()


# ---- the oracle's own judge ----

SCAPY_CIPHERS = {"gcm16": "AES-GCM", "gmac": "AES-NULL-GMAC", "chacha20poly1305": "CHACHA20-POLY1305", "cbc": "AES-CBC",
                 "ctr": "AES-CTR", "null": "NULL", "3descbc": "3DES"}
SCAPY_HASHES = {"sha1": "HMAC-SHA1-96", "sha256": "SHA2-256-128", "sha384": "SHA2-384-192", "sha512": "SHA2-512-256"}


@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
@pytest.mark.parametrize("suite", SUITES)
def test_scapy_agrees_with_the_oracle(suite, esn):
    a = oracle.algorithm(suite)
    if (a.mode, esn) == ("gmac", True):
        pytest.skip("scapy has no extended sequence numbers for GMAC")
    spi, sequence = 0x1234, (5 << 32 if esn else 0) | 77
    key = config.test_key(spi, a.key_material)
    codec = oracle.Codec(suite, esn, spi, key)
    cipher, auth = key[:a.cipher_key + a.salt], key[a.cipher_key + a.salt:]
    association = SecurityAssociation(
        ESP, spi=spi, crypt_algo=SCAPY_CIPHERS[a.mode], crypt_key=cipher or None,
        auth_algo=SCAPY_HASHES[a.hash] if a.hash else None, auth_key=auth or None, esn_en=esn,
        esn=sequence >> 32, tunnel_header=IP(src="192.0.2.1", dst="192.0.2.2"))
    for inner in (IP(src="10.0.0.1", dst="10.0.0.2") / Raw(b"four"), IPv6(src="fd00::1", dst="fd00::2") / Raw(b"sixes")):
        raw = bytes(inner)
        by_scapy = association.encrypt(inner, seq_num=sequence & 0xffffffff, esn=sequence >> 32)
        got, _, clear = codec.open(bytes(by_scapy)[20:], sequence >> 32)
        assert got == sequence and oracle.without_trailer(clear, a.align)[0] == raw
        next_header = 4 if inner.version == 4 else 41
        sealed = codec.seal(raw + oracle.trailer(len(raw), next_header, a.align), sequence)
        outer = IP(oracle.ip_packet(oracle.packed("192.0.2.1"), oracle.packed("192.0.2.2"), 50, sealed))
        assert bytes(association.decrypt(outer, verify=True, esn_en=esn, esn=sequence >> 32)) == raw


