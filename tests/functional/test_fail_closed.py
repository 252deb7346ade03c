"""Nothing leaks, whatever dies: before the first configuration, at kill -9 of either daemon, and afterwards."""

import collections
import os
import signal
import socket
import time

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether

from harness import traffic
from harness.capture import MARKER, Capture, assert_protected, esp_sequences
from harness.config import Child, Tunnel
from harness.netns import inside, wait_until
from harness.topology import Bench, Sites, inner_packet, token, udp_packet


@pytest.fixture(scope="module")
def sites(make_sites):
    return make_sites().start_gateways()


def check_wire_numbers(capture, source):
    """RFC 4303 2.2, RFC 4106 3.1: per SA, sequence numbers only rise and no IV is used twice, over the capture."""
    by_spi = collections.defaultdict(list)
    for spi, sequence, iv in esp_sequences(capture, socket.inet_aton(source)):
        by_spi[spi].append((sequence, iv))
    assert by_spi, "no ESP in the capture"
    for spi, rows in by_spi.items():
        numbers = [sequence for sequence, _ in rows]
        falls = [pair for pair in zip(numbers, numbers[1:]) if pair[0] >= pair[1]]
        assert not falls, f"SPI {spi:#x}: {len(falls)} sequence numbers do not rise, the first {falls[:5]}"
        assert len({iv for _, iv in rows}) == len(rows), f"SPI {spi:#x}: an IV came twice"
    return by_spi


@pytest.mark.parametrize("times", [1, 2])
def test_kill_9_of_the_data_plane(sites, tmp_path, times):
    """Under traffic both ways. It comes back by itself; the peer, with its replay window, takes what follows."""
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=128)
    there = traffic.UdpStream(sites.lab, "site-a", "site-b", Sites.B4, str(tmp_path), rate=3000)
    back = traffic.UdpStream(sites.lab, "site-b", "site-a", Sites.A4, str(tmp_path), rate=3000)
    there.wait_progress(500)
    back.wait_progress(500)
    replayed = sites.gw_b.sa("a-b", "lan", "in")["replayed"]
    started = time.monotonic()
    pid = sites.gw_a.kill("trunkgate-dataplane")
    sites.gw_a.wait_restarted("trunkgate-dataplane", pid)
    sites.gw_a.wait_ready()
    there.wait_progress(seconds=20)
    back.wait_progress(seconds=20)
    outage = time.monotonic() - started
    there.wait_progress()
    for stream in (there, back):
        sent, got = stream.finish()
        assert got["repeated"] == 0 and 0 < got["missing"] < sent["sent"]
    capture.stop()
    assert_protected(capture, at_least=1000)
    check_wire_numbers(capture, Sites.GW_A4)
    check_wire_numbers(capture, Sites.GW_B4)
    assert sites.gw_b.sa("a-b", "lan", "in")["replayed"] == replayed
    assert outage < 15, f"{outage:.1f} s without traffic"


def test_kill_9_of_trunkgated_loses_no_packet(sites, tmp_path):
    """The control plane's death stops no packet: 20,000 per second without a gap; it comes back and finds its SAs."""
    before = sites.gw_a.show("sas")
    stream = traffic.UdpStream(sites.lab, "site-a", "site-b", Sites.B4, str(tmp_path), rate=20_000, count=100_000)
    stream.wait_progress(20_000)
    pid = sites.gw_a.kill("trunkgated")
    dataplane = sites.gw_a.daemon("trunkgate-dataplane")
    sites.gw_a.wait_restarted("trunkgated", pid)
    sent, got = stream.finish()
    assert sent["rate"] > 18_000, sent
    assert got["missing"] == got["repeated"] == got["disordered"] == 0, got
    assert sites.gw_a.daemon("trunkgate-dataplane") == dataplane
    sites.gw_a.wait_ready()
    after = sites.gw_a.show("sas")
    assert [(r["spi"], r["installed_unix_ns"]) for r in after] == [(r["spi"], r["installed_unix_ns"]) for r in before]
    assert sum(r["packets"] for r in after) >= sum(r["packets"] for r in before) + 100_000


def test_traffic_after_all_that(sites, tmp_path):
    traffic.ping("site-a", Sites.B6)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 10_000_000)


def test_nothing_in_clear_before_the_first_configuration(make_sites, tmp_path):
    """The sites talk from the first moment on: what the WAN sees of it, ever, is ESP."""
    sites = make_sites()
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256)
    stream = traffic.UdpStream(sites.lab, "site-a", "site-b", Sites.B4, str(tmp_path), rate=2000)
    sites.start_gateways()
    stream.wait_progress(seconds=20)
    stream.finish()
    for g in (sites.gw_a, sites.gw_b):
        assert g.stop() == 0
    capture.stop()
    assert_protected(capture)


def tunnels():
    return [Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"]),
                                                 Child("cbc", ["10.1.0.0/16"], ["10.3.0.0/16"], "aes256cbc-sha256")])]


@pytest.fixture
def bench(make_bench):
    bench = make_bench().start(tunnels())
    yield bench
    bench.close()


def probe_everything(bench):
    """Whatever could make a kernel speak: pings, ARP, a closed port, a transit packet, ESP."""
    bench.ask_arp()
    to_box = IP(src=Bench.PEER4, dst=Bench.BOX4)
    for packet in (to_box / ICMP(type=8), to_box / TCP(sport=1, dport=22, flags="S"),
                   udp_packet(Bench.PEER4, Bench.BOX4, MARKER, 500, 500), udp_packet(Bench.PEER4, Bench.BOX4, MARKER),
                   udp_packet("10.2.1.1", Bench.HOST4, MARKER),
                   IP(src=Bench.PEER4, dst=Bench.BOX4, proto=50) / (b"\0\0\x10\x01" + bytes(60))):
        bench.send("wan", packet)
    for packet in (udp_packet(Bench.HOST4, "10.2.1.1", MARKER), udp_packet(Bench.HOST4, Bench.CLEAR4, MARKER),
                   IP(src=Bench.HOST4, dst=Bench.BOX_LAN4) / ICMP(type=8)):
        bench.send("lan", packet)


def test_dead_data_plane_is_silent(bench):
    """With every process killed, and nobody to restart them, the netdevs answer nothing and pass nothing."""
    os.kill(bench.gateway.process.pid, signal.SIGSTOP)  # the supervisor does not come to its aid
    bench.gateway.kill("trunkgate-dataplane")
    bench.clear()
    probe_everything(bench)
    # The kernel handles a veth frame while it is sent: an answer would be on its way already. Our own frame marks the end.
    mark = token()
    ends = {"wan": "wan0", "lan": "lan0"}
    with_sockets = []
    for side, device in ends.items():
        with inside("gw"):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((device, 0))
        s.send(bytes(Ether(src=bench.mac[side], dst="ff:ff:ff:ff:ff:ff", type=0x88b5)) + mark + bytes(40))
        with_sockets.append(s)
    for side in ends:
        bench.station(side).expect(lambda p: mark in bytes(p), "our own mark")
        assert [Ether(f.data).summary() for f in bench.station(side).take()] == []
    for s in with_sockets:
        s.close()
    os.kill(bench.gateway.process.pid, signal.SIGCONT)
    wait_until(lambda: bench.gateway.daemon("trunkgate-dataplane"), "the supervisor restarts it")
    bench.gateway.wait_ready()
    bench.good_packet_passes(bench.peers["t", "lan"])


def test_replay_is_refused_across_a_restart(bench):
    """What was accepted before the kill is not accepted again after it (RFC 4303 3.4.3), and newer numbers are."""
    peer = bench.peers["t", "lan"]
    mark = token()
    old = [peer.seal(inner_packet(peer, mark, inbound=True)) for _ in range(5)]
    for packet in old:
        bench.send("wan", packet)
        bench.expect_token("lan", mark)
    pid = bench.gateway.kill("trunkgate-dataplane")
    bench.gateway.wait_restarted("trunkgate-dataplane", pid)
    bench.gateway.wait_ready()
    before = bench.gateway.drops()
    for packet in old:
        bench.send("wan", packet)
    bench.drops_rise("esp_replayed", before, by=5)
    bench.good_packet_passes(peer)


def test_sequence_numbers_resume_above(bench):
    """For every suite's IVs too: the first packet after the kill is above everything before it."""
    seen = {}
    for round_number in range(2):
        for name in ("lan", "cbc"):
            peer = bench.peers["t", name]
            for _ in range(20):
                bench.send("lan", inner_packet(peer, token(), inbound=False))
                outer = bench.expect_esp(peer)
                raw = bytes(outer)[20:]
                sequence, iv = int.from_bytes(raw[4:8], "big"), raw[8:16 if name == "lan" else 24]
                last, ivs = seen.setdefault(name, (0, set()))
                assert sequence > last and iv not in ivs
                ivs.add(iv)
                seen[name] = (sequence, ivs)
                peer.open(outer)
        if round_number == 0:
            pid = bench.gateway.kill("trunkgate-dataplane")
            bench.gateway.wait_restarted("trunkgate-dataplane", pid)
            bench.gateway.wait_ready()
            bench.clear()


def test_killed_supervisor_takes_the_daemons_with_it(bench):
    """kill -9 of `trunkgate run` leaves no orphan that a second start would meet; a second start works."""
    children = [bench.gateway.daemon(name) for name in ("trunkgate-dataplane", "trunkgated")]
    os.kill(bench.gateway.process.pid, signal.SIGKILL)
    bench.gateway.process.wait()
    for pid in children:
        wait_until(lambda pid=pid: not os.path.exists(f"/proc/{pid}/exe"), f"process {pid} ends")
    bench.gateway.start()
    peer = bench.peers["t", "cbc"]
    peer.sequence += 10_000
    bench.good_packet_passes(peer)


def test_keys_stay_in_the_process(make_bench, monkeypatch):
    """No core file of either daemon, and the environment, where keys may stand, is none of the data plane's business."""
    monkeypatch.setenv("SITE_KEY", "6b657920696e2074686520656e7669726f6e6d656e74")
    bench = make_bench().start()
    for daemon in ("trunkgate-dataplane", "trunkgated"):
        pid = bench.gateway.daemon(daemon)
        with open(f"/proc/{pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"], core
        with open(f"/proc/{pid}/environ", "rb") as f:
            assert (b"SITE_KEY" in f.read()) == (daemon == "trunkgated")
