"""A NAT before one end or both: port 4500 and ESP in UDP, keep-alives, mappings that change, MOBIKE."""

import pytest

from harness import traffic
from harness.capture import assert_only_esp
from harness.interop import Interop
from harness.netns import wait_until

from cases import STARTERS

A_OUTSIDE, B_OUTSIDE = Interop.OUTSIDE["a"], Interop.OUTSIDE["b"]


def surroundings(make_interop, nat, reachable=(), **charon):
    interop = make_interop(nat=nat)
    for side, n in interop.nats.items():
        n.masquerade(p4500={"a": 40000, "b": 41000}[side])
        if side in reachable:
            n.forward_ike_to(interop.address(side))
    interop.start_peer(**charon)
    return interop


@pytest.mark.parametrize("starter, nat, reachable", [
    ("gateway", "a", ""), ("peer", "a", "a"), ("peer", "b", ""), ("gateway", "b", "b"), ("gateway", "ab", "b"), ("peer", "ab", "a")])
def test_comes_up_and_carries(make_interop, starter, nat, reachable):
    interop = surroundings(make_interop, nat, reachable)
    capture = interop.capture()
    tunnel = interop.tunnel()
    interop.bring_up(starter, tunnel)
    traffic.ping_all("site-a", Interop.B4)
    traffic.ping_all("site-b", Interop.A4)
    capture.stop()
    assert_only_esp(capture, 12)
    assert capture.count("ip.proto == 50") == 0
    # From IKE_AUTH on everything is on port 4500 (RFC 7296 2.23), behind four zero bytes where it is IKE.
    assert capture.count("isakmp.exchangetype == 35 and udp.port == 500") == 0
    interop.rekey(tunnel, "peer", "child")
    interop.rekey(tunnel, "gateway", "child")
    interop.check_traffic()


@STARTERS
def test_nobody_is_behind_a_nat(make_interop, starter):
    """Then there is no ESP in UDP, unless it is asked for."""
    interop = make_interop()
    interop.start_peer(raw_esp=True)
    interop.bring_up(starter, interop.tunnel())
    assert interop.check_traffic().count("ip.proto == 50") == 12
    interop.bring_up(starter, interop.tunnel(ike={"encapsulation": "always"}))
    assert interop.check_traffic().count("udp.port == 4500 and esp") == 12


def test_keepalives(make_interop):
    """RFC 3948 2.3: who is behind the NAT sends one byte 0xff while nothing else is sent."""
    interop = surroundings(make_interop, "a")
    tunnel = interop.tunnel(ike={"liveness": "off"})
    capture = interop.capture()
    interop.bring_up("gateway", tunnel)
    wait_until(lambda: any(len(data) >= 43 and data[42:43] == b"\xff" and data[23] == 17 and data[38:40] == b"\0\x09"
                           for _, data in capture.packets()), "a keep-alive", 40)
    capture.stop()


def test_our_nat_forgets_the_mapping(make_interop):
    """The peer hears us from another port and answers there; what we are told of it changes nothing at our end."""
    interop = surroundings(make_interop, "a", keep_alive="1s", retransmit_timeout=0.5)
    tunnel = interop.tunnel(ike={"mobike": False, "liveness": "2s"})
    interop.bring_up("gateway", tunnel, interop.connection(options={"mobike": False, "dpd_delay": "2s"}))
    interop.check_traffic()
    interop.nats["a"].rebind(p4500=50000)
    wait_until(lambda: [i["remote-port"] for i in interop.peer.ike_sas()] == ["50000"], "the peer knows the new port", 30)
    interop.peer.wait_event("child-rekey", seconds=30)
    interop.wait_up(tunnel)
    capture = interop.check_traffic()
    assert capture.count("esp and udp.dstport == 50000") >= 6


def test_the_peers_nat_forgets_the_mapping(make_interop):
    """We answer to the new port as soon as an authenticated packet that moves the window came from there."""
    interop = surroundings(make_interop, "b")
    tunnel = interop.tunnel(ike={"mobike": False})
    interop.bring_up("peer", tunnel, interop.connection(options={"mobike": False}))
    interop.check_traffic()
    interop.nats["b"].rebind(p4500=51000)
    traffic.ping("site-b", Interop.A4, count=1, check=False, deadline=2)
    capture = interop.capture()
    traffic.ping_all("site-b", Interop.A4)
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 12)
    assert capture.count("esp and udp.dstport == 51000") >= 6
    assert capture.count("esp and udp.dstport == 41000") == 0


def test_an_old_packet_from_elsewhere_moves_nothing(make_interop):
    """A recorded packet of the peer, sent again from another port, is a replay: the address stays (RFC 7296 2.23)."""
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether

    from harness.station import Station
    interop = surroundings(make_interop, "b")
    tunnel = interop.tunnel(ike={"mobike": False})
    interop.bring_up("peer", tunnel, interop.connection(options={"mobike": False}))
    capture = interop.check_traffic()
    frames = [Ether(data) for _, data in capture.packets()]
    old = next(f for f in frames if UDP in f and f[UDP].sport == 41000 and bytes(f[UDP].payload)[:4] != bytes(4))
    forged = IP(bytes(old[IP]))
    forged[UDP].sport = 52000
    del forged.chksum, forged[UDP].chksum
    station = interop.lab.closing(Station("wan", "to-a", interop.lab.mac("wan", "to-a")))
    replayed = interop.gateway.drops().get("esp_replayed", 0)
    station.send(Ether(src=station.mac, dst=interop.lab.mac("gw-a", "wan0"), type=0x0800) / forged)
    wait_until(lambda: interop.gateway.drops().get("esp_replayed", 0) == replayed + 1, "it is dropped")
    capture = interop.check_traffic()
    assert capture.count("esp and udp.dstport == 52000") == 0


def test_mobike_peer_tells_its_new_mapping(make_interop):
    """RFC 4555 3.5: the peer finds out by its own check and sends UPDATE_SA_ADDRESSES."""
    interop = surroundings(make_interop, "b", keep_alive="1s", retransmit_timeout=0.5)
    tunnel = interop.tunnel(ike={"mobike": True})
    interop.bring_up("peer", tunnel, interop.connection(options={"mobike": True, "dpd_delay": "1s"}))
    interop.peer.wait_log(r"parsed INFORMATIONAL response \d+ \[.*N\(NATD_S_IP\)")  # what it compares the next one with
    mark = interop.peer.mark()
    interop.nats["b"].rebind(p4500=51000)
    interop.peer.wait_log(r"generating INFORMATIONAL request \d+ \[ .*N\(UPD_SA_ADDR\)", mark, 30)
    interop.wait_up(tunnel)
    capture = interop.check_traffic()
    assert capture.count("esp and udp.dstport == 51000") >= 6


def test_mobike_peer_moves_to_another_address(make_interop):
    """The peer loses the address that it negotiated with and goes on from another one; no new IKE SA."""
    interop = surroundings(make_interop, "", raw_esp=True, retransmit_timeout=0.5, retransmit_tries=3)
    lab = interop.lab
    lab.address("peer", "wan0", "198.51.100.3/24")
    lab.ip("peer", "-6", "address", "flush", "dev", "wan0", "scope", "global")  # else it might go on by IPv6
    tunnel = interop.tunnel(ike={"mobike": True})
    connection = interop.connection(options={"mobike": True})
    connection.local_addrs = "%any"  # whichever it has
    interop.bring_up("peer", tunnel, connection)
    spi = interop.peer.ike_sas()[0]["initiator-spi"]
    lab.ip("peer", "address", "del", "198.51.100.2/24", "dev", "wan0")
    if "198.51.100.3" not in lab.ip("peer", "address", "show", "dev", "wan0").stdout:
        lab.address("peer", "wan0", "198.51.100.3/24")  # a secondary address goes with its primary
    lab.ip("peer", "route", "replace", "default", "via", "198.51.100.1")
    wait_until(lambda: [i["local-host"] for i in interop.peer.ike_sas()] == ["198.51.100.3"], "the peer has moved", 30)
    interop.wait_up(tunnel)
    assert interop.peer.ike_sas()[0]["initiator-spi"] == spi
    capture = interop.check_traffic()
    assert capture.count("esp and ip.addr == 198.51.100.3") >= 12
