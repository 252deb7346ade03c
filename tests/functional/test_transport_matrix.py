"""Transport mode with every suite, ESN on and off, over IPv4 and IPv6, with and without UDP, both ways, against the oracle:
UDP of the gateway's own kernel, told apart by the peer's port, which is each child's selector.
"""

import random
import socket

import pytest

from harness import oracle
from harness.config import Tunnel
from harness.matrix import BURST, LENGTHS, SUITES, MatrixChild, assert_each_once, assert_unreadable, known
from harness.netns import inside
from harness.station import listener_report
from harness.topology import Bench

OUTER = {"over4": (Bench.BOX4, Bench.PEER4, False), "over6": (Bench.BOX6, Bench.PEER6, False),
         "over4udp": (Bench.BOX4, Bench.PEER4, True), "over6udp": (Bench.BOX6, Bench.PEER6, True)}
BOX_PORT, FIRST_PORT = 5678, 10000
UDP, SO_RCVBUFFORCE = 17, 33


def tunnels():
    out, port = [], FIRST_PORT
    for name, (box, peer, udp) in OUTER.items():
        children = []
        for suite in filter(known, SUITES):
            for esn in (False, True):
                extra = {"mode": "transport", "protocol": "udp", "remote_port": port}
                children.append(MatrixChild(suite + ("-esn" if esn else ""), [box], [peer], suite, esn, extra=extra))
                port += 1
        out.append(Tunnel(name, box, peer, children, udp))
    return out


@pytest.fixture(scope="module")
def bench(make_bench):
    b = make_bench().start(tunnels(), peer_type=oracle.Peer, legacy=True)
    b.wan.ignore = listener_report
    b.clear()
    b.sockets = {}
    for box in (Bench.BOX4, Bench.BOX6):
        with inside("gw"):
            udp = socket.socket(socket.AF_INET6 if ":" in box else socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        udp.bind((box, BOX_PORT))
        udp.settimeout(5)
        b.sockets[box] = b.lab.closing(udp)
        peer = b.peers["over6" if ":" in box else "over4", SUITES[0]]
        udp.sendto(b"", (peer.tunnel.peer, port_of(peer)))  # the neighbour becomes known: no packet of a burst waits
        assert len(b.wan.gather(1)) == 1
    return b


def port_of(peer):
    return peer.child.extra["remote_port"]


def payloads(peer):
    filler = random.Random(peer.child.out_spi)
    return [number.to_bytes(2, "big") + filler.randbytes(LENGTHS[number % len(LENGTHS)]) for number in range(BURST)]


def check_outbound(b, peer):
    sent = payloads(peer)
    for payload in sent:
        b.sockets[peer.tunnel.local].sendto(payload, (peer.tunnel.peer, port_of(peer)))
    opened, sequences = [], []
    a = peer.from_gateway.algorithm
    for frame in b.wan.gather(BURST):
        esp = peer.esp_of(frame.data[14:])
        sequence, _, plaintext = peer.from_gateway.open(esp)
        segment, next_header = oracle.without_trailer(plaintext, a.align)
        assert next_header == UDP and segment[4:6] == len(segment).to_bytes(2, "big")
        assert segment == oracle.udp_segment(peer.box, peer.address, BOX_PORT, port_of(peer), segment[8:])
        opened.append(segment[8:])
        sequences.append(sequence)
        if not a.readable:
            assert_unreadable(bytes(20 if len(peer.box) == 4 else 40) + segment, esp)
    assert_each_once(opened, sent, "outbound datagrams")
    assert sequences == list(range(sequences[0], sequences[0] + BURST)), "sequence numbers rise one by one"


def check_inbound(b, peer):
    sent = payloads(peer)
    align = peer.towards_gateway.algorithm.align
    mac = bytes.fromhex(b.mac["wan"].replace(":", "")) + bytes.fromhex(b.wan.mac.replace(":", ""))
    mac += b"\x08\x00" if len(peer.box) == 4 else b"\x86\xdd"
    frames = []
    for payload in sent:
        segment = oracle.udp_segment(peer.address, peer.box, port_of(peer), BOX_PORT, payload)
        frames.append(mac + peer.seal_plaintext(segment + oracle.trailer(len(segment), UDP, align)))
    b.wan.send_many(frames)
    got = []
    for _ in sent:
        payload, source = b.sockets[peer.tunnel.local].recvfrom(2048)
        assert source[:2] == (peer.tunnel.peer, port_of(peer))
        got.append(payload)
    assert_each_once(got, sent, "inbound datagrams")


@pytest.mark.heavy  # under the sanitizers test_transport.py and the unit tests have to do
@pytest.mark.parametrize("esn", [False, True], ids=["32bit", "esn"])
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("outer", OUTER)
def test_transport(bench, outer, suite, esn):
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
    assert not bench.wan.take()
