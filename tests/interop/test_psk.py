"""Tunnels by pre-shared key: they come up from either end, carry both families, and tell what they are."""

import pytest

from harness import traffic
from harness.capture import assert_only_esp
from harness.ike_tunnel import A_ID, A_NET, A_NET6, B_ID, B_NET, B_NET6, IkeChild
from harness.interop import Interop
from harness.netns import wait_until
from harness.strongswan import Child

from cases import STARTERS


@STARTERS
def test_comes_up_and_carries(interop, starter):
    interop.forget()
    capture = interop.capture()
    tunnel = interop.tunnel()
    child = interop.bring_up(starter, tunnel)
    traffic.ping_all("site-a", Interop.B4)
    traffic.ping_all("site-b", Interop.A4)
    capture.stop()
    assert_only_esp(capture, 12)
    assert capture.count("ip.proto == 50") == 12  # no NAT: ESP itself
    assert (child["local-ts"], child["remote-ts"]) == ([B_NET], [A_NET])
    (ike,) = interop.peer.ike_sas()
    assert (ike["remote-id"], ike["local-id"], ike["dh-group"]) == (A_ID, B_ID, "CURVE_25519")
    assert ("initiator" in ike) == (starter == "peer")
    exchanges = [row[0] for row in capture.fields(["isakmp.exchangetype"], "isakmp")]
    assert exchanges[:4] == ["34", "34", "35", "35"]  # nothing more than RFC 7296 1.2 asks for


@STARTERS
def test_ipv6_inside_and_outside(interop, starter):
    capture = interop.capture()
    tunnel = interop.tunnel(family=6, children=[IkeChild("lan6", [A_NET6], [B_NET6])])
    interop.bring_up(starter, tunnel, interop.connection(family=6, children=[Child("lan6", B_NET6, A_NET6)]))
    traffic.ping_all("site-a", Interop.B6)
    traffic.ping_all("site-b", Interop.A6)
    capture.stop()
    assert_only_esp(capture, 12)


@STARTERS
def test_two_children(interop, starter):
    """The second comes by CREATE_CHILD_SA, in the same IKE SA."""
    children = [IkeChild("lan"), IkeChild("lan6", [A_NET6], [B_NET6])]
    tunnel = interop.tunnel(children=children)
    interop.forget()
    interop.load_peer(interop.connection(children=[Child("lan"), Child("lan6", B_NET6, A_NET6)]))
    tunnel.start = {"gateway": "always", "peer": "answer"}[starter]
    interop.put(tunnel)
    if starter == "peer":
        interop.peer.initiate("lan")
        interop.peer.initiate("lan6")
    interop.wait_up(tunnel)
    assert len(interop.peer.ike_sas()) == 1
    interop.check_traffic()
    traffic.ping_all("site-a", Interop.B6)


def test_on_demand(interop):
    """Nothing is negotiated until a packet wants it; the packet after that finds the tunnel (RFC 4301 4.4.1.2)."""
    interop.forget()
    interop.load_peer()
    tunnel = interop.put(interop.tunnel(start="on-demand"))
    capture = interop.capture()
    wait_until(lambda: tunnel.name in interop.gateway.tunnels(), "it is known")
    assert capture.count("isakmp") == 0
    traffic.ping("site-a", Interop.B4, count=1, check=False, deadline=5)
    interop.wait_up(tunnel)
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 6)


def test_childless(interop):
    """RFC 6023: the IKE SA first, then each child with a key exchange of its own."""
    tunnel = interop.tunnel(ike={"childless": True})
    interop.forget()
    capture = interop.capture()
    interop.bring_up("gateway", tunnel, interop.connection(options={"childless": "allow"}))
    capture.stop()
    exchanges = [row[0] for row in capture.fields(["isakmp.exchangetype"], "isakmp")]
    assert exchanges[:6] == ["34", "34", "35", "35", "36", "36"]
    interop.check_traffic()


def test_both_start_at_once(interop):
    """Two IKE SAs for a moment, one in the end (RFC 7296 2.8.1 by analogy), and traffic passes."""
    interop.forget()
    interop.load_peer()
    interop.peer.initiate_and_leave("lan")
    tunnel = interop.put(interop.tunnel())
    interop.wait_up(tunnel)
    interop.check_traffic()


@pytest.mark.parametrize("id_", ["gw-a.example", "203.0.113.2", "gw@trunkgate.example", "2001:db8:a::2"])
def test_kinds_of_identities(interop, id_):
    """FQDN, IPv4 and IPv6 address, mail address (RFC 7296 3.5)."""
    from harness.strongswan import Party
    tunnel = interop.tunnel(local_id=id_)
    interop.bring_up("gateway", tunnel, interop.connection(remote=Party(id=id_)))
    assert interop.peer.ike_sas()[0]["remote-id"] == id_
