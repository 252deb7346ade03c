"""Two sites, two gateways, real traffic: everything arrives whole, and the WAN sees ESP and nothing else."""

import pytest

from harness import traffic
from harness.capture import Capture, assert_protected, esp_sa_options
from harness.topology import Sites

FAMILIES = pytest.mark.parametrize("address", [Sites.B4, Sites.B6], ids=["ipv4", "ipv6"])


@pytest.fixture(scope="module")
def sites(make_sites):
    return make_sites().start_gateways()


@pytest.fixture
def wan(sites, tmp_path):
    """What passes on the WAN during the test; payload in clear would show within the first bytes."""
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256)
    yield capture
    capture.process.stop()


@FAMILIES
def test_ping(sites, wan, address):
    traffic.ping("site-a", address, count=5)
    traffic.ping("site-b", Sites.A6 if ":" in address else Sites.A4, count=5)
    wan.stop()
    assert assert_protected(wan) == 20
    child = "lan6" if ":" in address else "lan"
    assert sites.gw_a.sa("a-b", child, "out")["packets"] >= 10
    assert sites.gw_b.sa("a-b", child, "in")["packets"] >= 10


def test_large_ping_is_cut_and_put_together(sites):
    """3,000 bytes do not fit the WAN: fragments arrive all the same."""
    traffic.ping("site-a", Sites.B4, count=3, size=3000)


def test_ipv6_sender_is_told_what_fits(sites):
    """Routers do not fragment IPv6 (RFC 8200 5): a sender learns what the tunnel leaves of 1,500 bytes, and cuts by it."""
    sent, received, errors = traffic.ping_errors("site-a", Sites.B6, count=4, size=3000)
    # 1,500 - 20 (outer IPv4) - 8 (ESP) - 8 (IV) - 16 (ICV) = 1,448, a multiple of 4, of which the trailer takes 2.
    assert errors == ["From fd00:1::1 icmp_seq=1 Packet too big: mtu=1446"]
    # The first request teaches this site, the first reply the other one; from then on they pass.
    assert (sent, received) == (4, 2)
    traffic.ping("site-a", Sites.B6, count=3, size=3000)


@FAMILIES
def test_100_mb_by_tcp(sites, wan, address):
    """The site's kernel hands over large segments with partial checksums (offloads are on): the content must not suffer."""
    before = sites.gw_b.sa("a-b", "lan6" if ":" in address else "lan", "in")
    traffic.tcp_transfer("site-a", "site-b", address, 100_000_000)
    wan.stop()
    assert assert_protected(wan, at_least=60_000) > 0
    after = sites.gw_b.sa("a-b", "lan6" if ":" in address else "lan", "in")
    assert after["bytes"] - before["bytes"] > 100_000_000
    assert after["integrity_failed"] == after["replayed"] == after["selector_mismatch"] == 0


def test_no_packet_is_larger_than_the_wan(sites, wan):
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 5_000_000)
    wan.stop()
    sizes = [int(length) for (length,) in wan.fields(["frame.len"], "esp")]
    assert max(sizes) <= 1514


def test_transfer_the_other_way(sites):
    traffic.tcp_transfer("site-b", "site-a", Sites.A4, 20_000_000)


@FAMILIES
def test_udp_by_iperf3(sites, wan, address, tmp_path):
    report = traffic.iperf3_udp(sites.lab, "site-a", "site-b", address, str(tmp_path), "50M", 2)
    assert report["packets"] > 5000
    assert report["lost_on_the_way"] == 0, report
    wan.stop()
    assert_protected(wan, at_least=5000)


def test_tshark_reads_it_with_the_keys_and_only_then(sites, tmp_path):
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "keys.pcap"))
    traffic.ping("site-a", Sites.B4, count=5)
    traffic.ping("site-a", Sites.B6, count=5)
    capture.stop()
    keys = esp_sa_options(sites.tunnels_a)
    assert capture.count("icmp or icmpv6.type == 128 or icmpv6.type == 129") == 0
    assert capture.count("icmp", *keys) == 10
    assert capture.count("icmpv6.type == 128 or icmpv6.type == 129", *keys) == 10
    assert capture.count("esp.icv_good == 1", *keys) == 20


def test_ping_to_the_gateway_itself(sites):
    traffic.ping("site-a", "10.1.0.1")
    traffic.ping("site-a", "fd00:1::1")
    traffic.ping("wan", Sites.GW_A4)
    traffic.ping("gw-a", "203.0.113.1")
