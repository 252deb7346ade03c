"""Traffic selectors that one side cuts down (RFC 7296 2.9): both have the same in the end, and the rest does not pass."""

import pytest

from harness import traffic
from harness.capture import assert_only_esp
from harness.ike_tunnel import A_NET, B_NET, IkeChild
from harness.interop import Interop
from harness.strongswan import Child

from cases import STARTERS

OUTSIDE_A = "10.1.9.9"  # in the gateway's network, not in what the peer takes


@pytest.fixture(scope="module")
def two_hosts(interop):
    interop.lab.address("site-a", "eth0", OUTSIDE_A + "/16")
    return interop


def check_limits(interop, inside=Interop.A4, outside=OUTSIDE_A):
    capture = interop.capture()
    traffic.ping_all("site-a", Interop.B4, extra=("-I", inside))
    sent, received = traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1, extra=("-I", outside))
    assert sent > 0 and received == 0
    capture.stop()
    assert_only_esp(capture, 6)


@STARTERS
def test_peer_takes_less(two_hosts, starter):
    tunnel = two_hosts.tunnel()
    child = two_hosts.bring_up(starter, tunnel,
                               two_hosts.connection(children=[Child("lan", "10.2.1.0/24", "10.1.1.0/24")]))
    assert (child["local-ts"], child["remote-ts"]) == (["10.2.1.0/24"], ["10.1.1.0/24"])
    check_limits(two_hosts)


@STARTERS
def test_gateway_takes_less(two_hosts, starter):
    tunnel = two_hosts.tunnel(children=[IkeChild("lan", ["10.1.1.0/24"], ["10.2.1.0/24"])])
    child = two_hosts.bring_up(starter, tunnel, two_hosts.connection(children=[Child("lan", B_NET, A_NET)]))
    assert (child["local-ts"], child["remote-ts"]) == (["10.2.1.0/24"], ["10.1.1.0/24"])
    check_limits(two_hosts)


@STARTERS
def test_rekey_keeps_what_was_agreed(two_hosts, starter):
    tunnel = two_hosts.tunnel()
    two_hosts.bring_up(starter, tunnel, two_hosts.connection(children=[Child("lan", "10.2.1.0/24", "10.1.1.0/24")]))
    for who in ("gateway", "peer"):
        child = two_hosts.rekey(tunnel, who, "child")
        assert (child["local-ts"], child["remote-ts"]) == (["10.2.1.0/24"], ["10.1.1.0/24"])
        check_limits(two_hosts)


@STARTERS
def test_several_networks(two_hosts, starter):
    """Two selectors on each side, of which one is common."""
    tunnel = two_hosts.tunnel(children=[IkeChild("lan", ["10.1.1.0/24", "10.1.2.0/24"], ["10.2.0.0/16"])])
    child = two_hosts.bring_up(starter, tunnel, two_hosts.connection(
        children=[Child("lan", "10.2.0.0/16", "10.1.1.0/24,10.1.3.0/24")]))
    assert child["remote-ts"] == ["10.1.1.0/24"]
    check_limits(two_hosts)


@STARTERS
def test_one_protocol(two_hosts, starter):
    """Only UDP goes through the tunnel; pings do not, and not beside it either."""
    tunnel = two_hosts.tunnel(children=[IkeChild("lan", options={"protocol": "udp"})])
    child = two_hosts.bring_up(starter, tunnel, two_hosts.connection(
        children=[Child("lan", f"{B_NET}[udp]", f"{A_NET}[udp]")]))
    assert child["remote-ts"] == [f"{A_NET}[udp]"]
    capture = two_hosts.capture()
    assert traffic.ping("site-a", Interop.B4, count=3, check=False, deadline=1)[1] == 0
    capture.stop()
    assert_only_esp(capture, 0)
