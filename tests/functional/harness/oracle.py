"""ESP by the RFCs' own words, on python3-cryptography and hmac alone: an oracle for every suite, fast enough for all.

Works on bytes. What scapy knows too is compared with scapy's (test_esp_matrix.py).
"""

import dataclasses
import hashlib
import hmac
import ipaddress
import re
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    TripleDES = algorithms.TripleDES

_NAME = re.compile(r"(?:aes(?P<bits>128|192|256)(?P<mode>gcm16|gmac|cbc|ctr)|(?P<other>chacha20poly1305|null|3descbc))"
                   r"(?:-(?P<hash>sha1|sha256|sha384|sha512))?$")
_SIZES = {  # mode: (salt, IV, alignment), RFCs 4106, 4543, 3602, 3686, 7634, 2410, 2451
    "gcm16": (4, 8, 4), "gmac": (4, 8, 4), "cbc": (0, 16, 16), "ctr": (4, 8, 4), "chacha20poly1305": (4, 8, 4),
    "null": (0, 0, 4), "3descbc": (0, 8, 8)}
_ICV = {"sha1": 12, "sha256": 16, "sha384": 24, "sha512": 32}  # RFC 2404; RFC 4868 2.6: half the hash
COMBINED = ("gcm16", "gmac", "chacha20poly1305")
READABLE = ("gmac", "null")  # the payload stands in clear on the wire, by design


@dataclasses.dataclass(frozen=True)
class Algorithm:
    name: str
    mode: str
    cipher_key: int
    salt: int
    hash: str  # None for combined modes
    iv: int
    icv: int
    align: int

    @property
    def auth_key(self):
        return hashlib.new(self.hash).digest_size if self.hash else 0

    @property
    def key_material(self):
        return self.cipher_key + self.salt + self.auth_key

    @property
    def readable(self):
        return self.mode in READABLE


def algorithm(name):
    """By the suite's name alone. Raises LookupError for one that has no oracle."""
    found = _NAME.match(name)
    mode = found and (found["mode"] or found["other"])
    if not found or (mode in COMBINED) == bool(found["hash"]):
        raise LookupError(f"no oracle for the suite {name}: add it to tests/functional/harness/oracle.py")
    salt, iv, align = _SIZES[mode]
    key = {"null": 0, "3descbc": 24, "chacha20poly1305": 32}.get(mode) if found["bits"] is None else int(found["bits"]) // 8
    return Algorithm(name, mode, key, salt, found["hash"], iv, _ICV[found["hash"]] if found["hash"] else 16, align)


class WrongEsp(AssertionError):
    """What the gateway sent is not the ESP that it should be."""


def check(held, what):
    if not held:
        raise WrongEsp(what)


class Codec:
    """One SA: ESP bytes from SPI to ICV."""

    def __init__(self, suite, esn, spi, key):
        self.algorithm, self.esn, self.spi = algorithm(suite), esn, spi
        a = self.algorithm
        assert len(key) == a.key_material
        self.key, self.salt, self.auth = (key[:a.cipher_key], key[a.cipher_key:a.cipher_key + a.salt],
                                          key[a.cipher_key + a.salt:])
        self.aead = {"gcm16": AESGCM, "gmac": AESGCM, "chacha20poly1305": ChaCha20Poly1305}.get(a.mode)
        self.aead = self.aead and self.aead(self.key)

    def _cipher(self, iv):
        mode = self.algorithm.mode
        if mode == "ctr":  # RFC 3686 4: nonce, IV, and a counter that begins with 1
            return Cipher(algorithms.AES(self.key), modes.CTR(self.salt + iv + b"\0\0\0\1"))
        return Cipher((algorithms.AES if mode == "cbc" else TripleDES)(self.key), modes.CBC(iv))

    def _aad(self, sequence):
        # RFC 4106 5, RFC 7634 2.1: the extended number stands as a whole between SPI and ciphertext
        low = sequence & 0xffffffff
        return struct.pack("!III", self.spi, sequence >> 32, low) if self.esn else struct.pack("!II", self.spi, low)

    def icv_over(self, body, sequence):
        """RFC 4303 2.2.1: with separate authentication the high half stands behind what is sent."""
        high = struct.pack("!I", sequence >> 32) if self.esn else b""
        return hmac.new(self.auth, body + high, self.algorithm.hash).digest()[:self.algorithm.icv]

    def seal(self, plaintext, sequence, spi=None):
        """`plaintext` has its trailer already."""
        a = self.algorithm
        head = struct.pack("!II", spi or self.spi, sequence & 0xffffffff)
        iv = hashlib.shake_128(b"iv %d %d" % (self.spi, sequence)).digest(a.iv)
        if a.mode == "gmac":  # RFC 4543 3.3: everything is additional data, the ciphertext empty
            return head + iv + plaintext + self.aead.encrypt(self.salt + iv, b"", self._aad(sequence) + iv + plaintext)
        if self.aead:
            return head + iv + self.aead.encrypt(self.salt + iv, plaintext, self._aad(sequence))
        body = head + iv
        if a.mode == "null":
            body += plaintext
        else:
            encryptor = self._cipher(iv).encryptor()
            body += encryptor.update(plaintext) + encryptor.finalize()
        return body + self.icv_over(body, sequence)

    def open(self, esp, high=0):
        """(sequence number, IV, plaintext with its trailer)."""
        a = self.algorithm
        check(len(esp) >= 8 + a.iv + a.icv + 4, f"{len(esp)} bytes are no ESP packet")
        spi, low = struct.unpack_from("!II", esp)
        check(spi == self.spi, f"SPI {spi:#x} instead of {self.spi:#x}")
        sequence = high << 32 | low
        iv, text = esp[8:8 + a.iv], esp[8 + a.iv:]
        if a.mode == "gmac":
            clear = text[:-16]
            self.aead.decrypt(self.salt + iv, text[-16:], self._aad(sequence) + iv + clear)
            return sequence, iv, clear
        if self.aead:
            return sequence, iv, self.aead.decrypt(self.salt + iv, text, self._aad(sequence))
        check(self.icv_over(esp[:-a.icv], sequence) == esp[-a.icv:], "the ICV is wrong")
        text = text[:-a.icv]
        if a.mode == "null":
            return sequence, iv, text
        decryptor = self._cipher(iv).decryptor()
        return sequence, iv, decryptor.update(text) + decryptor.finalize()


def trailer(length, next_header, align):
    """RFC 4303 2.4, for a payload of this length."""
    pad = -(length + 2) % align
    return bytes(range(1, pad + 1)) + bytes([pad, next_header])


def without_trailer(plaintext, align):
    """(payload, next header); the padding must be as 2.4 says, and no longer than needed."""
    check(len(plaintext) % align == 0, f"{len(plaintext)} bytes of payload and trailer")
    pad, next_header = plaintext[-2:]
    check(pad < align and plaintext[-2 - pad:-2] == bytes(range(1, pad + 1)), f"padding {plaintext[-2 - pad:].hex()}")
    return plaintext[:-2 - pad], next_header


# ---- packets as bytes ----

def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def packed(address):
    return ipaddress.ip_address(address).packed


def ip_packet(source, destination, protocol, payload, hops=64, traffic_class=0, identification=0, fragment=0):
    """Addresses are bytes: 4 or 16 of them."""
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28 | traffic_class << 20, len(payload), protocol, hops) + source + destination + payload
    head = struct.pack("!BBHHHBBH", 0x45, traffic_class, 20 + len(payload), identification, fragment, hops, protocol, 0)
    head += source + destination
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def udp_segment(source, destination, sport, dport, payload, with_checksum=True):
    head = struct.pack("!HHHH", sport, dport, 8 + len(payload), 0)
    if not with_checksum:
        return head + payload
    pseudo = source + destination + struct.pack("!IHBB", 8 + len(payload), 0, 0, 17)
    return head[:6] + struct.pack("!H", checksum(pseudo + head + payload) or 0xffff) + payload


def udp_packet(source, destination, sport, dport, payload, **fields):
    return ip_packet(source, destination, 17, udp_segment(source, destination, sport, dport, payload), **fields)


def forwarded(packet):
    """The bytes as a router sends them on: one hop less."""
    if packet[0] >> 4 == 6:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    head = packet[:8] + bytes([packet[8] - 1]) + packet[9:10] + b"\0\0" + packet[12:20]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + packet[20:]


def cut(packet):
    """Without what a link put behind the IP packet."""
    length = 40 + int.from_bytes(packet[4:6], "big") if packet[0] >> 4 == 6 else int.from_bytes(packet[2:4], "big")
    check(len(packet) >= length and not packet[length:].strip(b"\0"), "something stands behind the packet")
    return packet[:length]


class Peer:
    """The other end of one child of a gateway, in tunnel mode, on bytes."""

    def __init__(self, tunnel, child):
        self.tunnel, self.child, self.sequence = tunnel, child, 0
        self.box, self.address = packed(tunnel.local), packed(tunnel.peer)
        self.ports = tunnel.udp if isinstance(tunnel.udp, tuple) else (4500, 4500) if tunnel.udp else None
        self.towards_gateway = Codec(child.suite, child.esn, child.in_spi, child.in_key)
        self.from_gateway = Codec(child.suite, child.esn, child.out_spi, child.out_key)

    def wrap(self, esp):
        """The outer packet around the bytes of an ESP packet."""
        if self.ports is None:
            return ip_packet(self.address, self.box, 50, esp)
        local, remote = self.ports
        return ip_packet(self.address, self.box, 17,
                         udp_segment(self.address, self.box, remote, local, esp, len(self.box) == 16))

    def seal_plaintext(self, plaintext, sequence=None):
        """The outer packet around any plaintext, whatever trailer it has, under a right ICV."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        return self.wrap(self.towards_gateway.seal(plaintext, sequence))

    def seal(self, inner, sequence=None):
        next_header = 4 if inner[0] >> 4 == 4 else 41
        return self.seal_plaintext(inner + trailer(len(inner), next_header, self.towards_gateway.algorithm.align), sequence)

    def esp_of(self, outer):
        """The ESP packet inside what the gateway sent; everything around it must be right."""
        v6 = outer[0] >> 4 == 6
        check((outer[8:24], outer[24:40]) == (self.box, self.address) if v6 else
              (outer[12:16], outer[16:20]) == (self.box, self.address), "the outer addresses")
        if not v6:
            check(outer[0] == 0x45 and checksum(outer[:20]) == 0, "the outer header")
        protocol, at = (outer[6], 40) if v6 else (outer[9], 20)
        if self.ports is None:
            check(protocol == 50, f"protocol {protocol} instead of ESP")
            return outer[at:]
        check(protocol == 17, f"protocol {protocol} instead of UDP")
        sport, dport, length, summed = struct.unpack_from("!HHHH", outer, at)
        check((sport, dport, length) == (*self.ports, len(outer) - at), "the UDP header")
        if v6 and summed:
            pseudo = self.box + self.address + struct.pack("!IHBB", length, 0, 0, 17)
            check(checksum(pseudo + outer[at:]) == 0, "the UDP checksum")
        check(v6 or summed == 0, "RFC 3948 2.1: the UDP checksum over IPv4 is 0")
        return outer[at + 8:]

    def open(self, outer, high=0):
        """(sequence number, IV, inner packet)."""
        sequence, iv, plaintext = self.from_gateway.open(self.esp_of(outer), high)
        inner, next_header = without_trailer(plaintext, self.from_gateway.algorithm.align)
        check(next_header == (4 if inner[0] >> 4 == 4 else 41), f"next header {next_header}")
        return sequence, iv, inner
