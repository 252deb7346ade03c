"""Whatever the WAN carries, everything arrives, and nobody has set an MTU: RFC 1191, RFC 8201, RFC 4301 8."""

import random
import socket
import struct

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from harness import bad_input, traffic
from harness.capture import Capture, assert_protected
from harness.config import Child, Tunnel
from harness.narrow import NarrowSites
from harness.netns import inside, wait_until
from harness.topology import Bench, Sites, host_in, token, udp_packet

ROUTES = {"ipv4": {"family": 4}, "ipv4-udp": {"family": 4, "udp": True}, "ipv6": {"family": 6},
          "ipv6-udp": {"family": 6, "udp": True}, "nat": {"family": 4, "nat": True}}


def echo_datagram(client, server, address, size, attempts=5, port=5800):
    """One datagram there and back. IPv6 hosts must first be told the size: a datagram too large for the path is lost."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(server):
        far = socket.socket(family, socket.SOCK_DGRAM)
    with inside(client):
        near = socket.socket(family, socket.SOCK_DGRAM)
    with far, near:
        for one in (far, near):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            one.settimeout(1)
        far.bind((address, port))
        payload = random.randbytes(size)
        for _ in range(attempts):
            near.sendto(payload, (address, port))
            try:
                data, sender = far.recvfrom(1 << 16)
                assert data == payload
                far.sendto(data, sender)
                assert near.recv(1 << 16) == payload
                return
            except TimeoutError:
                continue
    raise AssertionError(f"a datagram of {size} bytes did not get to {address} and back in {attempts} attempts")


def check_everything_arrives(sites, mtu, length):
    for near, far, size in ((Sites.A4, Sites.B4, 65507), (Sites.A6, Sites.B6, 65000)):
        echo_datagram("site-a", "site-b", far, size)
        traffic.tcp_transfer("site-a", "site-b", far, length)
        traffic.tcp_transfer("site-b", "site-a", near, length // 10)
        echo_datagram("site-a", "site-b", far, size)
    for child in ("lan", "lan6"):
        sa = sites.gw_a.sa("a-b", child, "out")
        assert sa["path_mtu"] == (mtu if mtu < 1500 else 0), (child, sa)
        assert mtu == 1500 or (sa["path_mtu_learned"] > 0 and sa["path_mtu_age_ms"] < 600_000)
        for gateway in (sites.gw_a, sites.gw_b):
            received = gateway.sa("a-b", child, "in")
            assert received["integrity_failed"] == received["replayed"] == 0


@pytest.fixture(scope="module", params=list(ROUTES))
def route(request, make_sites):
    how = dict(ROUTES[request.param])
    sites = make_sites(NarrowSites, nat=how.pop("nat", False))
    sites.start_gateways(sites.tunnels_over(**how))
    sites.family = how["family"]
    return sites


@pytest.mark.heavy
@pytest.mark.parametrize("mtu", [1500, 1400, 1280, 576])
def test_any_wan_carries_everything(route, mtu):
    """The link gets narrower while the gateways run."""
    if route.family == 6 and mtu < 1280:
        pytest.skip("IPv6 has no such links")
    route.narrow(mtu)
    check_everything_arrives(route, mtu, 100_000_000)
    if mtu < 1500:
        assert f"path MTU {mtu}" in route.gw_a.table("sas")


@pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
def test_a_narrow_wan(make_sites, family):
    sites = make_sites(NarrowSites, narrow=576 if family == 4 else 1280)
    sites.start_gateways(sites.tunnels_over(family))
    check_everything_arrives(sites, 576 if family == 4 else 1280, 500_000)


# ---- errors come back through the tunnel ----

@pytest.fixture(scope="module")
def small_lan(make_sites):
    """Site B's LAN carries 1,300 bytes only."""
    sites = make_sites()
    sites.lab.ip("gw-b", "link", "set", "lan0", "mtu", "1300")
    sites.lab.ip("site-b", "link", "set", "eth0", "mtu", "1300")
    return sites.start_gateways()


@pytest.fixture
def wan(small_lan, tmp_path):
    capture = Capture(small_lan.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256)
    yield capture
    capture.process.stop()


FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])


def only_answer(netns, address, **ping):
    """Who answered in place of the host, and what."""
    _, received, errors = traffic.ping_errors(netns, address, count=1, **ping)
    assert received == 0 and len(errors) == 1, errors
    return errors[0].replace(" icmp_seq=1", "")


@FAMILIES
def test_a_trace_shows_both_gateways(small_lan, wan, family):
    """One hop after the other, as traceroute does it, from either site."""
    a, b = (Sites.A4, Sites.B4) if family == 4 else (Sites.A6, Sites.B6)
    own = {"site-a": "10.1.0.1" if family == 4 else "fd00:1::1", "site-b": "10.2.0.1" if family == 4 else "fd00:2::1"}
    said = "Time to live exceeded" if family == 4 else "Time exceeded: Hop limit"
    for netns, far_site, far in (("site-a", "site-b", b), ("site-b", "site-a", a)):
        assert only_answer(netns, far, extra=("-t", 1)) == f"From {own[netns]} {said}"
        assert only_answer(netns, far, extra=("-t", 2)) == f"From {own[far_site]} {said}"
        traffic.ping(netns, far, count=1, extra=("-t", 3))
    wan.stop()
    assert_protected(wan)


@FAMILIES
def test_a_host_that_is_not_there(small_lan, wan, family):
    address, box, said = (("10.2.9.9", "10.2.0.1", "Destination Host Unreachable") if family == 4 else
                          ("fd00:2::9:9", "fd00:2::1", "Destination unreachable: Address unreachable"))
    assert only_answer("site-a", address, wait=6) == f"From {box} {said}"
    wan.stop()
    assert_protected(wan)


@FAMILIES
def test_a_far_lan_that_carries_less(small_lan, wan, family):
    """The far gateway says so through the tunnel; then the sender's kernel keeps to it."""
    far = Sites.B4 if family == 4 else Sites.B6
    said = ("From 10.2.0.1 Frag needed and DF set (mtu = 1300)" if family == 4 else
            "From fd00:2::1 Packet too big: mtu=1300")
    assert only_answer("site-a", far, size=1372, extra=("-M", "do")) == said
    traffic.tcp_transfer("site-a", "site-b", far, 2_000_000)
    wan.stop()
    assert_protected(wan)


# ---- what anybody may send ----

def forged_tunnels():
    return [Tunnel("four", Bench.BOX4, Bench.PEER4, [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])]),
            Tunnel("udp", Bench.BOX4, "203.0.113.26", [Child("c", ["10.1.0.0/16"], ["10.3.0.0/16"])], (4500, 40000)),
            Tunnel("six", Bench.BOX6, Bench.PEER6, [Child("c", ["10.1.0.0/16"], ["10.4.0.0/16"], esn=False)])]


@pytest.fixture(scope="module")
def bench(make_bench):
    """No rule lets ICMP to the box pass."""
    routes = [("0.0.0.0/0", "203.0.113.1", "wan"), ("::/0", "2001:db8:f::1", "wan")]
    return make_bench().start(forged_tunnels(), policies=(), routes=routes)


def too_big(about, mtu, quoted=576):
    """What a router says of a packet that it did not forward."""
    quote = Raw(bytes(about)[:quoted])
    if about.version == 6:
        return IPv6(src="2001:db8:f::1", dst=Bench.BOX6) / ICMPv6PacketTooBig(mtu=mtu) / quote
    return IP(src="203.0.113.1", dst=Bench.BOX4) / ICMP(type=3, code=4, nexthopmtu=mtu) / quote


def patched(packet, at, value):
    data = bytearray(bytes(packet))
    data[at:at + len(value)] = value
    return packet.__class__(bytes(data))


@pytest.mark.parametrize("tunnel", ["four", "udp", "six"])
def test_forged_reports_change_nothing(bench, tunnel):
    peer = bench.peers[tunnel, "c"]
    inner = udp_packet(Bench.HOST4, host_in(peer.child.remote[0]), token() + bytes(1300), flags="DF")
    bench.clear()
    bench.send("lan", inner)
    esp = bench.expect_esp(peer)
    at = (40 if esp.version == 6 else 20) + (8 if tunnel == "udp" else 0)
    sequence = int.from_bytes(bytes(esp)[at + 4:at + 8], "big")

    def state():
        sa = bench.gateway.sa(tunnel, "c", "out")
        return sa["path_mtu"], sa["path_mtu_learned"], sa["path_mtu_refused"]

    refused = 0
    for report in (too_big(patched(esp, at + 4, (sequence + 1).to_bytes(4, "big")), 1300), too_big(esp, 68),
                   too_big(esp, 1279 if esp.version == 6 else 575), too_big(esp, 1500), too_big(esp, len(esp))):
        before = bench.gateway.drops()
        bench.send("wan", report)
        bench.drops_rise("path_mtu_refused", before)
        refused += 1
        assert state() == (0, 0, refused)
    strange = [too_big(patched(esp, at, b"\x12\x34\x56\x78"), 1300), too_big(esp, 1300, quoted=at + 7)]
    if tunnel == "udp":
        strange += [too_big(patched(esp, 20, b"\x11\x95"), 1300), too_big(patched(esp, 22, b"\x11\x95"), 1300)]
    for report in strange:
        before = bench.gateway.drops()
        bench.send("wan", report)
        bench.drops_rise("no_policy", before)
        assert state() == (0, 0, refused)
    before = bench.gateway.drops()
    bench.send("wan", too_big(esp, 1300))
    bench.drops_rise("path_mtu_learned", before)
    assert state() == (1300, 1, refused)
    larger = udp_packet(Bench.HOST4, host_in(peer.child.remote[0]), token() + bytes(1260), flags="DF")
    bench.send("lan", larger)
    error = bench.lan.expect(lambda p: ICMP in p and p[ICMP].type == 3, "fragmentation needed")
    assert error[ICMP].code == 4 and 1200 < error[ICMP].nexthopmtu < 1300


def test_a_flood_of_fragments_stays_in_its_memory(bench):
    """100,000 beginnings of packets that never end: everything else goes on, and no buffer is lost."""
    peer = bench.peers["four", "c"]
    share = bench.gateway.show("gateway")[0]["buffers"] // 4
    before = bench.gateway.drops()
    lowest = bench.buffers_free
    head = bytes(Ether(src=Bench.WAN_MAC, dst=bench.mac["wan"], type=0x0800))
    for turn in range(100):
        frames = []
        for number in range(1000 * turn, 1000 * turn + 1000):
            source = bytes([198, 51, number >> 8 & 255, number & 255])
            part = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, number & 0xffff, 0x2000 | number % 3, 64, 50, 0, source,
                               socket.inet_aton(Bench.BOX4))
            frames.append(head + bad_input.ipv4(part) + bytes(16))
        bench.wan.send_many(frames)
        if turn % 10 == 9:
            bench.good_packet_passes(peer)
            lowest = min(lowest, bench.gateway.show("gateway")[0]["buffers_free"])
    assert bench.buffers_free - lowest <= share + 1024, f"{lowest} of {bench.buffers_free} buffers are free"

    def counted():
        after = bench.gateway.drops()
        return sum(after.get(name, 0) - before.get(name, 0) for name in ("fragment_table_full", "fragment_timeout"))
    lost = bench.gateway.port("wan")["rx_dropped"]
    wait_until(lambda: counted() + lost >= 100_000, lambda: f"{counted()} drops, {lost} lost by the kernel", 15)
    assert bench.gateway.drops()["fragment_timeout"] > 0
    bench.wait_buffers_free()
    bench.good_packet_passes(peer)
