"""Two thousand SAs: each carries its own traffic, and half of them change without the others' noticing."""

import collections
import copy
import threading
import time

import pytest

from harness import oracle
from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.station import listener_report
from harness.topology import Bench

CHILDREN = 1000  # two SAs each
SAMPLE = range(0, CHILDREN, 23)
SUITES = ("aes256gcm16", "aes128cbc-sha256")


@pytest.fixture(scope="module")
def tunnel():
    return Tunnel("many", Bench.BOX4, Bench.PEER4, [
        Child(f"c{n}", ["10.1.0.0/16"], [f"10.{100 + n // 250}.{n % 250}.0/24"], SUITES[n % 2]) for n in range(CHILDREN)])


@pytest.fixture(scope="module")
def bench(make_bench, tunnel):
    b = make_bench().start([tunnel], peer_type=oracle.Peer)
    b.wan.ignore = b.lan.ignore = listener_report
    b.clear()
    send_both_ways(b, b.peers["many", "c0"], 1)
    b.lan.gather(1)
    b.wan.gather(1)
    return b


def ethernet(b, side, packet):
    return bytes.fromhex((b.mac[side] + b.station(side).mac).replace(":", "")) + b"\x08\x00" + packet


def pair(peer, number):
    """(inbound, outbound) inner packets with this number."""
    far, near = oracle.packed(peer.child.remote[0].replace(".0/24", ".9")), oracle.packed(Bench.HOST4)
    payload = number.to_bytes(8, "big")
    return oracle.udp_packet(far, near, 1, 2, payload), oracle.udp_packet(near, far, 1, 2, payload)


def send_both_ways(b, peer, number):
    inbound, outbound = pair(peer, number)
    b.wan.send(ethernet(b, "wan", peer.seal(inbound)))
    b.lan.send(ethernet(b, "lan", outbound))
    return oracle.forwarded(inbound), oracle.forwarded(outbound)


def check_sample(b, children):
    """Each child of the sample carries a packet each way, under its own SA."""
    b.clear()
    before, wanted_in, wanted_out = b.gateway.drops(), [], {}
    for child in children:
        peer = b.peers["many", child]
        inbound, outbound = send_both_ways(b, peer, 7)
        wanted_in.append(inbound)
        wanted_out[peer.child.out_spi] = (peer, outbound)
    got = [oracle.cut(f.data[14:]) for f in b.lan.gather(len(children))]
    assert collections.Counter(got) == collections.Counter(wanted_in)
    for frame in b.wan.gather(len(children)):
        peer, outbound = wanted_out.pop(int.from_bytes(frame.data[34:38], "big"))
        assert peer.open(frame.data[14:])[2] == outbound
    assert not wanted_out and b.gateway.drops() == before


def test_every_sa_is_there(bench):
    rows = bench.gateway.show("sas")
    assert len(rows) == 2 * CHILDREN
    assert len({(row["direction"], row["spi"]) for row in rows}) == 2 * CHILDREN


def test_a_sample_carries_traffic(bench):
    check_sample(bench, [f"c{n}" for n in SAMPLE])


class Stream:
    """Numbered packets both ways through children that nothing happens to, until told to stop."""

    def __init__(self, bench, children):
        self.bench, self.peers = bench, [bench.peers["many", child] for child in children]
        self.sent, self.going = 0, True
        self.wanted = collections.Counter()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.going:
            self.sent += 1
            self.wanted.update(send_both_ways(self.bench, self.peers[self.sent % len(self.peers)], self.sent))
            time.sleep(0.001)  # the rate: a thousand a second each way

    def stop(self):
        self.going = False
        self.thread.join()
        wan, lan = self.bench.wan.gather(self.sent), self.bench.lan.gather(self.sent)
        by_spi = {peer.child.out_spi: peer for peer in self.peers}
        got = collections.Counter(oracle.cut(f.data[14:]) for f in lan)
        got.update(by_spi[int.from_bytes(f.data[34:38], "big")].open(f.data[14:])[2] for f in wan)
        return self.wanted - got, got - self.wanted


def changed(tunnel, every):
    """Each such child with other SPIs, and with them other keys."""
    made = copy.copy(tunnel)
    made.children = list(tunnel.children)
    for n in every:
        old = tunnel.children[n]
        made.children[n] = Child(old.name, old.local, old.remote, old.suite)
    return made


def spis(b):
    return {(row["direction"], int(row["spi"], 16)) for row in b.gateway.show("sas")}


def wanted_spis(tunnel):
    return {pair for child in tunnel.children for pair in (("out", child.out_spi), ("in", child.in_spi))}


def test_half_of_them_change_and_the_others_lose_nothing(bench, tunnel):
    odd, even = range(1, CHILDREN, 2), [f"c{n}" for n in range(0, CHILDREN, 50)]
    rekeyed = changed(tunnel, odd)
    drops = bench.gateway.drops()
    installed = {(r["child"], r["direction"]): r["installed_unix_ns"] for r in bench.gateway.show("sas")}
    bench.clear()
    stream = Stream(bench, even)
    try:
        bench.reload([rekeyed])
        wait_until(lambda: spis(bench) == wanted_spis(rekeyed), "the new SAs", 20)
    finally:
        missing, unwanted = stream.stop()
    assert stream.sent > 50
    assert not missing, f"{missing.total()} of {2 * stream.sent} packets were lost"
    assert not unwanted, f"{unwanted.total()} packets came that nobody sent, or twice"
    assert bench.gateway.drops() == drops
    for row in bench.gateway.show("sas"):
        kept = installed[row["child"], row["direction"]] == row["installed_unix_ns"]
        assert kept == (int(row["child"][1:]) % 2 == 0), f"{row['child']} {row['direction']}: replaced or not?"
    for n in odd:
        bench.peers["many", f"c{n}"] = oracle.Peer(rekeyed, rekeyed.children[n])
    check_sample(bench, [f"c{n}" for n in SAMPLE])


def test_most_of_them_go(bench, tunnel):
    """Ten are left; a packet of an SA that went is nobody's, and no memory is kept for it."""
    few = copy.copy(tunnel)
    few.children = [child for child in tunnel.children[:20] if int(child.name[1:]) % 2 == 0]
    bench.reload([few])
    wait_until(lambda: spis(bench) == wanted_spis(few), "the SAs go", 20)
    before = bench.gateway.drops()
    gone = bench.peers["many", "c500"]
    bench.wan.send(ethernet(bench, "wan", gone.seal(pair(gone, 1)[0])))
    bench.drops_rise("esp_unknown_spi", before)
    check_sample(bench, [child.name for child in few.children])


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
