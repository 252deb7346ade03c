"""ESP transport mode between the gateway itself and a peer of scapy's; the gateway's kernel judges what comes in."""

import socket
import subprocess

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Raw

from harness.config import Child, Tunnel
from harness.esp import trailer
from harness.netns import inside, wait_until
from harness.topology import Bench, token

NAT4, PRIVATE = "203.0.113.27", "192.168.7.7"


def transport(name, local, peer, suite="aes256gcm16", udp=False):
    return Tunnel(name, local, peer, [Child("box", [local], [peer], suite, extra={"mode": "transport"})], udp)


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench().start([transport("four", Bench.BOX4, Bench.PEER4),
                               transport("six", Bench.BOX6, Bench.PEER6, "aes128cbc-sha256"),
                               transport("udp", Bench.BOX4, "203.0.113.26", udp=True),
                               transport("nat", Bench.BOX4, NAT4, udp=True)], Bench.POLICIES[1:])


def ping(address):
    return subprocess.Popen(["ip", "netns", "exec", "gw", "ping", "-c1", "-W5", address], stdout=subprocess.DEVNULL)


def answer(request):
    """The echo reply to what the box sent, by scapy."""
    if request.version == 4:
        return IP(src=request.dst, dst=request.src) / ICMP(type=0, id=request[ICMP].id, seq=request[ICMP].seq) / \
            Raw(bytes(request[ICMP].payload))
    echo = request[ICMPv6EchoRequest]
    return IPv6(src=request.dst, dst=request.src) / ICMPv6EchoReply(id=echo.id, seq=echo.seq, data=echo.data)


@pytest.mark.parametrize("tunnel", ["four", "six", "udp"])
def test_the_box_pings_its_peer(bench, tunnel):
    peer = bench.peers[tunnel, "box"]
    bench.clear()
    pinging = ping(peer.peer)
    outer = bench.expect_esp(peer)
    assert (outer.src, outer.dst) == (peer.local, peer.peer)
    inner = peer.open(outer)
    assert (inner.src, inner.dst) == (peer.local, peer.peer)
    bench.send("wan", peer.seal(answer(inner)))
    assert pinging.wait(10) == 0
    mark = token()
    echo = IP(src=peer.peer, dst=peer.local) / ICMP(id=7, seq=1) / Raw(mark) if tunnel != "six" else \
        IPv6(src=peer.peer, dst=peer.local) / ICMPv6EchoRequest(id=7, seq=1, data=mark)
    bench.send("wan", peer.seal(echo))
    reply = peer.open(bench.expect_esp(peer))
    assert mark in bytes(reply) and reply.src == peer.local
    assert bench.gateway.sa(tunnel, "box", "in")["mode"] == "transport"


def test_tcp_behind_a_nat(bench):
    """RFC 3948 3.1.2: the peer's checksums are over its private address. The kernel would drop them as they are."""
    peer = bench.peers["nat", "box"]
    with inside("gw"):
        server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.bind((Bench.BOX4, 7777))
    server.listen()
    server.settimeout(5)
    bench.clear()

    def sealed(tcp):
        raw = bytes(IP(bytes(IP(src=PRIVATE, dst=Bench.BOX4) / tcp)).payload)  # the checksum is over PRIVATE
        return peer.outer(peer.sealed_bytes(raw + trailer(raw, 6, 4)), source=NAT4)

    bench.send("wan", sealed(TCP(sport=4242, dport=7777, flags="S", seq=100)))
    synack = peer.open(bench.expect_esp(peer))[TCP]
    assert synack.flags == "SA" and synack.ack == 101
    bench.send("wan", sealed(TCP(sport=4242, dport=7777, flags="A", seq=101, ack=synack.seq + 1)))
    mark = token()
    bench.send("wan", sealed(TCP(sport=4242, dport=7777, flags="PA", seq=101, ack=synack.seq + 1) / Raw(mark)))
    connection, (source, _) = server.accept()
    connection.settimeout(5)
    assert (source, connection.recv(100)) == (NAT4, mark)
    connection.close()
    server.close()


def test_nothing_in_clear_between_the_two(bench):
    before = bench.gateway.drops()
    bench.send("wan", IP(src=Bench.PEER4, dst=Bench.BOX4) / ICMP(id=9))
    bench.drops_rise("cleartext_must_be_protected", before)


def test_whole_packets_only(bench):
    """RFC 4301 4.1. Nothing of the datagram is seen, in clear or otherwise."""
    before = bench.gateway.drops().get("transport_fragment", 0)
    bench.clear()
    with inside("gw"):
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    mark = token()
    sender.sendto(mark * 200, (Bench.PEER4, 9999))
    sender.close()
    wait_until(lambda: bench.gateway.drops().get("transport_fragment", 0) >= before + 2, "both fragments are dropped")
    pinging = ping(Bench.PEER4)
    peer = bench.peers["four", "box"]
    bench.send("wan", peer.seal(answer(peer.open(bench.expect_esp(peer)))))
    assert pinging.wait(10) == 0
    assert not [f for f in bench.wan.take() if mark in f.data]


def test_who_takes_the_boxs_address(bench):
    """A host of the LAN that sends in the gateway's name is not lent its key."""
    before = bench.gateway.drops()
    bench.clear()
    bench.send("lan", IP(src=Bench.BOX4, dst=Bench.PEER4) / UDP(sport=1, dport=2) / Raw(token()))
    bench.drops_rise("ip_martian_source", before)
    assert not [f for f in bench.wan.take() if f.data[23:24] == b"\x32"]
