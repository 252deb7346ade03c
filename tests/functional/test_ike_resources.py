"""One child for each worker (RFC 9611), against a peer that knows SA_RESOURCE_INFO by its own code: both roles."""

import pytest

from harness.ike_meeting import PEER, Meeting
from harness.ike_octets import CREATE_CHILD
from harness.ike_peer import TS_MAX_QUEUE, Refused
from harness.netns import wait_until
from harness.topology import inner_packet, token, udp_packet

WORKERS = 2
PER_WORKER = {"child": {"per_worker": True}, "ike": "aes256gcm16-prfsha384-x25519", "esp": "aes256gcm16-x25519-esn"}


@pytest.fixture(scope="module")
def bench(make_bench):
    made = make_bench()
    made.lab.address("peer", "eth0", PEER + "/24")
    return made.start(workers=WORKERS)


@pytest.fixture
def meeting(bench):
    made = Meeting(bench)
    yield made
    made.end()


def check_traffic(meeting, children):
    """What comes by any of them is taken; what leaves goes by one of them, under its keys."""
    bench, ends = meeting.bench, {c.out_spi.to_bytes(4): meeting.peer.end_of(c) for c in children}

    def in_use(direction, spis):
        return spis <= {row["spi"] for row in meeting.sas() if row["direction"] == direction}
    wait_until(lambda: in_use("in", {c.in_spi for c in children}), "their inbound SAs are there")
    for end in ends.values():
        mark = token()
        bench.send("wan", end.seal(inner_packet(end, mark, inbound=True)))
        bench.expect_token("lan", mark)
    # Of what the peer made the gateway sends once it has heard that the peer has it.
    wait_until(lambda: in_use("out", {c.out_spi for c in children}), "their outbound SAs are in use")
    for port in range(2000, 2016):
        mark = token()
        bench.send("lan", udp_packet("10.1.1.10", "10.2.1.10", mark, sport=port))
        outer = bench.wan.expect(lambda p: bytes(p)[34:38] in ends, "ESP of one of the children").payload
        assert mark in bytes(ends[bytes(outer)[20:24]].open(outer))


def test_made_by_the_gateway(meeting):
    """The first one that all may use, and then each worker's."""
    peer = meeting.begin("gateway", resources=16, **PER_WORKER)
    peer.wait_up(1 + WORKERS)
    assert all(child.resource for child in peer.children)
    check_traffic(meeting, peer.children)
    assert {row["worker"] for row in meeting.sas() if row["direction"] == "out"} == set(range(WORKERS))
    assert len(peer.children) == 1 + WORKERS and peer.refused == []


def test_no_more_than_the_peer_wants(meeting):
    """TS_MAX_QUEUE: the gateway makes do with what there is, and does not call it a failure."""
    peer = meeting.begin("gateway", resources=2, **PER_WORKER)
    peer.wait(lambda: peer.refused, "one too many")
    check_traffic(meeting, peer.children)
    assert len(peer.children) == 2 and peer.refused == [TS_MAX_QUEUE]
    assert meeting.explain()["warnings"] == []


def test_a_peer_that_does_not_know_it(meeting):
    peer = meeting.begin("gateway", **PER_WORKER)
    peer.wait_up()
    check_traffic(meeting, peer.children)
    assert len(peer.children) == 1 and not peer.children[0].resource
    assert CREATE_CHILD not in [exchange for exchange, _, _ in peer.said]


def test_made_by_the_peer(meeting):
    """As many as it likes, up to a limit; one of them is rekeyed and the others stay."""
    peer = meeting.begin("peer", resources=16, **PER_WORKER)
    peer.wait_up()
    for _ in range(4):
        assert peer.make_child(resource=True).resource
    check_traffic(meeting, peer.children)
    peer.make_child(peer.children[2], resource=True)
    assert len(peer.children) == 5
    check_traffic(meeting, peer.children)


def test_the_gateway_has_a_limit(meeting):
    peer = meeting.begin("peer", resources=1000, **PER_WORKER)
    with pytest.raises(Refused) as refused:
        for _ in range(100):
            peer.make_child(resource=True)
    assert refused.value.kind == TS_MAX_QUEUE and len(peer.children) == 64 + WORKERS
    peer.ask_liveness()


def test_without_the_notify_it_is_a_double(meeting):
    """Of two plain children with the same selectors the older one goes."""
    peer = meeting.begin("peer", **PER_WORKER)
    peer.wait_up()
    newest = peer.make_child()
    peer.wait(lambda: peer.children == [newest], "the older one is deleted")
    check_traffic(meeting, peer.children)
