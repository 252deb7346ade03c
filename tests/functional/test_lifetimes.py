"""SAs that come to their end: told in advance, stopped in time, and never replaced by clear text."""

import socket
import struct

import pytest
from scapy.layers.inet import IP
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.topology import Bench, inner_packet, token


@pytest.fixture(scope="module")
def bench(make_bench):
    def child(name, number, **lifetime):
        return Child(name, ["10.1.0.0/16"], [f"10.{number}.0.0/16"], extra={"lifetime": lifetime})
    return make_bench().start([Tunnel("t", Bench.BOX4, Bench.PEER4, [
        child("packets", 101, soft={"packets": 3}, hard={"packets": 5}),
        child("inbound", 102, hard={"packets": 2}),
        child("bytes", 103, soft={"bytes": 1000}),
        child("time", 104, soft={"time": "1s"}, hard={"time": "2s"}),
        child("ever", 105)])])


def events(bench, child=None):
    return [e for e in bench.gateway.show("events") if child is None or e["child"] == child]


def expect_events(bench, child, *wanted):
    wait_until(lambda: [(e["event"], e["direction"], e["limit"]) for e in events(bench, child)] == list(wanted),
               lambda: f"{wanted}; told was {events(bench, child)}", 6)


def log_lines(bench, event):
    with open(bench.gateway.log) as f:
        return [line for line in f if f" trunkgated {event} " in line]


def test_packets(bench):
    peer = bench.peers["t", "packets"]
    before = bench.gateway.drops()
    for _ in range(5):
        bench.send("lan", inner_packet(peer, token(), inbound=False))
        peer.open(bench.expect_esp(peer))
    bench.clear()
    mark = token()
    bench.send("lan", inner_packet(peer, mark, inbound=False))
    bench.drops_rise("sa_expired", before)
    assert not [f for f in bench.wan.take() if mark in f.data]
    expect_events(bench, "packets", ("sa.soft_expire", "out", "packets"), ("sa.hard_expire", "out", "packets"))
    first, second = events(bench, "packets")
    assert (first["value"], second["value"]) == (3, 5) and first["number"] < second["number"]
    assert first["unix_ns"] < second["unix_ns"]
    sa = bench.gateway.sa("t", "packets", "out")
    assert (sa["state"], sa["expired_by"], sa["softened_by"], sa["after_expiry"]) == ("expired", "packets", "packets", 1)
    assert sa["packets"] == 5 and sa["hard"]["packets"] == 5
    table = bench.gateway.table("sas").splitlines()
    assert "expired" in table[1] and "its hard limit of packets is reached" in table[1]
    shown = bench.gateway.table("events").splitlines()
    assert "sa.hard_expire" in shown[-1] and "5 packets" in shown[-1]


def test_the_log_says_it_once(bench):
    wait_until(lambda: log_lines(bench, "sa.hard_expire"), "the log tells it")
    line, = [x for x in log_lines(bench, "sa.hard_expire") if "child packets" in x]
    assert "error" in line and "tunnel t, child packets, out" in line and "limit 5 packets" in line
    assert len([x for x in log_lines(bench, "sa.soft_expire") if "child packets" in x]) == 1


def test_inbound(bench):
    peer = bench.peers["t", "inbound"]
    for _ in range(2):
        mark = token()
        bench.send("wan", peer.seal(inner_packet(peer, mark, inbound=True)))
        bench.expect_token("lan", mark)
    before = bench.gateway.drops()
    bench.send("wan", peer.seal(inner_packet(peer, token(), inbound=True)))
    bench.drops_rise("sa_expired", before)
    expect_events(bench, "inbound", ("sa.hard_expire", "in", "packets"))


def test_bytes(bench):
    peer = bench.peers["t", "bytes"]
    for _ in range(2):
        bench.send("lan", inner_packet(peer, bytes(600), inbound=False))
        peer.open(bench.expect_esp(peer))
    expect_events(bench, "bytes", ("sa.soft_expire", "out", "bytes"))
    assert bench.gateway.sa("t", "bytes", "out")["state"] == "up"


def test_time(bench):
    """Both directions, without a packet: the clock is enough."""
    wait_until(lambda: len(events(bench, "time")) == 4, lambda: f"told was {events(bench, 'time')}", 6)
    assert {(e["event"], e["direction"], e["limit"], e["value"]) for e in events(bench, "time")} == {
        (f"sa.{kind}_expire", way, "seconds", seconds) for kind, seconds in (("soft", 1), ("hard", 2)) for way in ("in", "out")}
    before = bench.gateway.drops()
    bench.send("lan", inner_packet(bench.peers["t", "time"], token(), inbound=False))
    bench.drops_rise("sa_expired", before)
    assert "its time is over" in bench.gateway.table("sas")


def test_unknown_spi(bench):
    source = "203.0.113.30"
    for n in range(5):
        bench.send("wan", IP(src=source, dst=Bench.BOX4, proto=50) / Raw(struct.pack("!II", 0xdddd0000 + n, 1) + bytes(40)))
    wait_until(lambda: [e for e in events(bench) if e["event"] == "esp.unknown_spi"], "the event")
    told = [e for e in events(bench) if e["event"] == "esp.unknown_spi"]
    assert len(told) == 1 and told[0]["source"] == source and told[0]["spi"] == "0xdddd0000"
    wait_until(lambda: any(source in x for x in log_lines(bench, "esp.unknown_spi")), "the log")


def test_a_subscriber_that_never_reads_holds_nobody_up(bench):
    """The API thread goes on answering, and the tunnel that is left goes on working."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as slow:
        slow.connect(f"{bench.gateway.run_dir}/dataplane.sock")
        slow.send(struct.pack("=IHHHHI", 0x54474154, 2, 13, 0, 0, 1))  # subscribe
        assert struct.unpack("=IHHHHI", slow.recv(65536)[:16])[2] == 100  # ok
        assert bench.gateway.show("gateway")
        bench.good_packet_passes(bench.peers["t", "ever"])
        kinds = {struct.unpack("=IHHHHI", slow.recv(65536)[:16])[2] for _ in range(5)}
        assert kinds == {103}, "what was kept comes as events"


def test_the_first_event_is_the_start(bench):
    assert events(bench)[0]["event"] == "dataplane.started" and events(bench)[0]["number"] == 1
