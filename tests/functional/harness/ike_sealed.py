"""An IKE SA as one of its ends keeps it: its keys step by step, and messages sealed with them, in fragments too."""

import dataclasses
import itertools
import os
import struct

from . import ike_payloads, ike_octets
from .ike_octets import INITIATOR, RESPONSE, SK, SKF

import ike_judge as judge  # noqa: E402  (ike_payloads has put its folder on the path)

FRAGMENT = 1100  # octets inside one

_ivs = itertools.count(1)


def suite_of(transforms):
    by_type = {kind: (number, bits) for kind, number, bits in transforms}
    encryption, bits = by_type[ike_payloads.ENCR]
    return {"encryption": encryption, "key_bits": bits, "integrity": 0, "prf": by_type[ike_payloads.PRF_TYPE][0]}


@dataclasses.dataclass
class IkeSa:
    suite: dict
    chosen: list       # transforms
    spis: tuple        # of the initiator, of the responder
    nonces: tuple
    initiator: bool    # this end is
    steps: list = dataclasses.field(default_factory=list)  # keys after each key exchange, the last ones in use
    secrets: list = dataclasses.field(default_factory=list)  # [what was shared] at each of these steps
    first: tuple = ()  # the octets of IKE_SA_INIT
    int_auth: tuple = ()
    left: list = dataclasses.field(default_factory=list)  # methods that are still to come by IKE_INTERMEDIATE
    fragmentation: bool = False
    ppk_announced: bool = False
    next_request: int = 0
    expected: int = 0
    answers: dict = dataclasses.field(default_factory=dict)  # by message id
    parts: dict = dataclasses.field(default_factory=dict)    # fragments that have come
    up: bool = False
    gone: bool = False
    followup: object = None

    @property
    def keys(self):
        return self.steps[-1]

    def prf(self, key, data):
        return judge.prf(self.suite["prf"], key, data)

    def begin(self, shared):
        self._take(judge.first_keys(self.suite, self.nonces, self.spis, shared), shared)

    def go_on(self, shared):
        self._take(judge.next_keys(self.suite, self.nonces, self.spis, self.keys["d"], shared), shared)

    def begin_after(self, old, shared):
        keys = judge.rekeyed_keys(self.suite, old.suite["prf"], self.nonces, self.spis, old.keys["d"], shared)
        self._take(keys, b"".join(shared))
        self.up, self.fragmentation = True, old.fragmentation

    def mixed(self, ppk):
        """RFC 8784 3: SK_d, SK_pi and SK_pr with the PPK in them."""
        changed = {name: judge.prf_plus(self.suite["prf"], ppk, self.keys[name], len(self.keys[name]))
                   for name in ("d", "pi", "pr")}
        return {**self.keys, **changed}

    def _take(self, keys, shared):
        self.steps.append(keys)
        self.secrets.append(shared)

    def chain(self, request, response):
        """RFC 9242 3.3.2, with the keys that the exchange was sealed with."""
        before = self.int_auth or (b"", b"")
        self.int_auth = (self.prf(self.keys["pi"], before[0] + request), self.prf(self.keys["pr"], before[1] + response))

    # ---- messages ----

    def _header(self, kind, exchange, response, number, length):
        flags = (INITIATOR if self.initiator else 0) | (RESPONSE if response else 0)
        return ike_octets.header(*self.spis, kind, exchange, flags, number, length)

    def seal(self, exchange, number, response, payloads):
        """([datagrams], the message as RFC 9242 3.3.2 authenticates it)"""
        following, inner = ike_payloads.chain(payloads)
        pieces = [inner]
        if self.fragmentation and len(inner) > FRAGMENT:
            pieces = [inner[at:at + FRAGMENT] for at in range(0, len(inner), FRAGMENT)]
        out, key = [], self.keys["ei" if self.initiator else "er"]
        for n, piece in enumerate(pieces):
            counts = struct.pack("!HH", n + 1, len(pieces)) if len(pieces) > 1 else b""
            length = 32 + len(counts) + 8 + len(piece) + 1 + 16
            front = self._header(SKF if counts else SK, exchange, response, number, length)
            front += struct.pack("!BBH", following if n == 0 else 0, 0, length - 28) + counts
            iv = next(_ivs).to_bytes(8)
            out.append(front + judge.seal(self.suite, key, b"", front, piece + b"\0", iv))
        return out, self._plain(self._header(SK, exchange, response, number, 0), following, inner)

    @staticmethod
    def _plain(header, following, inner):
        return header[:24] + struct.pack("!IBBH", 32 + len(inner), following, 0, 4 + len(inner)) + inner

    def unseal(self, message):
        """What is inside this one message; None: it is not authentic."""
        assert message.first in (SK, SKF), message
        front = 36 if message.first == SKF else 32
        return judge.unseal(self.suite, self.keys["er" if self.initiator else "ei"], b"", message.octets, front)

    def open(self, message, inner):
        """(payloads, the message as RFC 9242 3.3.2 authenticates it); None: more fragments are to come"""
        following = message.octets[28]
        if message.first == SKF:
            number, total = struct.unpack_from("!HH", message.octets, 32)
            parts = self.parts.setdefault((message.number, message.response), {})
            parts[number] = (inner, following)
            if len(parts) < total:
                return None
            del self.parts[message.number, message.response]
            inner, following = b"".join(parts[n][0] for n in sorted(parts)), parts[1][1]
        header = ike_octets.header(message.spi_i, message.spi_r, SK, message.exchange, message.flags, message.number)
        return ike_payloads.unchain(following, inner), self._plain(header, following, inner)


def random_spi():
    return os.urandom(8)
