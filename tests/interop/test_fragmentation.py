"""IKE's own fragmentation (RFC 7383): large IKE_AUTH messages, both as sender and as receiver."""

import pytest

from harness import pki

from cases import STARTERS, certified

ENCRYPTED_FRAGMENT = "isakmp.typepayload == 53"


@pytest.fixture(scope="module")
def surroundings(make_interop):
    interop = make_interop()
    interop.start_peer(raw_esp=True, fragment_size=576)
    return interop


def large():
    return certified(pki.Authority("in between", "rsa4096", pki.Authority("root", "rsa4096")), "rsa4096")


@STARTERS
def test_both_cut(surroundings, starter):
    """No datagram of IKE needs fragments of IP, which some networks do not carry."""
    ours, theirs = large()
    capture = surroundings.capture()
    surroundings.bring_up(starter, surroundings.tunnel(**ours),
                          surroundings.connection(options={"fragmentation": "yes", "send_cert": "always"}, **theirs))
    capture.stop()
    for source, largest in (("203.0.113.2", 1280), ("198.51.100.2", 576)):
        assert capture.count(f"{ENCRYPTED_FRAGMENT} and ip.src == {source}") >= 2
        assert max(int(row[0]) for row in capture.fields(["ip.len"], f"isakmp and ip.src == {source}")) <= largest
    assert capture.count("ip.flags.mf == 1 or ip.frag_offset > 0") == 0
    surroundings.check_traffic()


@STARTERS
def test_a_peer_that_does_not_know_it(surroundings, starter):
    """Whole messages then, in fragments of IP where they do not fit."""
    ours, theirs = large()
    capture = surroundings.capture()
    surroundings.bring_up(starter, surroundings.tunnel(**ours),
                          surroundings.connection(options={"fragmentation": "no", "send_cert": "always"}, **theirs))
    capture.stop()
    assert capture.count(ENCRYPTED_FRAGMENT) == 0
    surroundings.check_traffic()


@STARTERS
def test_fragments_are_lost_doubled_and_reordered(surroundings, starter):
    ours, theirs = large()
    surroundings.forget()
    link = surroundings.lossy(drop=10, double=20, reorder=30, seed=11)
    surroundings.bring_up(starter, surroundings.tunnel(**ours),
                          surroundings.connection(options={"fragmentation": "yes", "send_cert": "always"}, **theirs),
                          seconds=120)
    assert link.counts["held"] > 0 and link.counts["doubled"] > 0
    link.close()
    surroundings.check_traffic()
