#!/usr/bin/env python3
"""Writes the seeds of the packet and ESP fuzz targets into corpus/: run it after a change and commit what it wrote."""

import struct
from pathlib import Path

from scapy.contrib.mpls import MPLS
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NS, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.layers.ipsec import AH, ESP, SecurityAssociation
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Raw

CORPUS = Path(__file__).resolve().parent / "corpus"
INSIDE_MAC, OUTSIDE_MAC, HOST_MAC, PEER_MAC = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:01:01:01:01:01",
                                               "02:02:02:02:02:02")
INSIDE, OUTSIDE = 0, 1


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def ip_packets():
    """Names and IP packets, from inside to the other site, to elsewhere, and from outside to the gateway."""
    out4, out6 = IP(src="10.1.0.2", dst="10.2.0.3"), IPv6(src="fd01::2", dst="fd02::3")
    syn = TCP(sport=1000, dport=80, flags="S", options=[("NOP", None), ("MSS", 9000), ("WScale", 7), ("EOL", None)])
    yield "udp4", out4 / UDP(sport=5000, dport=6000) / Raw(b"payload")
    yield "syn4", out4 / syn
    yield "syn6", out6 / syn
    yield "options4", IP(src="10.1.0.2", dst="10.5.0.3", options=b"\x01" * 8) / UDP(sport=1, dport=2) / Raw(b"x" * 32)
    yield "ping4", out4 / ICMP() / Raw(b"abcdefgh")
    yield "ping6", out6 / ICMPv6EchoRequest(data=b"abcdefgh")
    yield "last_hop4", IP(src="10.1.0.2", dst="10.2.0.3", ttl=1) / UDP(sport=1, dport=2)
    yield "last_hop6", IPv6(src="fd01::2", dst="fd02::3", hlim=1) / UDP(sport=1, dport=2)
    yield "error6", out6 / ICMPv6PacketTooBig(mtu=1280) / Raw(b"q" * 48)
    yield "sctp4", IP(src="10.1.0.2", dst="10.5.0.3") / SCTP(sport=1, dport=2)
    yield "first_fragment4", IP(src="10.1.0.2", dst="10.5.0.3", flags="MF") / UDP(sport=1, dport=2, len=100) / Raw(b"x" * 40)
    yield "later_fragment4", IP(src="10.1.0.2", dst="10.5.0.3", frag=6, proto=17) / Raw(b"x" * 40)
    yield "extensions6", out6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrRouting(type=4, segleft=0) / UDP(sport=1, dport=2)
    yield "fragment6", out6 / IPv6ExtHdrFragment(offset=0, m=1, id=7) / UDP(sport=1, dport=2, len=100) / Raw(b"x" * 40)
    yield "ah6", out6 / AH(nh=17, payloadlen=4, spi=1, seq=1, icv=b"i" * 12) / UDP(sport=1, dport=2)
    yield "large_df4", IP(src="10.1.0.2", dst="10.2.0.3", flags="DF") / UDP(sport=1, dport=2) / Raw(b"x" * 1440)
    yield "large4", IP(src="10.1.0.2", dst="10.2.0.3") / UDP(sport=1, dport=2) / Raw(b"x" * 1440)
    yield "large6", out6 / UDP(sport=1, dport=2) / Raw(b"x" * 1440)


def packets_from_outside():
    to_us = IP(src="192.0.2.2", dst="192.0.2.1")
    inner = IP(src="10.2.0.3", dst="10.1.0.2") / UDP(sport=1, dport=2) / Raw(b"inside")
    sealed = raw_esp(0x2000, "AES-GCM", key(32, 4), inner)
    yield "esp_other_key", to_us / ESP(spi=0x2000, seq=1) / Raw(b"e" * 60)
    yield "esp", to_us / sealed
    yield "esp_unknown", to_us / ESP(spi=0x9999, seq=1) / Raw(b"e" * 60)
    yield "esp_in_udp", to_us / UDP(sport=4500, dport=4500) / ESP(spi=0x3000, seq=1) / Raw(b"e" * 76)
    yield "keepalive", to_us / UDP(sport=4500, dport=4500) / Raw(b"\xff")
    yield "ike", to_us / UDP(sport=4500, dport=4500) / Raw(bytes(4) + b"i" * 28)
    yield "cleartext", inner
    yield "solicitation", IPv6(src="2001:db8::2", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="2001:db8::1")


def key(cipher, salt=0):
    """What sa_between() of the unit tests uses: 1, 2, 3, ..."""
    return bytes((1 + i) & 0xff for i in range(cipher + salt))


def raw_esp(spi, algorithm, secret, inner):
    association = SecurityAssociation(ESP, spi=spi, crypt_algo=algorithm, crypt_key=secret,
                                      tunnel_header=IP(src="192.0.2.2", dst="192.0.2.1"))
    return association.encrypt(inner, seq_num=1, iv=bytes(8))[ESP]


def framed(port, frame):
    data = bytes(frame)
    return struct.pack("!BH", port, len(data)) + data


def ethernet(port, packet):
    mine, theirs = (INSIDE_MAC, HOST_MAC) if port == INSIDE else (OUTSIDE_MAC, PEER_MAC)
    return Ether(dst=mine, src=theirs) / packet


def frames():
    for name, packet in ip_packets():
        yield name, framed(INSIDE, ethernet(INSIDE, packet))
    for name, packet in packets_from_outside():
        yield name, framed(OUTSIDE, ethernet(OUTSIDE, packet))
    yield "vlan", framed(OUTSIDE, ethernet(OUTSIDE, Dot1Q(vlan=5) / IP(src="192.0.2.2", dst="192.0.2.1") / ICMP()))
    yield "arp", framed(OUTSIDE, Ether(dst="ff:ff:ff:ff:ff:ff", src=PEER_MAC) / ARP(psrc="192.0.2.2", pdst="192.0.2.1"))
    yield "mpls", framed(INSIDE, ethernet(INSIDE, MPLS(label=5) / IP(src="10.1.0.2", dst="10.2.0.3")))
    esp = bytes(ESP(spi=0x2000, seq=1) / Raw(b"e" * 200))
    parts4 = [IP(src="192.0.2.2", dst="192.0.2.1", proto=50, id=9, flags="MF" if at + 72 < len(esp) else 0, frag=at // 8) /
              Raw(esp[at:at + 72]) for at in range(0, len(esp), 72)]
    yield "esp_fragments4", b"".join(framed(OUTSIDE, ethernet(OUTSIDE, part)) for part in parts4)
    parts6 = [IPv6(src="2001:db8::2", dst="2001:db8::1") /
              IPv6ExtHdrFragment(nh=50, id=9, m=int(at + 72 < len(esp)), offset=at // 8) / Raw(esp[at:at + 72])
              for at in range(0, len(esp), 72)]
    yield "esp_fragments6", b"".join(framed(OUTSIDE, ethernet(OUTSIDE, part)) for part in parts6)


def padded(content, next_header, block):
    pad = -(len(content) + 2) % block
    return content + bytes(range(1, pad + 1)) + bytes([pad, next_header])


def esp_inputs():
    """The first byte picks the SA: 0 and 1 GCM, 2 and 3 CBC, odd ones with ESN in UDP; 4 more is raw."""
    inner4 = bytes(IP(src="10.2.0.3", dst="10.1.0.2", tos=1) / UDP(sport=1, dport=2) / Raw(b"inside"))
    inner6 = bytes(IPv6(src="fd02::3", dst="fd01::2") / TCP(flags="SA", options=[("MSS", 9000)]))
    nested = bytes(IP(src="192.0.2.2", dst="192.0.2.1") / ESP(spi=0x5000, seq=1) / Raw(b"e" * 60))
    for flavour in range(4):
        block = 4 if flavour < 2 else 16
        mode = bytes([flavour | 0xc0])
        yield f"udp4_{flavour}", mode + padded(inner4, 4, block)
        yield f"tcp6_{flavour}", mode + padded(inner6, 41, block)
        yield f"nested_{flavour}", mode + padded(nested, 4, block)
        yield f"dummy_{flavour}", mode + padded(b"", 59, block)
        yield f"long_pad_{flavour}", mode + (b"\x00" * (16 * block))[:-2] + b"\xff\x04"
        yield f"raw_{flavour}", bytes([flavour | 4]) + struct.pack("!I", 1) + b"r" * 96


def fragment_sequences():
    """Eight bytes each: flags (IPv6, more, the allowed port), id, offset in units, length in bytes, protocol, filling."""
    def one(v6, offset, length, more, id=1, good=True):
        return struct.pack("!BBHHBB", v6 | more << 1 | good << 2, id, offset, length, 1, 7)
    for v6 in (0, 1):
        first, middle, last = one(v6, 0, 400, 1), one(v6, 50, 400, 1), one(v6, 100, 13, 0)
        yield f"in_order_{v6}", first + middle + last
        yield f"backwards_{v6}", last + middle + first
        yield f"refused_{v6}", one(v6, 0, 400, 1, good=False) + middle + last
        yield f"overlapping_{v6}", first + one(v6, 49, 400, 1) + last
        yield f"twice_{v6}", first + first + middle + middle + last
        yield f"tiny_{v6}", one(v6, 0, 4, 1) + middle
        yield f"beyond_{v6}", first + one(v6, 8191, 100, 0)
        yield f"many_{v6}", b"".join(one(v6, 50 + 2 * i, 16, 1) for i in range(20))
        yield f"two_{v6}", first + one(v6, 50, 400, 1, id=2) + middle + one(v6, 0, 400, 1, id=2) + last


def reassembly_inputs():
    """Steps of (datagram, offset / 8, 0, length / 8, flags: more parts, identification in bits 1 and 2, time in bit 7)."""
    for which, size, length in ((0, 30, 84), (1, 30, 85), (2, 30, 84), (3, 125, 501)):
        parts = [bytes([which, at, 0, size, int(at + size < length)]) for at in range(0, length, size) if at < 256]
        yield f"whole_{which}", b"".join(parts)
        yield f"backwards_{which}", b"".join(reversed(parts))
        yield f"twice_{which}", b"".join(parts + parts)
        yield f"late_{which}", b"".join(parts[:-1] + [bytes([which, 0, 0, size, 0x83])] + parts[-1:])
        yield f"overlap_{which}", b"".join(parts[:1] + [bytes([which, size - 1, 0, size, 1])] + parts[1:])


def main():
    for name, content in fragment_sequences():
        write("fuzz_follow_fragments", name, content)
    for name, packet in [*ip_packets(), *packets_from_outside()]:
        write("fuzz_parse_ip", name, b"\x00" + bytes(packet))
        write("fuzz_quoted", name, bytes(packet)[:64])
    for name, content in frames():
        write("fuzz_frame", name, content)
        write("fuzz_watch", name, bytes([sum(name.encode()) & 15]) + content)
    for name, content in esp_inputs():
        write("fuzz_esp_decapsulate", name, content)
    for name, content in reassembly_inputs():
        write("fuzz_reassemble", name, content)


if __name__ == "__main__":
    main()
