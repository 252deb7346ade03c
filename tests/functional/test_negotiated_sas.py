"""SAs as IKE puts them in: the control plane's SA sink drives a data plane, and the oracle judges what is on the wire."""

import signal
import struct
import threading
import time

import pytest

from harness import oracle
from harness.netns import wait_until
from harness.oracle import packed
from harness.sink import Alone, Child, Pair
from harness.topology import Bench, token

LAN, FAR = packed("10.1.1.10"), packed("10.2.1.10")
OTHER = "203.0.113.26"
CHILD = Child("branch", "lan")


@pytest.fixture(scope="module")
def alone(make_bench):
    return Alone(make_bench(), [CHILD])


@pytest.fixture
def clean(alone):
    """Whatever pairs a test left are gone."""
    yield alone
    for spi in alone.sink("survived")["spis"]:
        alone.sink("remove", spi=spi)
    alone.install()


def outward(payload):
    return oracle.udp_packet(LAN, FAR, 1234, 5678, payload)


def inward(payload):
    return oracle.udp_packet(FAR, LAN, 5678, 1234, payload)


def leaves(alone, pair, payload=b"out"):
    """(sequence number, outer packet) of one packet from the LAN through this pair."""
    mark = payload + token()
    alone.bench.send("lan", outward(mark))
    outer = bytes(alone.bench.wan.expect(lambda p: pair.keys.out_spi.to_bytes(4, "big") in bytes(p)[34:66],
                                         "ESP of the pair").payload)
    sequence, _, inner = pair.oracle.open(outer)
    assert inner == oracle.forwarded(outward(mark))
    return sequence


def arrives(alone, outer, mark):
    alone.bench.send("wan", outer)
    alone.bench.expect_token("lan", mark)


def test_both_ways(clean):
    pair = clean.add(Pair(CHILD))
    assert leaves(clean, pair) == 1
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark)), mark)
    use = clean.sink("use", spis=[pair.spi, 4711])["uses"]
    assert (use[0]["in"], use[0]["out"], use[1]) == (1, 1, None)
    assert use[0]["idle"] < 5000


def test_rekey_under_traffic_loses_nothing(clean):
    """Five rekeys, make before break: every packet comes, once, under the key of its SPI; none goes back to an old one."""
    pairs = [clean.add(Pair(CHILD))]
    leaves(clean, pairs[0])
    clean.bench.clear()
    stop, sent = threading.Event(), [0]

    def send():
        while not stop.is_set():
            clean.bench.send("lan", outward(struct.pack("!Q", sent[0])))
            sent[0] += 1
            time.sleep(0.0005)

    sender = threading.Thread(target=send)
    sender.start()
    def some_more():
        before = sent[0]
        wait_until(lambda: sent[0] >= before + 100, "traffic", every=0.001)

    for _ in range(5):
        some_more()
        pairs.append(clean.add(Pair(CHILD)))
        clean.sink("remove", spi=pairs[-2].spi, which="outbound")
        clean.sink("remove", spi=pairs[-2].spi, which="inbound")
    some_more()
    stop.set()
    sender.join()
    by_spi = {p.keys.out_spi: p for p in pairs}
    hits = clean.bench.wan.count(lambda data: data[23] == 50, sent[0], "ESP packets")
    numbers, order = [], []
    for hit in hits:
        outer = hit.data[14:]
        pair = by_spi[struct.unpack_from("!I", outer, 20)[0]]
        numbers.append(struct.unpack("!Q", pair.oracle.open(outer)[2][28:])[0])
        order.append(pairs.index(pair))
    assert sorted(numbers) == list(range(sent[0]))
    assert order == sorted(order), "a packet went by an SA that had been replaced"
    assert order[-1] == 5


def test_the_older_takes_over_again(clean):
    old = clean.add(Pair(CHILD))
    assert leaves(clean, old) == 1
    new = clean.add(Pair(CHILD))
    assert leaves(clean, new) == 1
    mark = token()
    arrives(clean, old.oracle.seal(inward(mark)), mark)
    clean.sink("remove", spi=new.spi)
    assert leaves(clean, old) == 2


def test_only_inbound_first(clean):
    """A responder takes what the initiator sends before it sends itself (RFC 7296 2.8)."""
    pair = clean.add(Pair(CHILD), "inbound")
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark)), mark)
    before = clean.bench.gateway.drops()
    clean.bench.send("lan", outward(b"no"))
    clean.bench.drops_rise("no_sa", before)
    clean.add(pair, "outbound")
    assert leaves(clean, pair) == 1


def test_without_an_sa_packets_are_dropped_and_asked_for(clean):
    before = clean.bench.gateway.drops()
    for _ in range(4):
        clean.bench.send("lan", outward(b"wanted"))
    assert clean.sink.event("acquire") == {"event": "acquire", "tunnel": "branch", "child": "lan"}
    clean.bench.drops_rise("no_sa", before, by=4)
    clean.sink.no_more("acquire")
    clean.bench.clear()
    before = clean.bench.gateway.drops()
    clean.bench.send("wan", inward(b"in clear"))
    clean.bench.drops_rise("cleartext_must_be_protected", before)
    assert not [f for f in clean.bench.lan.take() if b"in clear" in f.data]
    # Who goes on asking is told of again.
    deadline = time.monotonic() + 5
    while clean.sink.events.empty() and time.monotonic() < deadline:
        clean.bench.send("lan", outward(b"wanted"))
        time.sleep(0.1)
    clean.sink.event("acquire")


def test_a_move_keeps_the_numbers(clean):
    pair = clean.add(Pair(CHILD))
    assert [leaves(clean, pair) for _ in range(3)] == [1, 2, 3]
    mark = token()
    first = pair.oracle.seal(inward(mark))
    arrives(clean, first, mark)
    pair.at(OTHER)
    clean.sink("move", spi=pair.spi, path=pair.path())
    assert leaves(clean, pair) == 4
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark)), mark)
    before = clean.bench.gateway.drops()
    clean.bench.send("wan", pair.oracle.seal(inward(b"again"), sequence=1))
    clean.bench.drops_rise("esp_replayed", before)
    before = clean.bench.gateway.drops()
    clean.bench.send("wan", first)  # from where it was
    clean.bench.drops_rise("esp_wrong_endpoint", before)
    pair.at(Bench.PEER4, (4500, 4500))  # a NAT appeared
    clean.sink("move", spi=pair.spi, path=pair.path())
    assert leaves(clean, pair) == 5
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark)), mark)
    assert clean.sink("use", spis=[pair.spi])["uses"][0]["in"] == 3


def test_a_peer_that_moves_is_followed_by_new_packets_only(clean):
    pair = clean.add(Pair(CHILD, udp=(4500, 4500), follow=True))
    mark = token()
    first = pair.oracle.seal(inward(mark))
    arrives(clean, first, mark)
    clean.sink.no_more("peer_moved")
    there = Pair(CHILD)
    there.keys = pair.keys
    there.at(OTHER, (4500, 1111))
    before = clean.bench.gateway.drops()
    clean.bench.send("wan", there.oracle.seal(inward(b"replayed"), sequence=1))
    clean.bench.drops_rise("esp_replayed", before)
    clean.sink.no_more("peer_moved")
    mark = token()
    arrives(clean, there.oracle.seal(inward(mark), sequence=7), mark)
    assert clean.sink.event("peer_moved") == {"event": "peer_moved", "spi": pair.spi, "address": OTHER, "port": 1111}
    # One that comes late moves nothing forward.
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark), sequence=5), mark)
    clean.sink.no_more("peer_moved")
    # What is sent goes on to where the control plane says.
    assert leaves(clean, pair) == 1
    pair.at(OTHER, (4500, 1111))
    clean.sink("move", spi=pair.spi, path=pair.path())
    assert leaves(clean, pair) == 2


def test_without_the_flag_nobody_is_told(clean):
    pair = clean.add(Pair(CHILD, udp=(4500, 4500)))
    there = Pair(CHILD)
    there.keys = pair.keys
    there.at(OTHER, (4500, 1111))
    mark = token()
    arrives(clean, there.oracle.seal(inward(mark), sequence=7), mark)
    clean.sink.no_more("peer_moved")


def test_a_reload_touches_no_negotiated_sa(clean):
    pair = clean.add(Pair(CHILD))
    assert leaves(clean, pair) == 1
    clean.install()
    assert leaves(clean, pair) == 2
    # Another child now stands before it: the SA moves down with its child, and stays before its trap.
    clean.install([Child("first", "one", "10.1.0.0/16", "10.50.0.0/16"), CHILD])
    assert leaves(clean, pair) == 3
    clean.install([CHILD])
    assert leaves(clean, pair) == 4
    mark = token()
    arrives(clean, pair.oracle.seal(inward(mark)), mark)
    assert clean.sink("survived")["spis"] == [pair.spi]


def test_refusals_change_nothing(clean):
    pair = clean.add(Pair(CHILD))
    thief = {**pair.words("inbound"), "in_key": pair.words()["out_key"]}
    answer = clean.sink.try_to("add", **thief)
    assert not answer["ok"] and "is in use" in answer["reason"]
    # A put that is refused takes the whole batch along, although the rest is on its way already.
    half = Pair(CHILD)
    words = half.words()
    words["path"]["remote"] = Bench.PEER6
    answer = clean.sink.try_to("add", **words)
    assert not answer["ok"] and "one address family" in answer["reason"]
    assert clean.sink("survived")["spis"] == [pair.spi]
    answer = clean.sink.try_to("move", spi=4711, path=pair.path())
    assert not answer["ok"]
    assert leaves(clean, pair) == 1


def test_what_a_new_connection_finds(clean):
    pair = clean.add(Pair(CHILD))
    assert leaves(clean, pair) == 1
    clean.connect()
    assert clean.sink("survived")["spis"] == [pair.spi]
    clean.sink.no_more("restarted")
    assert leaves(clean, pair) == 2


def test_a_new_data_plane_is_told_of(clean):
    clean.add(Pair(CHILD))
    clean.bench.gateway.process.popen.send_signal(signal.SIGKILL)
    clean.bench.gateway.process.wait()
    assert not clean.sink.try_to("survived")["ok"]
    clean.launch()
    clean.connect()
    clean.sink.event("restarted")
    assert clean.sink("survived")["spis"] == []
    clean.bench.wait_quiet()
    pair = clean.add(Pair(CHILD))
    assert leaves(clean, pair) == 1


def test_spis_are_reserved_once(clean):
    spis = [clean.sink("reserve")["spi"] for _ in range(50)]
    assert len(set(spis)) == 50 and min(spis) >= 256
