"""What stands inside IKE messages, as (type, body) pairs, and key exchange methods (RFC 7296 3, RFC 9370 2)."""

import dataclasses
import ipaddress
import os
import re
import struct
import sys

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from .ike_octets import NOTIFY

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../vectors"))

import mlkem_judge  # noqa: E402

IDI, IDR, AUTHENTICATION, DELETE, TSI, TSR = 35, 36, 39, 42, 44, 45
IKE_PROTOCOL, ESP_PROTOCOL = 1, 3

ENCRYPTION = {"aes128gcm16": (20, 128), "aes256gcm16": (20, 256)}
PRF = {"prfsha256": 5, "prfsha384": 6, "prfsha512": 7}
METHODS = {"ecp256": 19, "ecp384": 20, "ecp521": 21, "x25519": 31, "mlkem512": 35, "mlkem768": 36, "mlkem1024": 37}
ENCR, PRF_TYPE, KE_TYPE, ESN, ADDITIONAL = 1, 2, 4, 5, range(6, 13)  # types of transforms


# ---- key exchange ----

CURVES = {19: ec.SECP256R1, 20: ec.SECP384R1, 21: ec.SECP521R1}
MLKEM = {35: 512, 36: 768, 37: 1024}


def _point(key):
    encoded = key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return encoded[1:]  # RFC 5903 7: x and y alone


class KeyExchange:
    """One end of a method: what it says first is `public`; finish() takes the answer to it."""

    def __init__(self, method):
        self.method = method
        if method in MLKEM:
            self.public, self._private = mlkem_judge.generate(MLKEM[method])
        elif method in CURVES:
            self._private = ec.generate_private_key(CURVES[method]())
            self.public = _point(self._private.public_key())
        else:
            self._private = x25519.X25519PrivateKey.generate()
            self.public = self._private.public_key().public_bytes_raw()

    def finish(self, theirs):
        if self.method in MLKEM:
            return mlkem_judge.decapsulate(MLKEM[self.method], self._private, theirs)
        if self.method in CURVES:
            other = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[self.method](), b"\4" + theirs)
            return self._private.exchange(ec.ECDH(), other)
        return self._private.exchange(x25519.X25519PublicKey.from_public_bytes(theirs))


def answer_key_exchange(method, theirs):
    """(what is said back, the shared secret)"""
    if method in MLKEM:
        return tuple(reversed(mlkem_judge.encapsulate(MLKEM[method], theirs)))
    own = KeyExchange(method)
    return own.public, own.finish(theirs)


# ---- proposals ----

def transforms(word):
    """[(type, number, bits)] of aes256gcm16-prfsha384-x25519-ke1_mlkem768, or of an ESP proposal."""
    out = []
    for part in word.split("-"):
        if part in ENCRYPTION:
            out.append((ENCR, *ENCRYPTION[part]))
        elif part in PRF:
            out.append((PRF_TYPE, PRF[part], 0))
        elif part in ("esn", "noesn"):
            out.append((ESN, int(part == "esn"), 0))
        elif found := re.fullmatch(r"ke([1-7])_(\w+)", part):
            out.append((5 + int(found[1]), METHODS[found[2]], 0))
        else:
            out.append((KE_TYPE, METHODS[part], 0))
    return out


def without_key_exchange(all_of_them):
    """As they are with IKE_AUTH (RFC 7296 1.2)."""
    return [one for one in all_of_them if one[0] != KE_TYPE and one[0] not in ADDITIONAL]


def method_of(chosen):
    return next((number for kind, number, _ in chosen if kind == KE_TYPE), None)


def additional_of(chosen):
    return [number for kind, number, _ in sorted(chosen) if kind in ADDITIONAL]


@dataclasses.dataclass
class Proposal:
    number: int
    protocol: int
    spi: bytes
    transforms: list

    def body(self):
        """Of an SA payload with this one alone."""
        parts = b""
        for n, (kind, number, bits) in enumerate(self.transforms):
            attribute = struct.pack("!HH", 0x8000 | 14, bits) if bits else b""
            parts += struct.pack("!BBHBBH", 3 if n + 1 < len(self.transforms) else 0, 0, 8 + len(attribute), kind, 0,
                                 number) + attribute
        return struct.pack("!BBHBBBB", 0, 0, 8 + len(self.spi) + len(parts), self.number, self.protocol, len(self.spi),
                           len(self.transforms)) + self.spi + parts


def read_proposals(body):
    out, at = [], 0
    while at < len(body):
        _, _, length, number, protocol, spi_size, count = struct.unpack_from("!BBHBBBB", body, at)
        inside, found = at + 8 + spi_size, []
        for _ in range(count):
            _, _, size, kind, _, transform = struct.unpack_from("!BBHBBH", body, inside)
            bits = struct.unpack_from("!H", body, inside + 10)[0] if size > 8 else 0
            found.append((kind, transform, bits))
            inside += size
        out.append(Proposal(number, protocol, body[at + 8:at + 8 + spi_size], found))
        at += length
    return out


def choose(body, wanted):
    """The proposal of an SA payload that has just these types of transforms, reduced to `wanted`; None if there is none."""
    for one in read_proposals(body):
        if set(wanted) <= set(one.transforms) and {kind for kind, _, _ in one.transforms} == {kind for kind, _, _ in wanted}:
            return dataclasses.replace(one, transforms=list(wanted))
    return None


# ---- others ----

def notify(kind, data=b"", protocol=0, spi=b""):
    return NOTIFY, struct.pack("!BBH", protocol, len(spi), kind) + spi + data


def notifies(payloads):
    """{type: data}"""
    bodies = [body for kind, body in payloads if kind == NOTIFY]
    return {struct.unpack_from("!H", body, 2)[0]: body[4 + body[1]:] for body in bodies}


def first(payloads, wanted):
    return next((body for kind, body in payloads if kind == wanted), None)


def selectors(kind, prefix):
    network = ipaddress.IPv4Network(prefix)
    return kind, struct.pack("!BxxxBBHHH4s4s", 1, 7, 0, 16, 0, 65535, network[0].packed, network[-1].packed)


def identity(name):
    return struct.pack("!Bxxx", 2) + name.encode()  # ID_FQDN


def delete(protocol, *spis):
    return DELETE, struct.pack("!BBH", protocol, 4 if spis else 0, len(spis)) + b"".join(s.to_bytes(4) for s in spis)


def deleted(body):
    """(protocol, [SPI])"""
    protocol, size, count = struct.unpack_from("!BBH", body)
    return protocol, [int.from_bytes(body[4 + size * n:4 + size * n + size]) for n in range(count)]


def chain(payloads):
    """(type of the first, octets)"""
    out = b""
    for n, (_, body) in enumerate(payloads):
        out += struct.pack("!BBH", payloads[n + 1][0] if n + 1 < len(payloads) else 0, 0, 4 + len(body)) + body
    return payloads[0][0] if payloads else 0, out


def unchain(kind, octets):
    out, at = [], 0
    while kind:
        following, _, length = struct.unpack_from("!BBH", octets, at)
        out.append((kind, octets[at + 4:at + length]))
        kind, at = following, at + length
    assert at == len(octets)
    return out
