"""IKE messages that are wrong, by whoever can reach UDP 500 and 4500: each gets the answer that RFC 7296 has for it, or
silence, and the tunnel that is up does not notice."""

import os
import random
import struct

import pytest

from harness import ike_octets, lossy
from harness.ike_attack import Attacked, WanSide, wait_for
from harness.ike_octets import (AUTH, COOKIE, CREATE_CHILD, CRITICAL, FOLLOWUP, INFORMATIONAL, INITIATOR, INTERMEDIATE,
                                INVALID_KE, INVALID_MAJOR_VERSION, INVALID_SYNTAX, NO_PROPOSAL_CHOSEN, RESPONSE, SA_INIT,
                                SK, SKF, VERSION, Init)
from harness.netns import wait_until

EXCHANGES = [SA_INIT, AUTH, CREATE_CHILD, INFORMATIONAL, INTERMEDIATE, FOLLOWUP, 0, 240]
PORTS = pytest.mark.parametrize("port", [500, 4500])
SIDES = pytest.mark.parametrize("side", ["a", "b"])  # the IKE SA's initiator, its responder


@pytest.fixture(scope="module")
def lab(make_sites):
    return Attacked(make_sites()).start()


def refused_or_silent(answer):
    """Nothing was begun with the sender, and he got no more than he sent."""
    return answer is None or (answer.spi_r == bytes(8) and answer.number == 0 and
                              set(answer.notifies()) <= {INVALID_SYNTAX, CRITICAL, NO_PROPOSAL_CHOSEN})


def send_all(lab, messages, port=500, side="b"):
    """[answer or None] to messages of one stranger, whose SPIs differ."""
    wan, spis = lab.sides[side], []
    for octets in messages:
        spis.append(bytes(octets[:8]))
        wan.send(octets, port, wan.stranger)
    found = wan.answers(set(spis))
    return [found.get(spi) for spi in spis]


def wrong_values(length):
    """Of a length field: nothing, one less and more, and what it can't be."""
    most = (1 << 8 * length.octets) - 1
    values = {0, 1, 2, 3, 4, length.value - 1, length.value + 1, length.value // 2, 2 * length.value + 1, most, most - 3, most // 2}
    return sorted(v for v in values if 0 <= v <= most and v != length.value)


LENGTHS = Init(proposals=2, cookie=b"c" * 16).write().lengths


# ---- IKE_SA_INIT ----

def test_a_good_one_is_answered(lab):
    """What the others are spoiled copies of: it is only refused because no tunnel is for its sender."""
    (answer,) = send_all(lab, [Init().octets()])
    assert answer.notifies().keys() == {NO_PROPOSAL_CHOSEN}
    wan = lab.sides["b"]
    good = Init()
    wan.send(good.octets())
    answer = wan.answers({good.spi})[good.spi]
    assert answer.spi_r != bytes(8) and answer.flags == RESPONSE


@PORTS
@pytest.mark.parametrize("n", range(len(LENGTHS)), ids=[one.what.replace(" ", "-") for one in LENGTHS])
def test_wrong_length(lab, n, port):
    with lab.unharmed():
        cases = []
        for value in wrong_values(LENGTHS[n]):
            out = Init(proposals=2, cookie=b"c" * 16).write()
            length = out.lengths[n]
            out.data[length.at:length.at + length.octets] = value.to_bytes(length.octets, "big")
            cases.append((value, bytes(out.data)))
        for (value, _), answer in zip(cases, send_all(lab, [octets for _, octets in cases], port)):
            if LENGTHS[n].what == "the message" or answer is None:
                assert answer is None, value
            assert refused_or_silent(answer), (value, answer)


@PORTS
def test_cut_and_padded(lab, port):
    """At every octet, with the header's length as it was and as it would be; and with more behind it."""
    with lab.unharmed():
        whole = Init().octets()
        cases = []
        for size in [*range(28, len(whole)), len(whole) + 1, len(whole) + 400]:
            for length in (size, len(whole)):
                octets = bytearray((whole + os.urandom(400))[:size])
                octets[:8] = os.urandom(8)
                octets[24:28] = length.to_bytes(4, "big")
                cases.append(bytes(octets))
        for octets, answer in zip(cases, send_all(lab, cases, port)):
            # Cut right behind a payload it is a message, which lacks one.
            assert refused_or_silent(answer), (len(octets), answer)
        for size in range(28):
            lab.sides["b"].send(whole[:size], port)


@pytest.mark.parametrize("sizes", [{"nonce": 15}, {"nonce": 0}, {"nonce": 257}, {"key": 0}, {"key": 31}, {"key": 33},
                                   {"key": 1400}, {"cookie": 65}], ids=str)
def test_sizes_that_may_not_be(lab, sizes):
    """RFC 7296 3.9, 3.4, 2.6; x25519's values have 32 octets (RFC 8031 3.1)."""
    with lab.unharmed():
        (answer,) = send_all(lab, [Init(**{name: bytes(size) for name, size in sizes.items()}).octets()])
        assert refused_or_silent(answer)


def test_a_value_of_another_size_from_the_peer_itself(lab):
    """His tunnel is looked for and found: the value is what it fails by."""
    wan = lab.sides["b"]
    with lab.unharmed():
        for size in (1, 31, 33, 1400):
            bad = Init(key=os.urandom(size))
            wan.send(bad.octets())
            answer = wan.answers({bad.spi}).get(bad.spi)
            assert refused_or_silent(answer) or set(answer.notifies()) == {COOKIE}
        for zero in (bytes(32), b"\1" + bytes(31)):  # of small order: no secret comes of them (RFC 7748 6.1)
            bad = Init(key=zero)
            wan.send(bad.octets())
            answer = wan.answers({bad.spi}).get(bad.spi)
            assert refused_or_silent(answer) or set(answer.notifies()) == {COOKIE}


@pytest.mark.parametrize("what, most, make", [
    ("payloads", 64, lambda n: Init(more=[(43, 0, b"x")] * (n - 5))),
    ("proposals", 64, lambda n: Init(proposals=n)),
    ("transforms", 128, lambda n: Init(transforms=[(1, 20, 256)] * (n - 3) + ike_octets.TRANSFORMS))], ids=lambda v: str(v)[:10])
def test_too_many(lab, what, most, make):
    """As many as may be are read, one more makes the message nobody's."""
    with lab.unharmed():
        good, bad = send_all(lab, [make(most).octets(), make(most + 1).octets()])
        assert good.notifies().keys() == {NO_PROPOSAL_CHOSEN}
        assert bad is None


def test_as_long_as_a_datagram_can_be(lab):
    """In pieces, put together for the box, and read or not: no harm."""
    with lab.unharmed():
        for fill in (3000, 20000, 60000):
            send_all(lab, [Init(more=[(43, 0, bytes(fill))]).octets()])


def test_unknown_critical_payload(lab):
    """RFC 7296 2.5: it is named in the answer; not critical, it is skipped."""
    with lab.unharmed():
        critical, skipped = send_all(lab, [Init(more=[(200, 0x80, b"?")]).octets(), Init(more=[(200, 0, b"?")]).octets()])
        assert critical.notifies() == {CRITICAL: bytes([200])} and critical.spi_r == bytes(8)
        assert skipped.notifies().keys() == {NO_PROPOSAL_CHOSEN}


def test_versions(lab):
    """RFC 7296 2.5: a higher minor version is ours, another major version is told ours."""
    with lab.unharmed():
        majors = [0x10, 0x30, 0x50, 0xf0]
        answers = send_all(lab, [Init(version=v).octets() for v in [*majors, 0x2f]])
        for answer in answers[:-1]:
            assert answer.notifies() == {INVALID_MAJOR_VERSION: b""} and answer.version == 0x20
            assert answer.flags == RESPONSE and answer.spi_r == bytes(8)
        assert answers[-1].notifies().keys() == {NO_PROPOSAL_CHOSEN}
        # An answer of another version is answered by nothing: two that did would never end.
        assert send_all(lab, [Init(version=0x30, flags=RESPONSE).octets()]) == [None]


def test_versions_are_answered_so_often_only(lab):
    """RFC 7296 2.21.4: nobody makes an echo of us."""
    wan = lab.sides["b"]
    with lab.unharmed():
        spis = set()
        for _ in range(3000):
            bad = Init(version=0x30)
            spis.add(bad.spi)
            wan.send(bad.octets(), 500, wan.stranger)
        answers = wan.answers(spis, 20)
        assert 1 <= len(answers) <= 1500


def test_reserved_bits(lab):
    """RFC 7296 2.5, 3.1 to 3.4: ignored, wherever they are."""
    with lab.unharmed():
        (answer,) = send_all(lab, [Init(reserved=0x7f).octets()])
        assert answer.notifies().keys() == {NO_PROPOSAL_CHOSEN}


def test_what_cannot_be_a_first_message(lab):
    with lab.unharmed():
        whole = Init().octets()
        cases = []
        for at, octets in ((0, bytes(8)), (20, b"\0\0\0\1"), (20, b"\xff" * 4), (19, bytes([0])), (19, bytes([RESPONSE])),
                           (19, bytes([RESPONSE | INITIATOR])), (8, os.urandom(8)), (18, bytes([AUTH])),
                           (18, bytes([CREATE_CHILD])), (18, bytes([INFORMATIONAL])), (18, bytes([0])), (18, b"\xff")):
            changed = bytearray(whole)
            changed[:8] = os.urandom(8)
            changed[at:at + len(octets)] = octets
            cases.append(bytes(changed))
        for first, extra in ((SK, b""), (SKF, struct.pack("!HH", 1, 2))):
            body = extra + os.urandom(64)
            sealed = struct.pack("!BBH", 33, 0, 4 + len(body)) + body
            cases.append(ike_octets.message(os.urandom(8), bytes(8), SA_INIT, INITIATOR, 0, sealed, first))
        assert send_all(lab, cases) == [None] * len(cases)


# ---- inside an IKE SA that somebody has watched ----

def spis_of(lab):
    one = next(m.ike for m in lab.first["a"] if m.ike.exchange == AUTH)
    return one.spi_i, one.spi_r


def garbage(kind, size, rng, fragment=(1, 1)):
    body = (struct.pack("!HH", *fragment) if kind == SKF else b"") + rng.randbytes(size)
    return struct.pack("!BBH", rng.choice([0, 33, 41, 42]), 0, 4 + len(body)) + body


def silent(lab, side, send):
    """`send` gets what it is to send with; the gateway says nothing to its peer meanwhile."""
    wan = lab.sides[side]
    wan.heard()
    send(wan)
    last = Init()
    wan.send(last.octets(), 500, wan.stranger)
    said = []

    def all_heard():
        said.extend(m for m in wan.heard() if m.ike)
        return any(m.ike.spi_i == last.spi for m in said)
    wait_until(all_heard, "the question behind the others is answered")
    assert [m.ike for m in said if m.ike.spi_i != last.spi] == []


@PORTS
@SIDES
@pytest.mark.parametrize("exchange", EXCHANGES)
def test_garbage_with_the_right_names(lab, side, exchange, port):
    """The SPIs are on the wire in clear; only who has the keys gets an answer, or a number used up."""
    rng = random.Random(exchange)
    spi_i, spi_r = spis_of(lab)

    def send(wan):
        for flags in range(0, 64, 8):
            for number in (0, 1, 2, 3, 5, 6, 100, 0x7fffffff, 0xffffffff):
                for size in (0, 8, 16, 40, 200):
                    wan.send(ike_octets.message(spi_i, spi_r, exchange, flags, number, garbage(SK, size, rng), SK), port)
    with lab.unharmed():
        silent(lab, side, send)


@SIDES
def test_in_clear(lab, side):
    """Delete, an error, a new IKE_SA_INIT's payloads: believed from nobody who does not encrypt."""
    spi_i, spi_r = spis_of(lab)
    deletes = [struct.pack("!BBHBBH", 0, 0, 8, 1, 0, 0)]
    deletes += [struct.pack("!BBHBBH", 0, 0, 12, 3, 4, 1) + struct.pack("!I", spi)
                for sas in lab.sas().values() for _, spi in sas if isinstance(spi, int)]

    def send(wan):
        for flags in (0, INITIATOR, RESPONSE, RESPONSE | INITIATOR):
            for number in (0, 1, 2, 3):
                for octets in deletes:
                    wan.send(ike_octets.message(spi_i, spi_r, INFORMATIONAL, flags, number, octets, 42))
                for kind in (INVALID_SYNTAX, 24, 4, 11, NO_PROPOSAL_CHOSEN, 16384):
                    wan.send(ike_octets.message(spi_i, spi_r, INFORMATIONAL, flags, number, ike_octets.notify(kind), 41))
    with lab.unharmed():
        silent(lab, side, send)


@SIDES
@pytest.mark.parametrize("fragment", [(0, 0), (0, 1), (1, 0), (2, 1), (1, 65535), (65535, 65535), (129, 129), (1, 2), (2, 2)])
def test_fragments(lab, side, fragment):
    """RFC 7383 2.6: without its own ICV no fragment waits for others."""
    rng = random.Random(str(fragment))
    spi_i, spi_r = spis_of(lab)

    def send(wan):
        for flags in (0, INITIATOR, RESPONSE, RESPONSE | INITIATOR):
            for number in range(200):
                wan.send(ike_octets.message(spi_i, spi_r, INFORMATIONAL, flags, number, garbage(SKF, 60, rng, fragment), SKF))
    with lab.unharmed():
        silent(lab, side, send)


@SIDES
def test_replays(lab, side):
    """Everything that was said, again and in another order, to who got it and to who said it. Only a repeated request is
    answered: by the answer that it had."""
    wan = lab.sides[side]
    said = [one for each in lab.first.values() for one in each]
    answers = {m.ike.octets for m in said if m.ike.response}
    with lab.unharmed():
        for seed in range(10):
            order = list(said)
            random.Random(seed).shuffle(order)
            for one in order:
                wan.send(one.ike.octets, one.dport)
        last = Init()
        wan.send(last.octets(), 500, wan.stranger)
        heard = []

        def all_heard():
            heard.extend(m for m in wan.heard() if m.ike)
            return any(m.ike.spi_i == last.spi for m in heard)
        wait_until(all_heard, "the question behind the others is answered")
        for one in heard:
            if one.ike.spi_i == last.spi or one.ike.octets in answers:
                continue
            # The IKE_SA_INIT of an IKE SA that is up may be somebody's new one: answered as such.
            assert (one.ike.exchange, one.ike.response) == (SA_INIT, True), one


@SIDES
def test_changed_copies(lab, side):
    """Each octet of the header of what was said, changed: flags swapped, other numbers, other exchanges, other names."""
    def send(wan):
        for one in (m for each in lab.first.values() for m in each if m.ike.exchange != SA_INIT):
            for flags in range(0, 64, 8):
                octets = bytearray(one.ike.octets)
                if flags != octets[19]:
                    octets[19] = flags
                    wan.send(octets, one.dport)
            for at in (*range(8), *range(8, 16), 18, *range(20, 24), len(one.ike.octets) - 1):
                octets = bytearray(one.ike.octets)
                octets[at] ^= 1
                wan.send(octets, one.dport)
    with lab.unharmed():
        silent(lab, side, send)


@SIDES
def test_answers_that_nobody_asked_for(lab, side):
    spi_i, spi_r = spis_of(lab)

    def send(wan):
        for names in ((spi_i, spi_r), (spi_i, bytes(8)), (os.urandom(8), spi_r), (os.urandom(8), os.urandom(8))):
            for exchange in EXCHANGES:
                for payload, first in ((ike_octets.notify(NO_PROPOSAL_CHOSEN), 41), (os.urandom(40), SK), (b"", 0)):
                    wan.send(ike_octets.message(*names, exchange, RESPONSE, 0, payload, first))
                    wan.send(ike_octets.message(*names, exchange, RESPONSE | INITIATOR, 0, payload, first))
    with lab.unharmed():
        silent(lab, side, send)


# ---- what is no IKE ----

@SIDES
def test_nothing_and_keepalives(lab, side):
    """Empty datagrams, keepalives (RFC 3948 2.3), markers alone, ESP that nobody sent."""
    rng = random.Random(5)

    def send(wan):
        for port in (500, 4500):
            for octets in (b"", b"\xff", b"\xff\xff", bytes(1), bytes(3), bytes(4), bytes(8), b"\xff" * 28, bytes(28)):
                wan.send(octets, port, marker=False)
        for size in (*range(1, 64), 500, 1400):
            wan.send(rng.randbytes(size), 4500, marker=False)
            wan.send(struct.pack("!II", 0x1001, size) + rng.randbytes(size), 4500, marker=False)
    with lab.unharmed():
        silent(lab, side, send)


def test_chance(lab):
    """A thousand times a few octets of a good message are others."""
    rng = random.Random(11)
    with lab.unharmed():
        cases = []
        for _ in range(1000):
            octets = bytearray(Init(proposals=rng.randint(1, 3)).octets())
            octets[:8] = rng.randbytes(8)
            for _ in range(rng.randint(1, 6)):
                octets[rng.randrange(16, len(octets))] = rng.randrange(256)
            cases.append(bytes(octets))
        for octets, answer in zip(cases, send_all(lab, cases)):
            assert answer is None or answer.spi_r == bytes(8), octets.hex()


# ---- an attempt under way ----

@pytest.fixture
def attempt(make_sites):
    """Gateway A begins, and what it says does not get to B: (the surroundings, A's side of the WAN, its IKE_SA_INIT)."""
    lab = Attacked(make_sites())
    for side in "ab":
        lab.sides[side] = WanSide(lab.sites, side)
    lossy.cut(lab.sites.lab, "wan")
    lab.gateways["b"].start()
    lab.gateways["a"].start()
    wan = lab.sides["a"]
    return lab, wan, wait_for(wan, lambda m: m.ike.exchange == SA_INIT, "A's IKE_SA_INIT").ike


@pytest.mark.parametrize("kinds", [[(NO_PROPOSAL_CHOSEN, b"")], [(INVALID_SYNTAX, b""), (24, b""), (INVALID_MAJOR_VERSION, b"")],
                                   [(INVALID_KE, b"\0\2")], [(INVALID_KE, b"\0\x1f")], [(COOKIE, b"c" * 32)],
                                   [(COOKIE, b"c" * 64)], [(16388, bytes(20))]], ids=lambda k: "-".join(str(n) for n, _ in k))
def test_answers_to_our_first_message_prove_nothing(attempt, kinds):
    """RFC 7296 2.21.1: somebody who has seen the IKE_SA_INIT answers first. The same attempt comes up all the same."""
    lab, wan, init = attempt
    for kind, data in kinds:
        wan.send(ike_octets.message(init.spi_i, bytes(8), SA_INIT, RESPONSE, 0, ike_octets.notify(kind, data), 41))
    lossy.repair(lab.sites.lab, "wan")
    auth = wait_for(wan, lambda m: m.ike.exchange == AUTH, "A's IKE_AUTH", 20).ike
    assert auth.spi_i == init.spi_i
    lab.wait_up()


def test_malformed_answers_to_our_first_message(attempt):
    lab, wan, init = attempt
    rng = random.Random(3)
    good = Init(spi=init.spi_i, flags=RESPONSE).write()
    for length in good.lengths:
        for value in wrong_values(length):
            octets = bytearray(good.data)
            octets[8:16] = rng.randbytes(8)
            octets[length.at:length.at + length.octets] = value.to_bytes(length.octets, "big")
            wan.send(octets)
    for flags in (VERSION, INITIATOR, RESPONSE | INITIATOR):
        octets = bytearray(good.data)
        octets[19] = flags
        wan.send(octets)
    lossy.repair(lab.sites.lab, "wan")
    auth = wait_for(wan, lambda m: m.ike.exchange == AUTH, "A's IKE_AUTH", 20).ike
    assert auth.spi_i == init.spi_i
    lab.wait_up()
