"""The far end of an SA, by scapy, and a codec of our own for packets that scapy would not build."""

import struct

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from scapy.config import conf

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    TripleDES = algorithms.TripleDES

conf.verb = 0

from scapy.layers.inet import IP, UDP  # noqa: E402  (scapy reads its configuration at import)
from scapy.layers.inet6 import IPv6  # noqa: E402
from scapy.layers.ipsec import ESP, SecurityAssociation  # noqa: E402
from scapy.packet import Raw  # noqa: E402

from .config import SUITES  # noqa: E402


SCAPY_CIPHERS = {"gcm": "AES-GCM", "gmac": "AES-NULL-GMAC", "chacha20": "CHACHA20-POLY1305", "cbc": "AES-CBC",
                 "ctr": "AES-CTR", "null": "NULL", "3des": "3DES"}
SCAPY_AUTHS = {"sha1": "HMAC-SHA1-96", "sha256": "SHA2-256-128", "sha384": "SHA2-384-192", "sha512": "SHA2-512-256"}


def outer_ip(source, destination):
    return IPv6(src=source, dst=destination) if ":" in source else IP(src=source, dst=destination)


def split_key(suite, key):
    """(cipher key, salt, authentication key) of the one key that an operator gives."""
    end = suite.cipher_key + suite.salt
    return key[:suite.cipher_key], key[suite.cipher_key:end], key[end:]


def scapy_sa(suite_name, esn, spi, key, source, destination, udp=None, transport=False):
    """scapy's SecurityAssociation for one direction."""
    suite = SUITES[suite_name]
    cipher_key, salt, auth_key = split_key(suite, key)
    options = {"crypt_algo": SCAPY_CIPHERS[suite.cipher], "crypt_key": cipher_key + salt}
    if suite.auth:
        options |= {"auth_algo": SCAPY_AUTHS[suite.auth], "auth_key": auth_key}
    if udp:
        options["nat_t_header"] = UDP(sport=udp[0], dport=udp[1])
    header = None if transport else outer_ip(source, destination)
    return SecurityAssociation(ESP, spi=spi, tunnel_header=header, esn_en=esn, esn=0, **options)


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
    iv = struct.pack("!Q", sequence ^ 0x5a5a000000000000) if suite.salt else bytes(suite.iv * [sequence & 0xff])
    if suite.aead:
        aad = struct.pack("!III", spi, high, low) if esn else head
        if suite.cipher == "gmac":  # the IV is authenticated too
            return head + iv + plaintext + AESGCM(cipher_key).encrypt(salt + iv, b"", aad + iv + plaintext)
        combined = (AESGCM if suite.cipher == "gcm" else ChaCha20Poly1305)(cipher_key)
        return head + iv + combined.encrypt(salt + iv, plaintext, aad)
    if suite.cipher != "null":
        algorithm = (TripleDES if suite.cipher == "3des" else algorithms.AES)(cipher_key)
        mode = modes.CTR(salt + iv + struct.pack("!I", 1)) if suite.cipher == "ctr" else modes.CBC(iv)
        encryptor = Cipher(algorithm, mode).encryptor()
        plaintext = encryptor.update(plaintext) + encryptor.finalize()
    body = head + iv + plaintext
    return body + icv(suite, auth_key, body + (struct.pack("!I", high) if esn else b""))


def icv(suite, auth_key, data):
    mac = hmac.HMAC(auth_key, getattr(hashes, suite.auth.upper())())
    mac.update(data)
    return mac.finalize()[:suite.icv]


class Peer:
    """The other end of one child of a gateway: seals towards the gateway, opens what the gateway sent."""

    def __init__(self, tunnel, child, wan_address=None):
        self.tunnel, self.child = tunnel, child
        self.local, self.peer = tunnel.local, wan_address or tunnel.peer
        self.sequence = 0
        ports = tunnel.udp if isinstance(tunnel.udp, tuple) else (4500, 4500) if tunnel.udp else None
        transport = child.extra.get("mode") == "transport"
        self.udp = ports  # as the gateway sees them: (local, peer)
        self.towards_gateway = scapy_sa(child.suite, child.esn, child.in_spi, child.in_key, self.peer, self.local,
                                        (ports[1], ports[0]) if ports else None, transport)
        self.from_gateway = scapy_sa(child.suite, child.esn, child.out_spi, child.out_key, self.local, self.peer, ports,
                                     transport)

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
