"""IKE messages put together and taken apart octet by octet (RFC 7296 3), with the place of every length in them."""

import dataclasses
import os
import struct

SA_INIT, AUTH, CREATE_CHILD, INFORMATIONAL, INTERMEDIATE, FOLLOWUP = 34, 35, 36, 37, 43, 44
SA, KE, NONCE, NOTIFY, SK, SKF = 33, 34, 40, 41, 46, 53
INITIATOR, VERSION, RESPONSE = 8, 16, 32
INVALID_MAJOR_VERSION, INVALID_SYNTAX, NO_PROPOSAL_CHOSEN, INVALID_KE = 5, 7, 14, 17
CRITICAL, AUTHENTICATION_FAILED, COOKIE = 1, 24, 16390
X25519 = 31
HEADER = struct.Struct("!8s8sBBBBII")


@dataclasses.dataclass
class Length:
    """Where a length or a count stands in a message, and what a right one is there."""
    what: str
    at: int
    octets: int
    value: int


class Writer:
    """Grows a message; a length is filled in when what it measures is complete."""

    def __init__(self):
        self.data, self.lengths = bytearray(), []

    def put(self, form, *values):
        self.data += struct.pack("!" + form, *values)

    def hold(self, what, octets=2):
        self.lengths.append(Length(what, len(self.data), octets, 0))
        self.data += bytes(octets)
        return self.lengths[-1]

    def fill(self, length, value):
        length.value = value
        self.data[length.at:length.at + length.octets] = value.to_bytes(length.octets, "big")


def header(spi_i, spi_r=bytes(8), first=0, exchange=SA_INIT, flags=INITIATOR, number=0, length=28, version=0x20):
    return HEADER.pack(spi_i, spi_r, first, version, exchange, flags, number, length)


def message(spi_i, spi_r, exchange, flags, number, payloads=b"", first=0, version=0x20):
    return header(spi_i, spi_r, first, exchange, flags, number, 28 + len(payloads), version) + payloads


def notify(kind, data=b"", following=0):
    return struct.pack("!BBHBBH", following, 0, 8 + len(data), 0, 0, kind) + data


TRANSFORMS = [(1, 20, 256), (2, 6, 0), (4, X25519, 0)]  # aes256gcm16, prfsha384, x25519


@dataclasses.dataclass
class Init:
    """A whole IKE_SA_INIT request; what is set otherwise makes it a bad one."""
    spi: bytes = dataclasses.field(default_factory=lambda: os.urandom(8))
    proposals: int = 1
    transforms: list = dataclasses.field(default_factory=lambda: list(TRANSFORMS))
    group: int = X25519
    key: bytes = dataclasses.field(default_factory=lambda: os.urandom(32))
    nonce: bytes = dataclasses.field(default_factory=lambda: os.urandom(32))
    cookie: bytes = b""
    nat: bool = True  # with NAT detection, which stands behind the nonce
    more: list = dataclasses.field(default_factory=list)  # (type, critical, body) behind the rest
    version: int = 0x20
    flags: int = INITIATOR
    reserved: int = 0  # in every reserved octet and bit of RFC 7296 3

    def payloads(self):
        nat = [(NOTIFY, 0, None, struct.pack("!BBH", 0, 0, kind) + os.urandom(20)) for kind in (16388, 16389) if self.nat]
        first = [(NOTIFY, 0, None, struct.pack("!BBH", 0, 0, COOKIE) + self.cookie)] if self.cookie else []
        return first + [(SA, 0, self._sa, b""), (KE, 0, None, struct.pack("!HH", self.group, self.reserved * 257) + self.key),
                        (NONCE, 0, None, self.nonce), *nat] + [(kind, critical, None, body) for kind, critical, body in self.more]

    def write(self):
        out, payloads = Writer(), self.payloads()
        bits = self.reserved & 0xc7
        out.data += header(self.spi, bytes(8), payloads[0][0], SA_INIT, self.flags | bits, 0, 0, self.version)
        del out.data[24:]
        whole = out.hold("the message", 4)
        for n, (kind, critical, fill, body) in enumerate(payloads):
            start = len(out.data)
            out.put("BB", payloads[n + 1][0] if n + 1 < len(payloads) else 0, critical | (self.reserved & 0x7f))
            length = out.hold(f"payload {n} ({kind})")
            if fill:
                fill(out)
            elif kind == NOTIFY:
                out.put("B", body[0])
                out.fill(out.hold(f"payload {n}'s SPI", 1), 0)
                out.data += body[2:]
            else:
                out.data += body
            out.fill(length, len(out.data) - start)
        out.fill(whole, len(out.data))
        return out

    def _sa(self, out):
        for n in range(self.proposals):
            start = len(out.data)
            out.put("BB", 2 if n + 1 < self.proposals else 0, self.reserved)
            length = out.hold(f"proposal {n}")
            out.put("BB", (n + 1) & 0xff, 1)
            out.fill(out.hold(f"proposal {n}'s SPI", 1), 0)
            out.fill(out.hold(f"proposal {n}'s count of transforms", 1), len(self.transforms) & 0xff)
            for t, (kind, number, bits) in enumerate(self.transforms):
                begin = len(out.data)
                out.put("BB", 3 if t + 1 < len(self.transforms) else 0, self.reserved)
                size = out.hold(f"proposal {n}'s transform {t}")
                out.put("BBH", kind, self.reserved, number)
                if bits:
                    out.put("HH", 0x8000 | 14, bits)
                out.fill(size, len(out.data) - begin)
            out.fill(length, len(out.data) - start)

    def octets(self):
        return bytes(self.write().data)


@dataclasses.dataclass
class Message:
    spi_i: bytes
    spi_r: bytes
    first: int
    version: int
    exchange: int
    flags: int
    number: int
    octets: bytes

    @property
    def response(self):
        return bool(self.flags & RESPONSE)

    def payloads(self):
        """[(type, body)] of a message in clear; SK is the last one."""
        kind, at, out = self.first, 28, []
        while kind:
            following, _, length = struct.unpack_from("!BBH", self.octets, at)
            out.append((kind, self.octets[at + 4:at + length]))
            if kind in (SK, SKF):
                break
            kind, at = following, at + length
        return out

    def notifies(self):
        """{type: data}"""
        return {struct.unpack_from("!H", body, 2)[0]: body[4 + body[1]:] for kind, body in self.payloads() if kind == NOTIFY}


def read(octets):
    return Message(*HEADER.unpack_from(octets)[:7], bytes(octets))
