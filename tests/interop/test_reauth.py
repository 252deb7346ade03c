"""Reauthentication: a new IKE SA with its children before the old one goes (make before break), under traffic."""

from harness import pki

from cases import STARTERS, certified


@STARTERS
def test_by_the_peer(interop, starter, tmp_path):
    ours, theirs = certified(pki.Authority("CA"))
    tunnel = interop.tunnel(**ours)
    interop.bring_up(starter, tunnel, interop.connection(**theirs))
    stream = interop.stream(tmp_path)
    before, mark = interop.keys("ike"), interop.peer.mark()
    interop.peer.rekey(ike="a-b", reauth=True)
    interop.wait_another("ike", before)
    interop.peer.wait_log("generating IKE_AUTH request", mark)
    interop.wait_up(tunnel)
    stream.wait_progress(50)
    stream.assert_nothing_lost()


@STARTERS
def test_by_the_gateway(interop, starter, tmp_path):
    ours, theirs = certified(pki.Authority("CA"))
    tunnel = interop.tunnel(ike={"reauthenticate": "5s"}, **ours)
    interop.bring_up(starter, tunnel, interop.connection(**theirs))
    stream = interop.stream(tmp_path)
    mark = interop.peer.mark()
    for _ in range(2):
        interop.wait_another("ike", interop.keys("ike"))
    assert interop.peer.logged("parsed IKE_AUTH request", mark)
    # The peer sends by its new SA when it answers IKE_AUTH, before we can know whether to believe it: a few milliseconds.
    stream.assert_nothing_lost(but=(0, 5))
    interop.wait_up(tunnel)
