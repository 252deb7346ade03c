"""ICMP by policy: types as selectors (RFC 4301 4.4.1.1), and errors by the packet that they quote (6)."""

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6PacketTooBig, ICMPv6TimeExceeded,
                                IPv6)
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.topology import Bench, token

NEAR, FAR = {4: Bench.HOST4, 6: Bench.HOST6}, {4: "10.2.1.10", 6: "fd00:2::10"}
PINGED = {4: "10.3.1.10", 6: "fd00:3::10"}
LAN_ROUTER = {4: "172.16.0.1", 6: "fd00:99::1"}   # in nobody's selectors
FAR_ROUTER = {4: "198.51.100.9", 6: "2001:db8:99::1"}
CLEAR = {4: Bench.CLEAR4, 6: Bench.CLEAR6}
LAN_CHILD, PING_CHILD = {4: "lan", 6: "lan6"}, {4: "ping", 6: "ping6"}
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def bench(make_bench):
    tunnel = Tunnel("t", Bench.BOX4, Bench.PEER4, [
        Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"]), Child("lan6", ["fd00:1::/64"], ["fd00:2::/64"]),
        Child("ping", ["10.1.0.0/16"], ["10.3.0.0/16"], extra={"protocol": "icmp", "icmp": "echo-request"}),
        Child("ping6", ["fd00:1::/64"], ["fd00:3::/64"], extra={"protocol": "ipv6-icmp", "icmp": "echo-request"})])
    here = {"from": "lan", "to": "wan", "action": "bypass"}
    rules = [
        {"name": "out4", **here, "destination": "192.0.2.0/24", "protocol": "icmp", "icmp": "echo-request"},
        {"name": "back4", "from": "wan", "to": "lan", "action": "bypass", "source": "192.0.2.0/24", "protocol": "icmp", "icmp": "0"},
        {"name": "unreachable4", **here, "destination": "192.0.2.0/24", "protocol": "icmp", "icmp": "3/1"},
        {"name": "out6", **here, "destination": "2001:db8:c::/64", "protocol": "ipv6-icmp", "icmp": "echo-request"},
        {"name": "back6", "from": "wan", "to": "lan", "action": "bypass", "source": "2001:db8:c::/64", "protocol": "ipv6-icmp",
         "icmp": "echo-reply"},
        {"name": "unreachable6", **here, "destination": "2001:db8:c::/64", "protocol": "ipv6-icmp", "icmp": "1/1"}]
    return make_bench().start([tunnel], rules)


def ip(source, destination):
    return (IPv6 if ":" in source else IP)(src=source, dst=destination)


def request(family, source, destination, mark):
    return ip(source, destination) / (ICMP(type=8) if family == 4 else ICMPv6EchoRequest(data=mark)) / Raw(mark if family == 4 else b"")


def reply(family, source, destination, mark):
    return ip(source, destination) / (ICMP(type=0) if family == 4 else ICMPv6EchoReply(data=mark)) / Raw(mark if family == 4 else b"")


def unreachable(family, source, destination, quoted, code=1):
    return ip(source, destination) / (ICMP(type=3, code=code) if family == 4 else ICMPv6DestUnreach(code=code)) / quoted


def udp(source, destination, mark):
    return ip(source, destination) / UDP(sport=1234, dport=5678) / Raw(mark)


@FAMILIES
def test_rules_by_type(bench, family):
    bench.clear()
    mark = token()
    bench.send("lan", request(family, NEAR[family], CLEAR[family], mark))
    bench.expect_token("wan", mark)
    mark = token()
    bench.send("wan", reply(family, CLEAR[family], NEAR[family], mark))
    bench.expect_token("lan", mark)
    before = bench.gateway.drops()
    bench.send("wan", request(family, CLEAR[family], NEAR[family], token()))
    bench.send("lan", reply(family, NEAR[family], CLEAR[family], token()))
    bench.drops_rise("no_policy", before, by=2)


@FAMILIES
def test_rules_by_type_and_code(bench, family):
    bench.clear()
    mark = token()
    bench.send("lan", unreachable(family, NEAR[family], CLEAR[family], udp(CLEAR[family], NEAR[family], mark)))
    bench.expect_token("wan", mark)
    before = bench.gateway.drops()
    bench.send("lan", unreachable(family, NEAR[family], CLEAR[family], udp(CLEAR[family], NEAR[family], mark), code=2))
    bench.drops_rise("no_policy", before)


@FAMILIES
def test_a_child_by_type(bench, family):
    peer = bench.peers["t", PING_CHILD[family]]
    bench.clear()
    mark = token()
    bench.send("lan", request(family, NEAR[family], PINGED[family], mark))
    assert mark in bytes(peer.open(bench.expect_esp(peer)))
    before = bench.gateway.drops()
    bench.send("lan", reply(family, NEAR[family], PINGED[family], token()))
    bench.send("lan", udp(NEAR[family], PINGED[family], token()))
    bench.drops_rise("no_policy", before, by=2)
    mark = token()
    bench.send("wan", peer.seal(request(family, PINGED[family], NEAR[family], mark)))
    bench.expect_token("lan", mark)
    before = bench.gateway.drops()
    bench.send("wan", peer.seal(reply(family, PINGED[family], NEAR[family], token())))
    bench.drops_rise("selector_mismatch", before)


def errors_about(family, source, destination, quoted):
    """Every kind of error that a router sends."""
    if family == 4:
        return [ip(source, destination) / ICMP(type=t, code=c) / quoted for t, c in ((3, 0), (3, 4), (11, 0), (12, 0))]
    return [ip(source, destination) / head / quoted
            for head in (ICMPv6DestUnreach(code=0), ICMPv6PacketTooBig(mtu=1280), ICMPv6TimeExceeded())]


@FAMILIES
def test_an_error_comes_out_of_the_tunnel_whose_traffic_it_quotes(bench, family):
    peer = bench.peers["t", LAN_CHILD[family]]
    bench.clear()
    before = bench.gateway.drops()
    for error in errors_about(family, FAR_ROUTER[family], NEAR[family], udp(NEAR[family], FAR[family], mark := token())):
        bench.send("wan", peer.seal(error))
        got = bench.expect_token("lan", mark)
        assert got.src == FAR_ROUTER[family]
    assert bench.gateway.drops() == before


@FAMILIES
def test_an_error_about_other_traffic_does_not(bench, family):
    peer = bench.peers["t", LAN_CHILD[family]]
    bench.clear()
    near, far, router = NEAR[family], FAR[family], FAR_ROUTER[family]
    wrong = [unreachable(family, router, near, udp(near, CLEAR[family], token())),   # not this tunnel's
             unreachable(family, router, near, udp(far, near, token())),             # not from who gets the error
             unreachable(family, router, near, udp(near, far, b""))[0]]
    wrong[2] = wrong[2].__class__(bytes(wrong[2])[:-20])                             # the quotation is cut inside its header
    if family == 4:
        del wrong[2].chksum, wrong[2].len
        wrong[2] = IP(src=router, dst=near) / ICMP(type=3, code=1) / Raw(bytes(udp(near, far, b""))[:16])
        wrong.append(ip(router, near) / ICMP(type=5, code=1, gw="10.1.0.9") / udp(near, far, token()))
    else:
        wrong[2] = IPv6(src=router, dst=near) / ICMPv6DestUnreach(code=1) / Raw(bytes(udp(near, far, b""))[:30])
    wrong.append(request(family, router, near, token()))                             # no error at all
    before = bench.gateway.drops()
    for packet in wrong:
        bench.send("wan", peer.seal(packet))
    bench.drops_rise("selector_mismatch", before, by=len(wrong))
    bench.good_packet_passes(peer)
    assert bench.lan.take() == []


@FAMILIES
def test_an_error_goes_into_the_tunnel_whose_traffic_it_answers(bench, family):
    peer = bench.peers["t", LAN_CHILD[family]]
    bench.clear()
    for error in errors_about(family, LAN_ROUTER[family], FAR[family], udp(FAR[family], NEAR[family], mark := token())):
        bench.send("lan", error)
        inner = peer.open(bench.expect_esp(peer))
        assert inner.src == LAN_ROUTER[family] and mark in bytes(inner)


@FAMILIES
def test_an_error_that_answers_nothing_of_ours_goes_nowhere(bench, family):
    peer = bench.peers["t", LAN_CHILD[family]]
    bench.clear()
    near, far, router = NEAR[family], FAR[family], LAN_ROUTER[family]
    before = bench.gateway.drops()
    bench.send("lan", unreachable(family, router, far, udp(far, CLEAR[family], token())))
    bench.send("lan", unreachable(family, router, far, udp(near, far, token())))
    bench.send("lan", request(family, router, far, token()))
    # From outside: the packet that it quotes never went there.
    bench.send("wan", unreachable(family, FAR_ROUTER[family], far, udp(far, near, token())))
    bench.drops_rise("no_policy", before, by=4)
    bench.good_packet_passes(peer)
    assert bench.wan.take() == []
