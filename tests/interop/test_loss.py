"""A link that drops, doubles and reorders IKE's datagrams, 10 and 30 percent each: everything still comes up and is
rekeyed, the traffic does not notice, and nothing leaks."""

import pytest

from harness import pki
from harness.capture import assert_only_esp
from harness.lossy import IKE_AUTH, IKE_SA_INIT
from harness.netns import wait_until

from cases import STARTERS, certified


@pytest.fixture(scope="module")
def surroundings(make_interop):
    interop = make_interop()
    interop.start_peer(raw_esp=True, retransmit_timeout=0.5, retransmit_base=1.3, retransmit_tries=12)
    return interop


@pytest.fixture
def link(surroundings):
    made = surroundings.lossy()
    yield made
    made.close()


@STARTERS
@pytest.mark.parametrize("percent", [10, 30])
@pytest.mark.parametrize("by", ["psk", "certificate"])
def test_everything_comes_up(surroundings, link, starter, percent, by, tmp_path):
    ours, theirs = certified(pki.Authority("CA", "rsa2048"), "rsa2048") if by == "certificate" else ({}, {})
    tunnel = surroundings.tunnel(**ours)
    surroundings.forget()
    link.set(drop=percent, double=percent, reorder=percent)
    capture = surroundings.capture(snaplen=256)
    surroundings.bring_up(starter, tunnel, surroundings.connection(options={"send_cert": "always"}, **theirs), seconds=180)
    stream = surroundings.stream(tmp_path)
    for what in ("child", "ike"):
        for who in ("peer", "gateway"):
            surroundings.rekey(tunnel, who, what, 120)
    stream.assert_nothing_lost()
    capture.stop()
    assert_only_esp(capture, 100)
    assert all(link.counts[word] > 0 for word in ("dropped", "doubled", "held")), link.counts


@STARTERS
@pytest.mark.parametrize("exchange", [IKE_SA_INIT, IKE_AUTH], ids=["ike_sa_init", "ike_auth"])
@pytest.mark.parametrize("response", [False, True], ids=["request", "response"])
def test_one_message_is_lost(surroundings, link, starter, exchange, response):
    """The first of its kind only: the request comes again, the same answer comes again (RFC 7296 2.1)."""
    lost = []

    def choose(datagram):
        if not lost and (datagram.exchange, datagram.is_response) == (exchange, response):
            lost.append(datagram)
            return "drop"
        return None

    surroundings.forget()
    link.choose = choose
    surroundings.bring_up(starter, surroundings.tunnel(), seconds=60)
    assert len(lost) == link.counts["dropped"] == 1
    surroundings.check_traffic()


@STARTERS
def test_every_message_comes_twice(surroundings, link, starter):
    """Doubles are answered from the cache, not anew: one IKE SA, one child."""
    surroundings.forget()
    link.set(double=100)
    tunnel = surroundings.tunnel()
    surroundings.bring_up(starter, tunnel)
    wait_until(lambda: len(surroundings.gateway.show("sas")) == 2, "one pair is left", 130)
    surroundings.rekey(tunnel, "peer", "child")
    surroundings.check_traffic()
