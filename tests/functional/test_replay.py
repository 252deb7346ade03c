"""The anti-replay window (RFC 4303 3.4.3, Appendix A) on the wire, with right keys: edges, wraps of the low 32 bits, wrong
high halves, and bursts with copies in them.
"""

import random

import pytest

from harness import oracle
from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.station import listener_report
from harness.topology import Bench

WINDOWS = (64, 65536)
WRAP = 1 << 32
HMAC, GCM = "aes128cbc-sha256", "aes256gcm16"
PASSES, REPLAYED, FORGED, ZERO = "passes", "esp_replayed", "esp_integrity_failed", "esp_sequence_zero"

# Every test has children of its own: a window cannot be put back.
TESTS = ("edges", "model", "wraps", "wrong-high", "burst", "forged", "no-wrap")


def tunnels():
    children, number = [], 0
    for window in WINDOWS:
        for esn in (False, True):
            for suite in (HMAC, GCM):
                for test in TESTS:
                    children.append(Child(name(test, window, esn, suite), ["10.1.0.0/16"], [f"10.2.{number}.0/24"], suite, esn,
                                          window))
                    number += 1
    return [Tunnel("t", Bench.BOX4, Bench.PEER4, children)]


def name(test, window, esn, suite):
    return f"{test}-{window}-{'esn' if esn else '32bit'}-{suite}"


@pytest.fixture(scope="module")
def bench(make_bench):
    b = make_bench().start(tunnels(), peer_type=oracle.Peer)
    b.wan.ignore = b.lan.ignore = listener_report
    b.clear()
    assert arrive(b, b.peers["t", name("edges", 64, False, HMAC)], [1]) == [1]
    return b


def arrive(b, peer, numbers, high=None, spoiled=False):
    """Sends packets with these numbers back to back; which came out, in order. `high`: the high half that the ICV is made
    for, if not the right one."""
    far = oracle.packed(peer.child.remote[0].replace(".0/24", ".7"))
    frames, expected = [], {}
    for at, number in enumerate(numbers):
        inner = oracle.udp_packet(far, oracle.packed(Bench.HOST4), 1000 + at, 5678, number.to_bytes(8, "big"))
        outer = peer.seal(inner, number if high is None else high << 32 | number % WRAP)
        outer = outer[:-1] + bytes([outer[-1] ^ spoiled])
        expected[oracle.forwarded(inner)] = number
        mac = bytes.fromhex((b.mac["wan"] + b.WAN_MAC).replace(":", ""))
        frames.append(mac + b"\x08\x00" + outer)
    before = sum(b.gateway.drops().values())
    b.wan.send_many(frames)
    got = []

    def all_told():
        got.extend(expected[oracle.cut(f.data[14:])] for f in b.lan.take())
        return len(got) + sum(b.gateway.drops().values()) - before >= len(numbers)
    wait_until(all_told, lambda: f"each of {len(numbers)} packets comes out or is counted; {len(got)} came")
    got.extend(expected[oracle.cut(f.data[14:])] for f in b.lan.take())
    return got


def outcome(b, peer, numbers, **sealed):
    """(numbers that arrived, what the drop counters rose by)."""
    before = b.gateway.drops()
    got = arrive(b, peer, numbers, **sealed)
    after = b.gateway.drops()
    return got, {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0)}


def expect(b, peer, number, verdict, **sealed):
    got = outcome(b, peer, [number], **sealed)
    assert got == (([number], {}) if verdict == PASSES else ([], {verdict: 1})), f"number {number:#x} should be: {verdict}"


class Model:
    """RFC 4303 Appendix A as sets: slow, and of another making than the gateway's ring of bits."""

    def __init__(self, window, esn):
        self.window, self.esn, self.top, self.seen = window, esn, 0, set()

    def inferred(self, low):
        """A2.2: the one number with these low bits in the 2^32 numbers that begin with the window's left edge."""
        edge = self.top - self.window + 1
        return edge + (low - edge) % WRAP

    def verdict(self, number):
        believed = self.inferred(number % WRAP) if self.esn else number
        if believed == 0:
            return ZERO
        if believed < 0 or believed <= self.top - self.window or believed in self.seen:
            return REPLAYED
        if believed != number:
            return FORGED
        self.top = max(self.top, number)
        self.seen.add(number)
        return PASSES


parametrize = pytest.mark.parametrize("window,esn,suite", [(w, e, s) for w in WINDOWS for e in (False, True) for s in (HMAC, GCM)],
                                      ids=lambda v: {True: "esn", False: "32bit"}.get(v, str(v)) if isinstance(v, bool) else str(v))


@parametrize
def test_edges(bench, window, esn, suite):
    peer = bench.peers["t", name("edges", window, esn, suite)]
    left = FORGED if esn else REPLAYED  # left of the window an extended number is taken for one far ahead (A2.2)
    top = 200_000
    expect(bench, peer, top, PASSES)
    expect(bench, peer, top, REPLAYED)
    expect(bench, peer, top - window, left)
    expect(bench, peer, top - window + 1, PASSES)
    expect(bench, peer, top - window + 1, REPLAYED)
    expect(bench, peer, top + 1, PASSES)
    expect(bench, peer, top - window + 1, left)  # slid out
    expect(bench, peer, top - window + 2, PASSES)
    expect(bench, peer, top + window, PASSES)  # the old top + 1 is now the left edge
    expect(bench, peer, top + 1, REPLAYED)
    expect(bench, peer, top, left)
    expect(bench, peer, top + 2, PASSES)
    expect(bench, peer, top + 5 * window, PASSES)  # beyond everything that was known
    expect(bench, peer, top + 4 * window, left)
    expect(bench, peer, top + 4 * window + 1, PASSES)
    assert bench.gateway.sa("t", peer.child.name, "in")["sequence"] == top + 5 * window


@parametrize
def test_against_a_model(bench, window, esn, suite):
    """Numbers around the window, in bursts: neither more nor less arrives than the model lets pass."""
    peer, model = bench.peers["t", name("model", window, esn, suite)], Model(window, esn)
    dice = random.Random(window * 2 + esn)
    for _ in range(8):
        numbers, wanted = [], []
        for _ in range(257):
            spread = dice.choice((4, window // 2, window + 2, 3 * window))
            number = max(1, model.top + dice.randint(-spread, spread // 4 + 1))
            verdict = model.verdict(number)
            numbers.append(number)
            if verdict == PASSES:
                wanted.append(number)
        got, drops = outcome(bench, peer, numbers)
        assert got == wanted and sum(drops.values()) == len(numbers) - len(wanted)
        # Which of the two it is called depends on where the window stood when the burst began.
        assert drops.keys() <= ({REPLAYED, FORGED} if esn else {REPLAYED})


@pytest.mark.parametrize("suite", [HMAC, GCM])
@pytest.mark.parametrize("window", WINDOWS)
def test_the_low_half_wraps(bench, window, suite):
    """Twice; around the wrap in disorder, with copies. 2^32 itself has a low half of 0 and is a number like any other."""
    peer, model = bench.peers["t", name("wraps", window, True, suite)], Model(window, True)
    dice = random.Random(window)
    for wrap in (WRAP, 2 * WRAP):
        for far in (wrap - 0x80000000, wrap - 0x10):
            assert model.verdict(far) == PASSES
            expect(bench, peer, far, PASSES)
        around = [*range(wrap - 0xf, wrap + 33)]
        dice.shuffle(around)
        numbers = around + around[::-1] + [wrap + 34, wrap]
        verdicts = [model.verdict(n) for n in numbers]
        assert outcome(bench, peer, numbers) == (
            [n for n, verdict in zip(numbers, verdicts) if verdict == PASSES],
            {REPLAYED: verdicts.count(REPLAYED)})
        assert verdicts.count(PASSES) == len(around) + 1
        assert bench.gateway.sa("t", peer.child.name, "in")["sequence"] == wrap + 34


@pytest.mark.parametrize("suite", [HMAC, GCM])
@pytest.mark.parametrize("window", WINDOWS)
def test_wrong_high_half(bench, window, suite):
    """The high half is not on the wire, so that only the ICV tells: made for another one, it is refused and forgotten."""
    peer = bench.peers["t", name("wrong-high", window, True, suite)]
    for far in (0x7fffffff, 0xfffffff0, WRAP + 10):
        expect(bench, peer, far, PASSES)
    refused = bench.gateway.sa("t", peer.child.name, "in")["integrity_failed"]
    for high in (0, 2, 3, 0xffffffff):
        expect(bench, peer, WRAP + 20, FORGED, high=high)
        expect(bench, peer, 0xfffffff5, FORGED, high=high or 1)  # its true high half is 0
    assert bench.gateway.sa("t", peer.child.name, "in")["integrity_failed"] == refused + 8
    expect(bench, peer, WRAP + 20, PASSES)
    expect(bench, peer, 0xfffffff5, PASSES)


@pytest.mark.parametrize("window", WINDOWS)
def test_without_esn_nothing_follows_the_last_number(bench, window):
    peer = bench.peers["t", name("no-wrap", window, False, GCM)]
    expect(bench, peer, WRAP - 2, PASSES)
    expect(bench, peer, WRAP - 1, PASSES)
    expect(bench, peer, WRAP, ZERO)  # on the wire: 0
    expect(bench, peer, WRAP + 1, REPLAYED)  # on the wire: 1
    expect(bench, peer, WRAP - 1, REPLAYED)


@parametrize
def test_copies_in_one_burst(bench, window, esn, suite):
    """257 packets back to back, most of them copies: each number arrives once, in the order of its first copy."""
    peer = bench.peers["t", name("burst", window, esn, suite)]
    dice = random.Random(7)
    for start in (1000, 2000):
        numbers = [start + dice.randrange(48) for _ in range(257)]
        unique = list(dict.fromkeys(numbers))
        assert outcome(bench, peer, numbers) == (unique, {REPLAYED: 257 - len(unique)})


@parametrize
def test_a_forged_number_moves_nothing(bench, window, esn, suite):
    """3.4.3: the window is moved after the ICV was found good, and not before."""
    peer = bench.peers["t", name("forged", window, esn, suite)]
    expect(bench, peer, 500, PASSES)
    expect(bench, peer, 500 + 10 * window, FORGED, spoiled=True)
    expect(bench, peer, 501, FORGED, spoiled=True)
    expect(bench, peer, 499, PASSES)
    expect(bench, peer, 501, PASSES)
    assert bench.gateway.sa("t", peer.child.name, "in")["sequence"] == 501


def test_no_packet_buffer_is_lost(bench):
    bench.wait_buffers_free()
