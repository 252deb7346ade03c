"""The far end of an SA, by scapy, and a codec of our own for packets that scapy would not build."""

import struct

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from scapy.config import conf

conf.verb = 0

from scapy.layers.inet import IP, UDP  # noqa: E402  (scapy reads its configuration at import)
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from .config import SUITES  # noqa: E402


def outer_ip(source, destination):
    return IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)


def split_key(suite, key):
    """(cipher key, salt, authentication key) of the one key that an operator gives."""
    end = suite.cipher_key + suite.salt
    return key[:suite.cipher_key], key[suite.cipher_key:end], key[end:]


def scapy_sa(suite_name, esn, spi, key, source, destination, udp=None):
    """scapy's SecurityAssociation for one direction, in tunnel mode."""
    suite = SUITES[suite_name]
    cipher_key, _, auth_key = split_key(suite, key)
    options = {"crypt_algo": "AES-GCM", "crypt_key": key} if suite.aead else {
        "crypt_algo": "AES-CBC", "crypt_key": cipher_key, "auth_key": auth_key,
        "auth_algo": "HMAC-SHA1-96" if suite.auth_key == 20 else "SHA2-256-128"}
    if udp:
        options["nat_t_header"] = UDP(sport=udp[0], dport=udp[1])
    return SecurityAssociation(ESP, spi=spi, tunnel_header=outer_ip(source, destination), esn_en=esn, esn=0, **options)


def trailer(payload, next_header, block):
    """RFC 4303 2.4: pad bytes 1, 2, 3, ..., then their number and the next header."""
    length = -(len(payload) + 2) % block
    return bytes(range(1, length + 1)) + bytes([length, next_header])


def seal(suite_name, esn, key, spi, sequence, plaintext):
    """One ESP packet around any plaintext (which holds its own trailer), with a right ICV. Independent of scapy."""
    suite = SUITES[suite_name]
    cipher_key, salt, auth_key = split_key(suite, key)
    low, high = sequence & 0xffffffff, sequence >> 32
    head = struct.pack("!II", spi, low)
    if suite.aead:
        iv = struct.pack("!Q", sequence ^ 0x5a5a000000000000)
        aad = struct.pack("!III", spi, high, low) if esn else head
        return head + iv + AESGCM(cipher_key).encrypt(salt + iv, plaintext, aad)
    iv = bytes(16 * [sequence & 0xff])
    encryptor = Cipher(algorithms.AES(cipher_key), modes.CBC(iv)).encryptor()
    body = head + iv + encryptor.update(plaintext) + encryptor.finalize()
    return body + icv(suite, auth_key, body + (struct.pack("!I", high) if esn else b""))


def icv(suite, auth_key, data):
    mac = hmac.HMAC(auth_key, hashes.SHA1() if suite.auth_key == 20 else hashes.SHA256())
    mac.update(data)
    return mac.finalize()[:suite.icv]


class Peer:
    """The other end of one child of a gateway: seals towards the gateway, opens what the gateway sent."""

    def __init__(self, tunnel, child, wan_address=None):
        self.tunnel, self.child = tunnel, child
        self.local, self.peer = tunnel.local, wan_address or tunnel.peer
        self.sequence = 0
        ports = tunnel.udp if isinstance(tunnel.udp, tuple) else (4500, 4500) if tunnel.udp else None
        self.udp = ports  # as the gateway sees them: (local, peer)
        self.towards_gateway = scapy_sa(child.suite, child.esn, child.in_spi, child.in_key, self.peer, self.local,
                                        (ports[1], ports[0]) if ports else None)
        self.from_gateway = scapy_sa(child.suite, child.esn, child.out_spi, child.out_key, self.local, self.peer, ports)

    def next(self):
        self.sequence += 1
        return self.sequence

    def seal(self, inner, sequence=None):
        """The outer IP packet around `inner`, by scapy."""
        sequence = sequence or self.next()
        return self.towards_gateway.encrypt(inner, seq_num=sequence & 0xffffffff, esn=sequence >> 32)

    def open(self, outer):
        """The inner IP packet of what the gateway sent; raises where the ICV is wrong."""
        return self.from_gateway.decrypt(outer.copy(), verify=True)

    def outer(self, esp_bytes, source=None, udp=None):
        """An outer packet with any bytes where the ESP packet would be."""
        ports = udp if udp is not None else ((self.udp[1], self.udp[0]) if self.udp else None)
        head = outer_ip(source or self.peer, self.local)
        if ports:
            return head / UDP(sport=ports[0], dport=ports[1], chksum=0) / Raw(esp_bytes)
        setattr(head, "nh" if ":" in self.local else "proto", 50)
        return head / Raw(esp_bytes)

    def sealed_bytes(self, plaintext, sequence=None, spi=None):
        """ESP by our own codec: `plaintext` with whatever trailer it has."""
        return seal(self.child.suite, self.child.esn, self.child.in_key, spi or self.child.in_spi,
                    sequence or self.next(), plaintext)

    def seal_by_hand(self, inner, next_header=None, sequence=None):
        raw = bytes(inner)
        version = raw[0] >> 4 if raw else 4
        nh = next_header if next_header is not None else (4 if version == 4 else 41)
        block = max(SUITES[self.child.suite].block, 4)
        return self.outer(self.sealed_bytes(raw + trailer(raw, nh, block), sequence))
