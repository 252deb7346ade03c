"""The security policy database: ordered rules, then selectors, then discard (RFC 4301 4.4.1, 5.1)."""

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.topology import Bench, token

FOUR = dict(inside="10.1.1.10", near="10.1.0.0/16", far="192.0.2.0/24", special="192.0.2.64/26", host="192.0.2.65", other="192.0.2.10")
SIX = dict(inside="fd00:1::10", near="fd00:1::/64", far="2001:db8:c::/48", special="2001:db8:c:5::/64", host="2001:db8:c:5::1",
           other="2001:db8:c:1::1")


def rules(family, v):
    """The first rule that matches decides: so a narrow rule stands before the wide one that says the contrary."""
    here = {"from": "lan", "to": "wan", "source": v["near"]}
    return [
        {"name": f"bypass-one-port{family}", **here, "destination": v["special"], "protocol": "udp", "destination_ports": "5353",
         "action": "bypass", "both_ways": True},
        {"name": f"discard-special{family}", **here, "destination": v["special"], "action": "discard"},
        {"name": f"no-ssh{family}", **here, "destination": v["far"], "protocol": "tcp", "destination_ports": "22", "action": "discard"},
        {"name": f"high-ports{family}", **here, "destination": v["far"], "protocol": "udp", "source_ports": "1024-65535",
         "destination_ports": "1000-1999", "action": "bypass"},
        {"name": f"tcp{family}", **here, "destination": v["far"], "protocol": "tcp", "action": "bypass", "both_ways": True},
        {"name": f"icmp{family}", **here, "destination": v["far"], "protocol": "icmp" if family == 4 else "ipv6-icmp", "action": "bypass",
         "both_ways": True},
        # What a tunnel's selectors would protect goes in clear, because a rule before them says so.
        {"name": f"printer{family}", **here, "destination": "10.2.9.9/32" if family == 4 else "fd00:2::99/128", "protocol": "udp",
         "action": "bypass"},
        {"name": f"not-even-protected{family}", **here, "destination": "10.2.8.0/24" if family == 4 else "fd00:2::800/120",
         "action": "discard"}]


@pytest.fixture(scope="module")
def bench(make_bench):
    tunnel = Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"]),
                                                  Child("lan6", ["fd00:1::/64"], ["fd00:2::/64"])])
    ports_only = Tunnel("p", Bench.BOX4, "203.0.113.26", [
        Child("web", ["10.1.0.0/16"], ["10.3.0.0/16"], extra={"protocol": "tcp", "remote_port": 443})])
    ranges = Tunnel("r", Bench.BOX4, "203.0.113.27", [
        Child("some", ["10.1.1.10-10.1.1.20"], ["10.4.0.100-10.4.1.20"]),
        Child("some6", ["fd00:1::10-fd00:1::1f"], ["fd00:4::5-fd00:4::1:5"]),
        Child("ports", ["10.1.0.0/16"], ["10.5.0.0/16"], extra={"protocol": "udp", "local_port": "5060-5080", "remote_port": "1000-1999"})])
    classes = Tunnel("c", Bench.BOX4, "203.0.113.28", [
        Child("voice", ["10.1.0.0/16"], ["10.6.0.0/16"], extra={"dscp": ["ef", "cs5"]}),
        Child("rest", ["10.1.0.0/16"], ["10.6.0.0/16"]),
        Child("never", ["10.1.0.0/16"], ["10.6.0.0/16"], extra={"dscp": "af41"})])
    return make_bench().start([tunnel, ports_only, ranges, classes], rules(4, FOUR) + rules(6, SIX) + more_rules())


def more_rules():
    """Rules by ranges and classes."""
    here = {"from": "lan", "to": "wan"}
    return [
        {"name": "range4", **here, "source": "10.1.1.9-10.1.1.11", "destination": "198.51.100.7-198.51.100.200", "protocol": "udp",
         "action": "bypass"},
        {"name": "range6", **here, "source": "fd00:1::f-fd00:1::11", "destination": "2001:db8:d::7-2001:db8:d::1:0", "protocol": "udp",
         "action": "bypass"},
        {"name": "class", **here, "destination": "198.51.101.0/24", "dscp": ["ef", "af21", 63], "action": "bypass"}]


def packet(source, destination, layer):
    return (IPv6 if ":" in source else IP)(src=source, dst=destination) / layer / Raw(token())


def udp(sport, dport):
    return UDP(sport=sport, dport=dport)


def echo(family):
    return ICMP(type=8, id=7) if family == 4 else ICMPv6EchoRequest(id=7)


PASS, DISCARD, NONE = "passes", "policy_discard", "no_policy"
TABLE = [  # (side, source, destination, layer, verdict); sources and destinations by name
    ("lan", "inside", "host", lambda f: udp(40000, 5353), PASS),
    ("lan", "inside", "host", lambda f: udp(40000, 5354), DISCARD),
    ("lan", "inside", "host", lambda f: TCP(sport=40000, dport=5353), DISCARD),
    ("lan", "inside", "host", echo, DISCARD),
    ("lan", "inside", "other", lambda f: udp(40000, 5353), NONE),
    ("lan", "inside", "other", lambda f: udp(1024, 1000), PASS),
    ("lan", "inside", "other", lambda f: udp(65535, 1999), PASS),
    ("lan", "inside", "other", lambda f: udp(1023, 1500), NONE),
    ("lan", "inside", "other", lambda f: udp(5000, 999), NONE),
    ("lan", "inside", "other", lambda f: udp(5000, 2000), NONE),
    ("lan", "inside", "other", lambda f: TCP(sport=5000, dport=22), DISCARD),
    ("lan", "inside", "other", lambda f: TCP(sport=5000, dport=23), PASS),
    ("lan", "inside", "other", echo, PASS),
    ("lan", "foreign", "other", echo, NONE),             # the source is not the rule's
    ("wan", "other", "inside", echo, PASS),              # both_ways
    ("wan", "other", "inside", lambda f: TCP(sport=23, dport=5000), PASS),
    ("wan", "host", "inside", lambda f: udp(5353, 40000), PASS),  # the reply: ports change sides too
    ("wan", "host", "inside", lambda f: udp(40000, 5353), NONE),
    ("wan", "other", "inside", lambda f: udp(1500, 5000), NONE),  # a rule without both_ways
    ("wan", "inside", "other", lambda f: TCP(sport=5000, dport=23), NONE),  # right addresses, wrong port of entry
    ("lan", "inside", "printer", lambda f: udp(40000, 631), PASS),
    ("lan", "inside", "refused", lambda f: udp(40000, 631), DISCARD),
]
NAMES = [f"{number:02}-{side}-{source}-{destination}-{verdict}" for number, (side, source, destination, _, verdict) in enumerate(TABLE)]


@pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("side,source,destination,layer,verdict", TABLE, ids=NAMES)
def test_rule(bench, family, side, source, destination, layer, verdict):
    names = dict(FOUR if family == 4 else SIX)
    names |= dict(printer="10.2.9.9", refused="10.2.8.8", foreign="172.16.5.5") if family == 4 else dict(
        printer="fd00:2::99", refused="fd00:2::808", foreign="fd00:bad::5")
    one = packet(names[source], names[destination], layer(family))
    mark = bytes(one[Raw])
    bench.clear()
    before = bench.gateway.drops()
    bench.send(side, one)
    out = "wan" if side == "lan" else "lan"
    if verdict == PASS:
        assert bench.expect_token(out, mark)
        assert bench.gateway.drops() == before
    else:
        assert bench.drops_rise(verdict, before) == {verdict: 1}
        bench.good_packet_passes(bench.peers["t", "lan"])
        assert bench.station(out).take() == []


def test_tunnel_for_one_port_only(bench):
    """A child with a protocol and a port protects that port; the same host's other ports have no policy."""
    peer = bench.peers["p", "web"]
    bench.clear()
    one = packet("10.1.1.10", "10.3.1.1", TCP(sport=40000, dport=443))
    bench.send("lan", one)
    assert bytes(one[Raw]) in bytes(peer.open(bench.expect_esp(peer)))
    before = bench.gateway.drops()
    bench.send("lan", packet("10.1.1.10", "10.3.1.1", TCP(sport=40000, dport=80)))
    bench.drops_rise("no_policy", before)
    answer = packet("10.3.1.1", "10.1.1.10", TCP(sport=443, dport=40000))
    bench.send("wan", peer.seal(answer))
    bench.expect_token("lan", bytes(answer[Raw]))
    before = bench.gateway.drops()
    bench.send("wan", peer.seal(packet("10.3.1.1", "10.1.1.10", TCP(sport=80, dport=40000))))
    bench.drops_rise("selector_mismatch", before)


def test_fragments_of_icmp_pass_a_rule_without_types(bench):
    bench.clear()
    parts = fragment(IP(src="10.1.1.10", dst="192.0.2.10", id=9) / ICMP(type=8) / Raw(token() + bytes(2000)), fragsize=1000)
    for part in parts:
        bench.send("lan", part)
    for part in parts:
        bench.wan.expect(lambda p, part=part: IP in p and (p[IP].id, p[IP].frag) == (9, part.frag), f"the fragment at {part.frag}")


def passes(bench, source, destination, **fields):
    """Whether the rules let UDP pass in clear."""
    one = packet(source, destination, udp(1234, 5678))
    for name, value in fields.items():
        setattr(one, name, value)
    bench.clear()
    before = bench.gateway.drops()
    bench.send("lan", one)
    try:
        bench.wan.expect(lambda p: bytes(one[Raw]) in bytes(p), "the packet", 1.0)
        return True
    except AssertionError:
        bench.drops_rise("no_policy", before)
        return False


@pytest.mark.parametrize("source,destination,expected", [
    ("10.1.1.10", "198.51.100.7", True), ("10.1.1.10", "198.51.100.200", True), ("10.1.1.9", "198.51.100.100", True),
    ("10.1.1.11", "198.51.100.100", True), ("10.1.1.10", "198.51.100.6", False), ("10.1.1.10", "198.51.100.201", False),
    ("10.1.1.8", "198.51.100.100", False), ("10.1.1.12", "198.51.100.100", False),
    ("fd00:1::10", "2001:db8:d::7", True), ("fd00:1::10", "2001:db8:d::1:0", True), ("fd00:1::f", "2001:db8:d::ffff", True),
    ("fd00:1::11", "2001:db8:d::ff", True), ("fd00:1::10", "2001:db8:d::6", False), ("fd00:1::10", "2001:db8:d::1:1", False),
    ("fd00:1::e", "2001:db8:d::7", False), ("fd00:1::12", "2001:db8:d::7", False)])
def test_rules_by_ranges_of_addresses(bench, source, destination, expected):
    assert passes(bench, source, destination) == expected


@pytest.mark.parametrize("dscp,expected", [(46, True), (18, True), (63, True), (0, False), (45, False), (47, False), (20, False)])
def test_rules_by_class(bench, dscp, expected):
    for ecn in (0, 1):
        assert passes(bench, "10.1.1.10", "198.51.101.7", tos=dscp << 2 | ecn) == expected


@pytest.mark.parametrize("child,near,far,outside", [
    ("some", ["10.1.1.10", "10.1.1.15", "10.1.1.20"], ["10.4.0.100", "10.4.0.255", "10.4.1.0", "10.4.1.20"],
     ["10.4.0.99", "10.4.1.21", "10.4.0.1", "10.4.1.128"]),
    ("some6", ["fd00:1::10", "fd00:1::1f"], ["fd00:4::5", "fd00:4::ffff", "fd00:4::1:5"], ["fd00:4::4", "fd00:4::1:6"])])
def test_children_by_ranges_of_addresses(bench, child, near, far, outside):
    peer = bench.peers["r", child]
    bench.clear()
    for source in near:
        for destination in far:
            one = packet(source, destination, udp(1, 2))
            bench.send("lan", one)
            assert bytes(one[Raw]) in bytes(peer.open(bench.expect_esp(peer)))
    back = packet(far[-1], "10.1.1.10" if child == "some" else "fd00:1::10", udp(1, 2))
    bench.send("wan", peer.seal(back))
    bench.expect_token("lan", bytes(back[Raw]))
    for destination in outside:
        before = bench.gateway.drops()
        bench.send("lan", packet(near[0], destination, udp(1, 2)))
        bench.drops_rise("no_policy", before)
        before = bench.gateway.drops()
        bench.send("wan", peer.seal(packet(destination, near[0], udp(1, 2))))
        bench.drops_rise("selector_mismatch", before)


def test_child_by_ranges_of_ports(bench):
    peer = bench.peers["r", "ports"]
    bench.clear()
    for sport, dport, inside in ((5060, 1000, True), (5080, 1999, True), (5059, 1500, False), (5081, 1500, False),
                                 (5070, 999, False), (5070, 2000, False)):
        one = packet("10.1.1.10", "10.5.1.1", udp(sport, dport))
        back = packet("10.5.1.1", "10.1.1.10", udp(dport, sport))
        before = bench.gateway.drops()
        bench.send("lan", one)
        if inside:
            assert bytes(one[Raw]) in bytes(peer.open(bench.expect_esp(peer)))
            bench.send("wan", peer.seal(back))
            bench.expect_token("lan", bytes(back[Raw]))
        else:
            bench.drops_rise("no_policy", before)
            before = bench.gateway.drops()
            bench.send("wan", peer.seal(back))
            bench.drops_rise("selector_mismatch", before)


def test_the_class_chooses_the_sa(bench):
    """RFC 4301 4.1: several SAs of the same selectors, by DSCP; the receiver does not mind which one. Order decides where both fit."""
    bench.clear()
    for dscp, child in ((46, "voice"), (40, "voice"), (0, "rest"), (34, "rest"), (47, "rest")):
        peer = bench.peers["c", child]
        one = packet("10.1.1.10", "10.6.1.1", udp(1, 2))
        one.tos = dscp << 2
        bench.send("lan", one)
        assert bytes(one[Raw]) in bytes(peer.open(bench.expect_esp(peer)))
        back = packet("10.6.1.1", "10.1.1.10", udp(2, 1))
        bench.send("wan", bench.peers["c", "voice"].seal(back))
        bench.expect_token("lan", bytes(back[Raw]))


def test_show_says_what_was_asked_for(bench):
    rules = {r["policy"]: r for r in bench.gateway.show("policies")}
    assert rules["range4"]["source"] == "10.1.1.9-10.1.1.11" and rules["class"]["dscp"] == "af21 ef 63"
    sas = {s["child"]: s for s in bench.gateway.show("sas") if s["direction"] == "out"}
    assert sas["some"]["remote_ranges"] == ["10.4.0.100-10.4.1.20"] and sas["ports"]["local_ports"] == "5060-5080"
    assert sas["voice"]["dscp"] == "cs5 ef" and sas["rest"]["dscp"] == ""


def test_show_policies_counts_the_flows(bench):
    rows = {r["policy"]: r for r in bench.gateway.show("policies")}
    assert rows["no-ssh4"]["flows"] >= 1 and rows["tcp6"]["flows"] >= 1
