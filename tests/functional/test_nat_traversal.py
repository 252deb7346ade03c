"""ESP in UDP (RFC 3948): against scapy, beside IKE on the same port, and through a NAT that renumbers the port."""

import socket

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from harness import traffic
from harness.capture import Capture, assert_protected, esp_sa_options
from harness.config import SUITES, Child, Tunnel
from harness.netns import inside
from harness.topology import Bench, Sites, forwarded, inner_packet, token


def tunnels():
    children = [Child(name, ["10.1.0.0/16"], [f"10.{100 + number}.0.0/16"], name) for number, name in enumerate(SUITES)]
    return [Tunnel("nat", Bench.BOX4, Bench.PEER4, children, True),
            Tunnel("other-ports", Bench.BOX4, "203.0.113.26", [Child("c", ["10.1.0.0/16"], ["10.190.0.0/16"])], (4500, 40000)),
            Tunnel("nat6", Bench.BOX6, Bench.PEER6, [Child("c", ["fd00:1::/64"], ["fd00:60::/64"])], True)]


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench().start(tunnels())


@pytest.fixture
def box_socket(bench):
    """What an IKE daemon in the gateway's namespace has open."""
    made = []

    def make(port, family=socket.AF_INET):
        with inside("gw"):
            made.append(socket.socket(family, socket.SOCK_DGRAM))
        made[-1].bind(("", port))
        made[-1].settimeout(3)
        return made[-1]

    yield make
    for s in made:
        s.close()


def check_both_ways(bench, peer, ports):
    bench.clear()
    for length in (0, 1, 2, 3, 15, 16, 17, 333, 1200):
        packet = inner_packet(peer, bytes([length & 255]) * length, inbound=False)
        bench.send("lan", packet)
        outer = bench.expect_esp(peer)
        assert (outer[UDP].sport, outer[UDP].dport) == ports
        if outer.version == 4:
            assert outer[UDP].chksum == 0  # RFC 3948 2.1
        else:
            again = IPv6(bytes(outer))
            if outer[UDP].chksum:  # RFC 6936 allows none; one that is there must be right
                del again[UDP].chksum
                assert bytes(again) == bytes(outer)
        assert bytes(peer.open(outer)) == forwarded(packet)
        back = inner_packet(peer, token() + bytes(length), inbound=True)
        bench.send("wan", peer.seal(back))
        assert bytes(bench.expect_token("lan", bytes(back[Raw])[:15])) == forwarded(back)


@pytest.mark.parametrize("suite", SUITES)
def test_suite_in_udp(bench, suite):
    check_both_ways(bench, bench.peers["nat", suite], (4500, 4500))


def test_ports_of_a_nat(bench):
    check_both_ways(bench, bench.peers["other-ports", "c"], (4500, 40000))


def test_ipv6(bench):
    check_both_ways(bench, bench.peers["nat6", "c"], (4500, 4500))


def test_keepalive_is_swallowed(bench, box_socket):
    """RFC 3948 2.3: one byte 0xff; the IKE daemon behind the port never sees it."""
    ike = box_socket(4500)
    before = bench.gateway.drops()
    bench.send("wan", IP(src=Bench.PEER4, dst=Bench.BOX4) / UDP(sport=4500, dport=4500) / Raw(b"\xff"))
    bench.drops_rise("nat_keepalive", before)
    bench.send("wan", IP(src=Bench.PEER4, dst=Bench.BOX4) / UDP(sport=4500, dport=4500) / Raw(b"\0\0\0\0after"))
    assert ike.recvfrom(100)[0] == b"\0\0\0\0after"


def test_ike_beside_esp_reaches_the_box_once(bench, box_socket):
    """RFC 3948 2.2: four zero bytes mark IKE. It comes to the daemon's socket, once, and the answer gets out."""
    ike = box_socket(4500)
    message = b"\0\0\0\0" + token() + bytes(200)
    bench.send("wan", IP(src=Bench.PEER4, dst=Bench.BOX4) / UDP(sport=4500, dport=4500) / Raw(message))
    data, source = ike.recvfrom(1000)
    assert (data, source) == (message, (Bench.PEER4, 4500))
    answer = b"\0\0\0\0" + token()
    ike.sendto(answer, source)
    frame = bench.wan.expect(lambda p: answer in bytes(p), "the daemon's answer")
    assert (frame[IP].src, frame[UDP].sport, frame[UDP].dport) == (Bench.BOX4, 4500, 4500)
    again = IP(bytes(frame[IP]))
    del again.chksum, again[UDP].chksum
    assert bytes(again) == bytes(frame[IP])
    bench.good_packet_passes(bench.peers["nat", "aes256gcm16"])
    ike.setblocking(False)
    with pytest.raises(BlockingIOError):
        ike.recv(1000)


def test_peer_behind_a_nat_may_change_its_address_only_if_configured(bench):
    """Without IKE nothing may move a manual SA: what the gateway sends keeps going to the configured peer."""
    peer = bench.peers["nat", "aes128gcm16"]
    bench.clear()
    bench.send("wan", peer.outer(bytes(peer.seal(inner_packet(peer, token(), inbound=True))[UDP].payload),
                                 source="203.0.113.39", udp=(1111, 4500)))
    bench.send("lan", inner_packet(peer, token(), inbound=False))
    outer = bench.expect_esp(peer)
    assert (outer.dst, outer[UDP].dport) == (Bench.PEER4, 4500)


def test_through_a_masquerade(make_sites, tmp_path):
    """Gateway A has a private address behind a NAT that also renumbers the port; both sites work, over both families."""
    sites = make_sites(nat=True).start_gateways()
    capture = Capture(sites.lab, "wan", "to-b", str(tmp_path / "nat.pcap"), snaplen=256)
    traffic.ping("site-a", Sites.B4, count=3)  # opens the NAT's mapping
    traffic.ping("site-b", Sites.A4, count=3)
    traffic.ping("site-a", Sites.B6, count=3)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 100_000_000)
    traffic.tcp_transfer("site-b", "site-a", Sites.A6, 5_000_000)
    capture.stop()
    assert_protected(capture, at_least=60_000)
    ports = set(capture.fields(["ip.src", "udp.srcport", "udp.dstport"], "udpencap"))
    assert ports == {("198.51.100.1", str(Sites.NAT_PORT), "4500"), (Sites.GW_B4, "4500", str(Sites.NAT_PORT))}
    whole = Capture(sites.lab, "wan", "to-b", str(tmp_path / "keys.pcap"))
    traffic.ping("site-a", Sites.B4, count=3)
    whole.stop()
    assert whole.count("icmp", *esp_sa_options(sites.tunnels_a)) == 6
    assert sites.gw_b.sa("a-b", "lan", "in")["integrity_failed"] == 0
