"""The gateway that bad packets are tried on, and what such packets are built from."""

import struct

from scapy.layers.inet import IP
from scapy.packet import Raw

from .config import Child, Tunnel
from .netns import wait_until
from .topology import Bench, inner_packet, token, udp_packet

BOX, PEER, HOST = Bench.BOX4, Bench.PEER4, Bench.HOST4
NESTED = [f"203.0.113.{n}" for n in (26, 27, 28)]


def tunnels():
    nested = [Tunnel(f"nested{n}", BOX, outer, [Child("c", [f"{BOX}/32"], [f"{inner}/32"])])
              for n, (outer, inner) in enumerate(zip(NESTED, [*NESTED[1:], "203.0.113.29"]))]
    return [Tunnel("good", BOX, PEER, [Child("gcm", ["10.1.0.0/16"], ["10.2.0.0/16"], esn=False),
                                       Child("cbc", ["10.1.0.0/16"], ["10.3.0.0/16"], "aes128cbc-sha256", esn=False),
                                       Child("esn", ["10.1.0.0/16"], ["10.4.0.0/16"], replay_window=64),
                                       Child("six", ["fd00:1::/64"], ["fd00:2::/64"])]),
            Tunnel("udp", BOX, PEER, [Child("c", ["10.1.0.0/16"], ["10.5.0.0/16"])], True), *nested]


POLICIES = [
    {"name": "never", "from": "lan", "to": "any", "destination": "192.0.2.66/32", "action": "discard"},
    {"name": "must-protect", "from": "lan", "to": "any", "destination": "198.18.0.0/15", "action": "protect"},
    {"name": "box-services", "from": "wan", "to": "box", "protocol": "udp", "destination_ports": "7000",
     "action": "bypass"},
    {"name": "on-link", "from": "lan", "to": "any", "destination": "203.0.113.0/24", "action": "bypass",
     "both_ways": True},
    *Bench.POLICIES]


def start(bench, more=(), **options):
    """The bench with this file's tunnels, rules and routes."""
    routes = [("0.0.0.0/0", "203.0.113.1", "wan"), ("2001:db8:c::/64", "2001:db8:f::1", "wan"),
              ("fd00:2::/64", "2001:db8:f::1", "wan")]
    bench.start([*tunnels(), *more], POLICIES, routes=routes, **options)
    bench.lab.ip("gw", "route", "add", "unreachable", "192.0.2.128/25")
    wait_until(lambda: bench.has_route("192.0.2.128/25"), "the route is followed")
    return bench


def ipv4(raw, **changes):
    """An IPv4 packet with header fields overwritten and the checksum right for what stands there then."""
    data = bytearray(bytes(raw))
    for name, value in changes.items():
        at, form = {"version_ihl": (0, "B"), "total_length": (2, "!H"), "protocol": (9, "B")}[name]
        struct.pack_into(form, data, at, value)
    length = max(4 * (data[0] & 15), 20)
    data[10:12] = b"\0\0"
    words = sum(struct.unpack(f"!{length // 2}H", data[:length].ljust(length, b"\0")))
    while words >> 16:
        words = (words & 0xffff) + (words >> 16)
    struct.pack_into("!H", data, 10, ~words & 0xffff)
    return bytes(data)


def clear(payload=b"", **fields):
    """From the LAN to where the policy lets it go in clear."""
    return udp_packet(HOST, Bench.CLEAR4, payload or token(), **fields)


def to_box(payload):
    return IP(src=PEER, dst=BOX) / payload


def esp(b, child="gcm", **changes):
    """A good packet of the child, sealed by hand, as bytes that a case may spoil."""
    peer = b.peers["good", child]
    return peer, bytearray(bytes(peer.seal_by_hand(inner_packet(peer, token(), inbound=True), **changes)))


def again(raw):
    """IPv4 bytes (without options) with length and header checksum made right for what is there."""
    header = IP(bytes(raw[:20]))
    del header.chksum, header.len
    return header / Raw(bytes(raw[20:]))


def raw_esp(b, spi, sequence=1, rest=bytes(60)):
    """What a peer would never send: any SPI, any sequence number, any bytes behind them."""
    return b.peers["good", "gcm"].outer(struct.pack("!II", spi, sequence) + rest)


def nested(b, depth):
    """ESP inside ESP inside ESP, each layer's SA the gateway's own."""
    peers = [b.peers[f"nested{n}", "c"] for n in range(depth)]
    packet = udp_packet([*NESTED, "203.0.113.29"][depth], BOX, token(), dport=7000)
    for peer in reversed(peers):
        packet = peer.seal(packet)
    return packet
