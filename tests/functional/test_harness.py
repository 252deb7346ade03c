"""The harness proves itself where no gateway is needed: what it calls right is right, and it can see what is wrong."""

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.utils import wrpcap

from harness import capture, config, esp, traffic
from harness.capture import Capture
from harness.station import Station
from harness.topology import Sites, token, udp_packet, inner_packet

pytestmark = pytest.mark.selftest


def one_tunnel(suite, esn, udp=False):
    return config.Tunnel("t", "203.0.113.2", "203.0.113.25", [config.Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"], suite, esn)], udp)


@pytest.mark.parametrize("esn", [False, True], ids=["", "esn"])
@pytest.mark.parametrize("suite", config.SUITES)
def test_three_codecs_agree(tmp_path, suite, esn):
    """Our codec seals, scapy opens, tshark decrypts and finds the ICV good; then scapy seals and tshark judges again."""
    tunnel = one_tunnel(suite, esn)
    peer = esp.Peer(tunnel, tunnel.children[0])
    packets, inners = [], []
    for length in (0, 1, 7, 15, 16, 17, 300):
        inner = inner_packet(peer, b"x" * length, inbound=True)
        by_hand, by_scapy = peer.seal_by_hand(inner), peer.seal(inner)
        for outer in (by_hand, by_scapy):
            opened = peer.towards_gateway.decrypt(IP(bytes(outer)), verify=True)
            assert bytes(opened) == bytes(inner)
            packets.append(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / outer)
            inners.append(inner)
    if config.SUITES[suite].cipher not in capture.TSHARK_CIPHERS:
        return
    file = str(tmp_path / "esp.pcap")
    wrpcap(file, packets)
    judge = Capture.of_file(file)
    options = capture.esp_sa_options([tunnel])
    rows = judge.fields(["esp.icv_good", "esp.icv_bad", "esp.protocol"], "esp", *options)
    assert len(rows) == len(packets)
    assert all(row[2] == "0x04" for row in rows), rows
    assert all(row[0] in ("1", "True") for row in rows), rows
    assert judge.count("udp.port == 5678", *options) == len(packets)


def test_a_wrong_icv_is_seen(tmp_path):
    tunnel = one_tunnel("aes256gcm16", True)
    peer = esp.Peer(tunnel, tunnel.children[0])
    raw = bytearray(bytes(peer.seal(inner_packet(peer, b"hello", inbound=True))))
    raw[-1] ^= 1
    with pytest.raises(Exception):
        peer.towards_gateway.decrypt(IP(bytes(raw)), verify=True)


def test_high_half_of_an_extended_sequence_number():
    tunnel = one_tunnel("aes128gcm16", True)
    peer = esp.Peer(tunnel, tunnel.children[0])
    inner = inner_packet(peer, b"hello", inbound=True)
    outer = peer.seal_by_hand(inner, sequence=(3 << 32) + 5)
    assert bytes(peer.towards_gateway.decrypt(IP(bytes(outer)), verify=True, esn=3)) == bytes(inner)
    assert bytes(peer.seal(inner, sequence=(3 << 32) + 5)[IP].payload)[4:8] == (5).to_bytes(4, "big")


@pytest.fixture(scope="module")
def routed(make_sites):
    return make_sites().plain_routers()


def test_plain_ping_and_transfer(routed):
    for address in (Sites.B4, Sites.B6):
        traffic.ping("site-a", address)
        traffic.tcp_transfer("site-a", "site-b", address, 20_000_000)


def test_capture_sees_cleartext(routed, tmp_path):
    """The check that the gateways must pass fails where there is no gateway."""
    seen = Capture(routed.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 100_000)
    seen.stop()
    assert seen.marked() > 0
    with pytest.raises(AssertionError):
        capture.assert_protected(seen, at_least=0)


def test_udp_stream_counts(routed, tmp_path):
    """20,000 datagrams per second from one process, every one counted at the far end; and a hole is seen."""
    stream = traffic.UdpStream(routed.lab, "site-a", "site-b", Sites.B4, str(tmp_path), rate=20_000, count=40_000)
    sent, got = stream.finish()
    assert sent["sent"] == got["received"] == 40_000 and got["missing"] == got["repeated"] == 0
    assert sent["rate"] > 19_000
    stream = traffic.UdpStream(routed.lab, "site-a", "site-b", Sites.B6, str(tmp_path), rate=2000)
    stream.wait_progress(100)
    routed.lab.nft("wan", "table inet hole { chain f { type filter hook forward priority 0; meta l4proto udp drop; }; }")
    routed.lab.nft("wan", "delete table inet hole")
    stream.wait_progress()
    sent, got = stream.finish()
    assert got["missing"] > 0 and got["missing"] == sent["sent"] - got["received"]


def test_iperf3(routed, tmp_path):
    for address in (Sites.B4, Sites.B6):
        report = traffic.iperf3_udp(routed.lab, "site-a", "site-b", address, str(tmp_path), "50M", 1)
        assert report["lost_packets"] == 0 and report["packets"] > 1000


def test_station_sends_sees_and_answers(routed):
    lab = routed.lab
    lab.namespace("s1", quiet=True)
    lab.namespace("s2", quiet=True)
    lab.sysctl("s2", "net.ipv6.conf.default.disable_ipv6", 1)
    lab.veth(("s1", "eth0"), ("s2", "eth0"), None, (None, "02:00:00:00:0f:01"))
    lab.address("s1", "eth0", "192.0.2.1/24", "2001:db8::1/64")
    station = lab.closing(Station("s2", "eth0", "02:00:00:00:0f:01"))
    station.neighbours = {"192.0.2.2": station.mac, "2001:db8::2": station.mac}
    for address in ("192.0.2.2", "2001:db8::2"):  # the kernel resolves us and sends
        traffic.ping("s1", address, count=1, check=False, deadline=1)
        station.expect(lambda p: address in (getattr(p.payload, "dst", ""),), f"the echo request to {address}")
    mark = token()
    other = lab.closing(Station("s1", "eth0", lab.mac("s1", "eth0")))
    station.send(Ether(src=station.mac, dst=other.mac) / Dot1Q(vlan=42) / udp_packet("192.0.2.2", "192.0.2.1", mark))
    frame = other.expect(lambda p: mark in bytes(p), "the tagged frame")
    assert frame[Dot1Q].vlan == 42 and frame[UDP].dport == 5678
    with pytest.raises(AssertionError):
        other.expect(lambda p: mark in bytes(p), "it twice", seconds=0.2)


def test_nat(make_sites, tmp_path):
    """The NAT gives UDP 4500 another source address and port, and lets the answer back in."""
    import socket

    from harness.netns import inside
    sites = make_sites(nat=True).plain_routers()
    with inside("gw-a"):
        a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        a.bind((Sites.NAT_A4, 4500))
    with inside("gw-b"):
        b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        b.bind((Sites.GW_B4, 4500))
    for s in (a, b):
        s.settimeout(3)
    a.sendto(b"there", (Sites.GW_B4, 4500))
    data, source = b.recvfrom(100)
    assert (data, source) == (b"there", ("198.51.100.1", Sites.NAT_PORT))
    b.sendto(b"back", source)
    assert a.recvfrom(100)[0] == b"back"
    assert sites.nat


def test_configuration_has_what_an_operator_writes(tmp_path):
    tunnel = one_tunnel("aes128cbc-sha1", False, (4500, 40000))
    file = config.write(str(tmp_path), {"wan": {"device": "wan0", "addresses": ["203.0.113.2/24"]}}, [tunnel])
    text = open(file).read()
    assert "peer_port: 40000" in text and "aes128cbc-sha1" in text
    assert tunnel.children[0].out_key.hex() not in text
    key = (tmp_path / "t-c-out.key").read_text().strip()
    assert len(bytes.fromhex(key)) == config.SUITES["aes128cbc-sha1"].key_material
    mirror = tunnel.mirrored()
    assert mirror.children[0].in_key == tunnel.children[0].out_key and mirror.udp == (40000, 4500)
