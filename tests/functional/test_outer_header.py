"""What the configuration says of outer headers and padding, as scapy sees it on the wire."""

import pytest
from scapy.layers.inet import IP

from harness.config import Child, Tunnel
from harness.topology import Bench, forwarded, host_in, token, udp_packet

OUTER = {
    "plain": {},
    "mapped": {"dscp_map": [{"from": "ef", "to": "af41"}, {"from": 0, "to": "cs1"}], "ecn": "compatibility"},
    "fixed": {"dscp": "cs5", "df": "clear", "hop_limit": 33},
    "set": {"df": "set"},
}
EF, AF41, CS1, CS5 = 46, 34, 8, 40


@pytest.fixture(scope="module")
def bench(make_bench):
    children = [Child(name, ["10.1.0.0/16"], [f"10.{100 + n}.0.0/16"], extra={"outer": outer})
                for n, (name, outer) in enumerate(OUTER.items())]
    children += [Child("padded", ["10.1.0.0/16"], ["10.120.0.0/16"], extra={"tfc_padding": 500}),
                 Child("full", ["10.1.0.0/16"], ["10.121.0.0/16"], extra={"tfc_padding": "mtu"})]
    six = [Child("label", ["fd00:1::/64"], ["fd00:61::/64"], extra={"outer": {"flow_label": 0x12345}}),
           Child("copied", ["fd00:1::/64"], ["fd00:62::/64"], extra={"outer": {"flow_label": "copy", "hop_limit": 7}})]
    return make_bench().start([Tunnel("four", Bench.BOX4, Bench.PEER4, children),
                               Tunnel("six", Bench.BOX6, Bench.PEER6, six)])


def around(bench, tunnel, child, **fields):
    """(the outer packet, the inner one as it was sent)"""
    peer = bench.peers[tunnel, child]
    near, far = host_in(peer.child.local[0]), host_in(peer.child.remote[0])
    packet = udp_packet(near, far, token(), **fields)
    bench.clear()
    bench.send("lan", packet)
    outer = bench.expect_esp(peer)
    assert bytes(peer.open(outer))[:len(packet)] == forwarded(packet)
    return outer


@pytest.mark.parametrize("child, dscp, ecn, expected", [
    ("plain", EF, 1, EF << 2 | 1), ("plain", 0, 3, 3), ("mapped", EF, 1, AF41 << 2), ("mapped", 0, 3, CS1 << 2),
    ("mapped", 10, 2, 10 << 2), ("fixed", EF, 2, CS5 << 2 | 2), ("fixed", 0, 0, CS5 << 2)])
def test_traffic_class(bench, child, dscp, ecn, expected):
    assert around(bench, "four", child, tos=dscp << 2 | ecn).tos == expected


@pytest.mark.parametrize("child, inner, expected", [
    ("plain", 0, ""), ("plain", "DF", "DF"), ("fixed", "DF", ""), ("set", 0, "DF")])
def test_dont_fragment(bench, child, inner, expected):
    assert str(around(bench, "four", child, flags=inner).flags) == expected


def test_hop_limits_and_flow_labels(bench):
    assert around(bench, "four", "plain").ttl == 64
    assert around(bench, "four", "fixed").ttl == 33
    outer = around(bench, "six", "label", fl=0xabcde)
    assert (outer.fl, outer.hlim) == (0x12345, 64)
    outer = around(bench, "six", "copied", fl=0xabcde)
    assert (outer.fl, outer.hlim) == (0xabcde, 7)


def test_padding_hides_the_size(bench):
    sizes = set()
    for length in (0, 1, 100, 471):
        peer = bench.peers["four", "padded"]
        packet = udp_packet(Bench.HOST4, host_in("10.120.0.0/16"), bytes([7]) * length)
        bench.clear()
        bench.send("lan", packet)
        outer = bench.expect_esp(peer)
        sizes.add(len(outer))
        inner = bytes(peer.open(outer))
        assert inner[:len(packet)] == forwarded(packet) and set(inner[len(packet):]) <= {0}
        assert IP(inner).len == len(packet)
    assert len(sizes) == 1
    assert {len(around(bench, "four", "full")) for _ in range(2)} <= set(range(1497, 1501))


def test_padding_of_the_peer_is_taken_off(bench):
    """RFC 4303 2.7: zeros of the sender's behind the inner packet."""
    peer = bench.peers["four", "padded"]
    mark = token()
    packet = IP(bytes(udp_packet(host_in("10.120.0.0/16"), Bench.HOST4, mark)))
    bench.clear()
    bench.send("wan", peer.seal_by_hand(bytes(packet) + bytes(100), next_header=4))
    got = bench.expect_token("lan", mark)
    assert bytes(got)[:len(packet)] == forwarded(packet)
    assert got.len == len(packet)
