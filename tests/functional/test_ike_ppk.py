"""A post-quantum pre-shared key (RFC 8784), against a peer that mixes it in by its own code: both roles."""

import dataclasses

import pytest

from harness.ike_meeting import PEER, Meeting
from harness.ike_octets import AUTHENTICATION_FAILED
from harness.ike_peer import Ppk, Refused
from harness.netns import wait_until

STARTERS = pytest.mark.parametrize("starter", ["gateway", "peer"])
CLASSIC = "aes256gcm16-prfsha384-x25519"
PPK = Ppk("shared.example", b"a post-quantum pre-shared key of the tests")
OPTIONAL = dataclasses.replace(PPK, required=False)
OTHER_ID = Ppk("other.example", PPK.key, required=False)
OTHER_KEY = dataclasses.replace(PPK, key=b"another post-quantum key, as long as it")


@pytest.fixture(scope="module")
def bench(make_bench):
    made = make_bench()
    made.lab.address("peer", "eth0", PEER + "/24")
    return made.start()


@pytest.fixture
def meeting(bench):
    made = Meeting(bench)
    yield made
    made.end()


def is_mixed(peer):
    """SK_d, which is not what the key exchanges alone made of it."""
    before = dataclasses.replace(peer.sa, steps=[], secrets=[])
    for n, shared in enumerate(peer.sa.secrets):
        (before.begin if n == 0 else before.go_on)(shared)
    assert {name for name, key in before.keys.items() if key != peer.sa.keys[name]} in (set(), {"d", "pi", "pr"})
    return before.keys["d"] != peer.sa.keys["d"]


@STARTERS
@pytest.mark.parametrize("ike", [CLASSIC, CLASSIC + "-ke1_mlkem768", "aes128gcm16-prfsha256-ecp256"])
@pytest.mark.parametrize("both", [PPK, OPTIONAL], ids=["required", "optional"])
def test_mixed_in(meeting, starter, ike, both):
    """AUTH holds with it at both ends, and the children's keys follow from it, also after rekeys."""
    peer = meeting.begin(starter, ike=ike, esp="aes256gcm16-x25519-esn", ppk=both, gateway_ppk=both)
    meeting.check_traffic(peer.wait_up())
    assert is_mixed(peer)
    meeting.check_traffic(peer.make_child(peer.children[-1]))
    peer.rekey_ike()
    meeting.check_traffic(peer.make_child(peer.children[-1]))
    wait_until(lambda: any("post-quantum" in note for note in meeting.explain()["current"]["notes"]), meeting.explain)


@pytest.mark.parametrize("both", [PPK, OPTIONAL], ids=["required", "optional"])
def test_another_key_is_refused(meeting, both):
    """Of the same identity: who has it does not do without (RFC 8784 3)."""
    theirs = dataclasses.replace(OTHER_KEY, required=both.required)
    peer = meeting.begin("gateway", wait=False, ppk=theirs, gateway_ppk=both)
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == "peer_refused_us" and AUTHENTICATION_FAILED in peer.refused
    assert meeting.sas() == []


@pytest.mark.parametrize("both", [PPK, OPTIONAL], ids=["required", "optional"])
def test_another_key_of_the_initiator_is_refused(meeting, both):
    with pytest.raises(Refused) as refused:
        meeting.begin("peer", ppk=dataclasses.replace(OTHER_KEY, required=both.required), gateway_ppk=both)
    assert refused.value.kind == AUTHENTICATION_FAILED
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == "peer_not_authentic" and meeting.sas() == []


@STARTERS
@pytest.mark.parametrize("theirs, ours", [(OTHER_ID, OPTIONAL), (None, OPTIONAL), (OTHER_ID, None)],
                         ids=["other ids", "the gateway alone", "the peer alone"])
def test_without_it_where_both_may(meeting, starter, theirs, ours):
    """NO_PPK_AUTH is what counts; or nobody speaks of it."""
    peer = meeting.begin(starter, ppk=theirs, gateway_ppk=ours)
    meeting.check_traffic(peer.wait_up())
    assert not is_mixed(peer)


@pytest.mark.parametrize("theirs", [None, OTHER_ID], ids=["none", "another"])
def test_required_by_the_gateway(meeting, theirs):
    """As initiator it gives up, or is refused by a peer that can't do otherwise."""
    meeting.begin("gateway", wait=False, ppk=theirs, gateway_ppk=PPK)
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == ("peer_refused_us" if theirs else "post_quantum_key")
    assert meeting.sas() == []


@pytest.mark.parametrize("theirs", [None, OTHER_ID], ids=["none", "another"])
def test_required_by_the_gateway_that_answers(meeting, theirs):
    with pytest.raises(Refused) as refused:
        meeting.begin("peer", ppk=theirs, gateway_ppk=PPK)
    assert refused.value.kind == AUTHENTICATION_FAILED
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == "post_quantum_key" and meeting.sas() == []


def test_required_by_the_peer(meeting):
    """A key that the gateway has not, and no NO_PPK_AUTH."""
    with pytest.raises(Refused) as refused:
        meeting.begin("peer", ppk=dataclasses.replace(OTHER_ID, required=True), gateway_ppk=OPTIONAL)
    assert refused.value.kind == AUTHENTICATION_FAILED
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == "post_quantum_key" and meeting.sas() == []
