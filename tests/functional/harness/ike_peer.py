"""An IKEv2 peer of our own making, for what no real peer here speaks: ML-KEM, the post-quantum pre-shared key, children
per resource. It shares no code with the gateway: its keys come from tests/vectors/ike_judge.py and mlkem_judge.py, its
ciphers from python3-cryptography. It
answers by itself; the test calls what an initiator does."""

import dataclasses
import os
import struct
import types

from . import ike_octets, ike_payloads
from .config import SUITES
from .esp import Peer
from .ike_end import IkeEnd
from .ike_octets import (AUTH, AUTHENTICATION_FAILED, CREATE_CHILD, FOLLOWUP, INFORMATIONAL, INITIATOR, INTERMEDIATE,
                         KE, NO_PROPOSAL_CHOSEN, NONCE, RESPONSE, SA, SA_INIT)
from .ike_payloads import (AUTHENTICATION, DELETE, ESP_PROTOCOL, IDI, IDR, IKE_PROTOCOL, TSI, TSR, KeyExchange, Proposal,
                           answer_key_exchange, choose, first, notifies, notify, transforms)
from .ike_sealed import IkeSa, judge, random_spi, suite_of
from .ike_tunnel import A_ID, A_NET, B_ID, B_NET, PSK

STATE_NOT_FOUND, TS_MAX_QUEUE = 47, 48
REKEY_SA, FRAGMENTATION, INTERMEDIATE_SUPPORTED = 16393, 16430, 16438
USE_PPK, PPK_IDENTITY, NO_PPK_AUTH, ADDITIONAL_KEY_EXCHANGE, SA_RESOURCE_INFO = 16435, 16436, 16437, 16441, 16444
PPK_FIXED = b"\2"


class Refused(AssertionError):
    """By a notify, which is `kind`."""

    def __init__(self, kind):
        super().__init__(f"the gateway answered with notify {kind}")
        self.kind = kind


@dataclasses.dataclass
class PeerChild:
    """`in` and `out`, `local` and `remote` as the gateway has them, so that it serves where config.Child does."""
    suite: str
    esn: bool
    in_spi: int
    in_key: bytes
    out_spi: int
    out_key: bytes
    name: str = "lan"
    local: list = dataclasses.field(default_factory=lambda: [A_NET])
    remote: list = dataclasses.field(default_factory=lambda: [B_NET])
    extra: dict = dataclasses.field(default_factory=dict)
    resource: bool = False  # RFC 9611, and both sides said so
    end: object = None      # once it has one


@dataclasses.dataclass
class Ppk:
    identity: str
    key: bytes
    required: bool = True


class IkePeer(IkeEnd):
    def __init__(self, netns, address, gateway, ike, esp="aes256gcm16-x25519-esn", psk=PSK, ppk=None, resources=0,
                 **end):
        """`ike`, `esp`: the one proposal that it makes and takes. `resources`: how many children it takes at most
        with SA_RESOURCE_INFO (RFC 9611); 0: it does not know what that is."""
        self.ike, self.esp, self.psk, self.ppk, self.resources = transforms(ike), transforms(esp), psk, ppk, resources
        self.suite = esp.split("-")[0]
        self.children = []     # the newest last
        self.informed = []     # errors that the gateway told in INFORMATIONAL
        self.change_ke = None  # a function of (method, octets): what is said in place of our key exchange data
        self.fragmentation = True
        super().__init__(netns, address, gateway, **end)

    def end_of(self, child):
        """ESP's far end of it, by scapy: the same one each time, which counts its packets."""
        if child.end is None:
            child.end = Peer(types.SimpleNamespace(local=self.other, peer=self.address, udp=None, name="peer"), child)
        return child.end

    def wait_up(self, children=1):
        self.wait(lambda: self.sas and self.sa.up and len(self.children) >= children, "the gateway has made its tunnel")
        return self.children[-1]

    def _said_ke(self, method, data):
        data = self.change_ke(method, data) if self.change_ke else data
        return KE, struct.pack("!HH", method, 0) + data

    @staticmethod
    def _ke(payloads, method):
        body = first(payloads, KE)
        if body is None:
            raise Refused(min(notifies(payloads), default=0))
        assert struct.unpack_from("!H", body)[0] == method, body[:4]
        return body[4:]

    # ---- IKE_SA_INIT ----

    def _capabilities(self, theirs=None):
        """A responder says what the initiator said before."""
        wanted = {FRAGMENTATION: self.fragmentation, INTERMEDIATE_SUPPORTED: bool(ike_payloads.additional_of(self.ike)),
                  USE_PPK: self.ppk is not None}
        return [notify(kind) for kind, want in wanted.items() if want and (theirs is None or kind in theirs)]

    def initiate(self, child=True):
        """IKE_SA_INIT, IKE_INTERMEDIATE as often as it takes, IKE_AUTH."""
        spi, nonce, ke = random_spi(), os.urandom(32), KeyExchange(ike_payloads.method_of(self.ike))
        offer = Proposal(1, IKE_PROTOCOL, b"", self.ike).body()
        payloads = [(SA, offer), self._said_ke(ke.method, ke.public), (NONCE, nonce), *self._capabilities()]
        kind, octets = ike_payloads.chain(payloads)
        request = ike_octets.message(spi, bytes(8), SA_INIT, INITIATOR, 0, octets, kind)
        answer, _, message = self._wait_response(spi, 0, lambda: self.send(request))
        theirs = self._ke(answer, ke.method)
        sa = IkeSa(suite_of(self.ike), self.ike, (spi, message.spi_r), (nonce, first(answer, NONCE)), True)
        assert choose(first(answer, SA), self.ike), "the gateway chose something else"
        sa.first, sa.next_request = (request, message.octets), 1
        sa.fragmentation, sa.ppk_announced = FRAGMENTATION in notifies(answer), USE_PPK in notifies(answer)
        sa.begin(ke.finish(theirs))
        with self._changed:
            self.sas.append(sa)
        for method in ike_payloads.additional_of(self.ike):
            self._initiate_intermediate(sa, method)
        self._initiate_auth(sa, child)
        return sa

    def _answer_init(self, message):
        payloads = message.payloads()
        old = next((one for one in self.sas if one.spis[0] == message.spi_i), None)
        if old:
            return self.send(old.first[1])
        theirs, spi_r, nonce = notifies(payloads), random_spi(), os.urandom(32)
        chosen = choose(first(payloads, SA), self.ike)
        if chosen is None:
            kind, octets = ike_payloads.chain([notify(NO_PROPOSAL_CHOSEN)])
            return self.send(ike_octets.message(message.spi_i, bytes(8), SA_INIT, RESPONSE, 0, octets, kind))
        method = ike_payloads.method_of(self.ike)
        own, shared = answer_key_exchange(method, self._ke(payloads, method))
        kind, octets = ike_payloads.chain([(SA, chosen.body()), self._said_ke(method, own), (NONCE, nonce),
                                           *self._capabilities(theirs)])
        answer = ike_octets.message(message.spi_i, spi_r, SA_INIT, RESPONSE, 0, octets, kind)
        sa = IkeSa(suite_of(self.ike), self.ike, (message.spi_i, spi_r), (first(payloads, NONCE), nonce), False)
        sa.first, sa.expected, sa.left = (message.octets, answer), 1, ike_payloads.additional_of(self.ike)
        sa.fragmentation, sa.ppk_announced = self.fragmentation and FRAGMENTATION in theirs, USE_PPK in theirs
        sa.begin(shared)
        self.sas.append(sa)
        return self.send(answer)

    # ---- IKE_INTERMEDIATE ----

    def _initiate_intermediate(self, sa, method):
        ke = KeyExchange(method)
        answer, request_plain, answer_plain = self.request(sa, INTERMEDIATE, [self._said_ke(method, ke.public)])
        shared = ke.finish(self._ke(answer, method))
        sa.chain(request_plain, answer_plain)
        sa.go_on(shared)

    def _answer_intermediate(self, sa, message, payloads, plain):
        method = sa.left.pop(0)
        own, shared = answer_key_exchange(method, self._ke(payloads, method))
        sa.chain(plain, self._respond(sa, message, [self._said_ke(method, own)]))
        sa.go_on(shared)

    # ---- IKE_AUTH ----

    def _proof(self, sa, of_initiator, identity, keys, number):
        """RFC 7296 2.15, RFC 9242 3.3.2"""
        own, other, key = (sa.first[0], sa.nonces[1], "pi") if of_initiator else (sa.first[1], sa.nonces[0], "pr")
        octets = own + other + sa.prf(keys[key], identity)
        if sa.int_auth:
            octets += b"".join(sa.int_auth) + struct.pack("!I", number)
        return sa.prf(sa.prf(self.psk, b"Key Pad for IKEv2"), octets)

    def _initiate_auth(self, sa, child):
        identity, keys, payloads, number = ike_payloads.identity(B_ID), sa.keys, [], sa.next_request
        if self.ppk and sa.ppk_announced:
            keys = sa.mixed(self.ppk.key)
            payloads.append(notify(PPK_IDENTITY, PPK_FIXED + self.ppk.identity.encode()))
            if not self.ppk.required:
                payloads.append(notify(NO_PPK_AUTH, self._proof(sa, True, identity, sa.keys, number)))
        proof = self._proof(sa, True, identity, keys, number)
        spi = int.from_bytes(os.urandom(3)) + 0x1000
        payloads = [(IDI, identity), (IDR, ike_payloads.identity(A_ID)), (AUTHENTICATION, b"\2\0\0\0" + proof), *payloads]
        if child:
            payloads += self._child_offer(spi, ike_payloads.without_key_exchange(self.esp), bool(self.resources))
        answer, _, _ = self.request(sa, AUTH, payloads)
        told = notifies(answer)
        if first(answer, AUTHENTICATION) is None:
            raise Refused(min(told))
        sa.steps[-1] = keys if PPK_IDENTITY in told else sa.keys
        theirs = self._proof(sa, False, first(answer, IDR), sa.keys, number)
        assert first(answer, AUTHENTICATION) == b"\2\0\0\0" + theirs, "the gateway's AUTH is not the one that follows"
        with self._changed:
            sa.up = True
        if child:
            self._child_made(sa, answer, spi, sa.nonces, [], True, SA_RESOURCE_INFO in told)

    def _settle_ppk(self, sa, told, data):
        """(the gateway's proof, was the PPK used); None: refused"""
        if PPK_IDENTITY not in told:
            return None if self.ppk and self.ppk.required else (data, False)
        if self.ppk and told[PPK_IDENTITY] == PPK_FIXED + self.ppk.identity.encode():
            sa.steps[-1] = sa.mixed(self.ppk.key)
            return data, True
        return (told[NO_PPK_AUTH], False) if NO_PPK_AUTH in told else None

    def _answer_auth(self, sa, message, payloads, _):
        told, identity = notifies(payloads), ike_payloads.identity(B_ID)
        assert not sa.left, "IKE_AUTH before all of IKE_INTERMEDIATE"
        settled = self._settle_ppk(sa, told, first(payloads, AUTHENTICATION)[4:])
        if settled is None or settled[0] != self._proof(sa, True, first(payloads, IDI), sa.keys, message.number):
            sa.gone = True
            return self._respond(sa, message, [notify(AUTHENTICATION_FAILED)])
        proof = self._proof(sa, False, identity, sa.keys, message.number)
        answer = [(IDR, identity), (AUTHENTICATION, b"\2\0\0\0" + proof)] + [notify(PPK_IDENTITY)] * settled[1]
        sa.up = True
        if first(payloads, SA):
            answer += self._answer_child(sa, payloads, sa.nonces, [], ike_payloads.without_key_exchange(self.esp))
        return self._respond(sa, message, answer)

    # ---- children ----

    def _child_offer(self, spi, wanted, resource=False):
        return [(SA, Proposal(1, ESP_PROTOCOL, spi.to_bytes(4), wanted).body()), ike_payloads.selectors(TSI, B_NET),
                ike_payloads.selectors(TSR, A_NET)] + [notify(SA_RESOURCE_INFO)] * resource

    def _add_child(self, sa, proposal, own_spi, nonces, shared, we_began, resource):
        """RFC 7296 2.17: the first key is for what the exchange's initiator sends."""
        size = SUITES[self.suite].key_material
        keymat = judge.child_keymat(sa.suite["prf"], sa.keys["d"], nonces, shared, 2 * size)
        keys = (keymat[:size], keymat[size:]) if we_began else (keymat[size:], keymat[:size])
        esn = (ike_payloads.ESN, 1, 0) in proposal.transforms
        with self._changed:
            self.children.append(PeerChild(self.suite, esn, int.from_bytes(proposal.spi), keys[0], own_spi, keys[1],
                                           resource=resource))
            self._changed.notify_all()
        return self.children[-1]

    def _child_made(self, sa, answer, own_spi, nonces, shared, we_began, resource, wanted=None):
        if first(answer, SA) is None:
            raise Refused(min(notifies(answer)))
        wanted = wanted or ike_payloads.without_key_exchange(self.esp)
        assert (chosen := choose(first(answer, SA), wanted)), "the gateway chose something else"
        return self._add_child(sa, chosen, own_spi, nonces, shared, we_began, resource)

    def _answer_child(self, sa, payloads, nonces, shared, wanted, later=None):
        """Its payloads; `later` gets what makes the child once all is shared."""
        chosen, resource = choose(first(payloads, SA), wanted), SA_RESOURCE_INFO in notifies(payloads)
        if chosen is None:
            return [notify(NO_PROPOSAL_CHOSEN)]
        if self.resources and resource and len(self.children) >= self.resources:
            return [notify(TS_MAX_QUEUE)]
        resource, spi = bool(resource and self.resources), int.from_bytes(os.urandom(3)) + 0x1000
        if later is None:
            self._add_child(sa, chosen, spi, nonces, shared, False, resource)
        else:
            later.append(lambda everything: self._add_child(sa, chosen, spi, nonces, everything, False, resource))
        return [(SA, dataclasses.replace(chosen, spi=spi.to_bytes(4)).body()), (TSI, first(payloads, TSI)),
                (TSR, first(payloads, TSR))] + [notify(SA_RESOURCE_INFO)] * resource

    # ---- CREATE_CHILD_SA and IKE_FOLLOWUP_KE ----

    def _followups(self, sa, answer, methods):
        """RFC 9370 2.2.4: [what is shared]"""
        shared, link = [], notifies(answer).get(ADDITIONAL_KEY_EXCHANGE)
        for n, method in enumerate(methods):
            assert link is not None, "the gateway does not begin the additional key exchanges"
            ke = KeyExchange(method)
            payloads = [self._said_ke(method, ke.public), notify(ADDITIONAL_KEY_EXCHANGE, link)]
            answer, _, _ = self.request(sa, FOLLOWUP, payloads)
            shared.append(ke.finish(self._ke(answer, method)))
            link = notifies(answer).get(ADDITIONAL_KEY_EXCHANGE)
            assert (link is None) == (n + 1 == len(methods)), "a link behind the last one, or none before it"
        return shared

    def make_child(self, old=None, resource=False):
        """A new child, or one in place of `old`, which is deleted then."""
        sa, nonce, spi = self.sa, os.urandom(32), int.from_bytes(os.urandom(3)) + 0x1000
        method = ike_payloads.method_of(self.esp)
        ke = KeyExchange(method) if method else None
        payloads = [notify(REKEY_SA, b"", ESP_PROTOCOL, old.out_spi.to_bytes(4))] if old else []
        payloads += self._child_offer(spi, self.esp, resource) + [(NONCE, nonce)]
        payloads += [self._said_ke(method, ke.public)] if ke else []
        answer, _, _ = self.request(sa, CREATE_CHILD, payloads)
        if first(answer, SA) is None:
            raise Refused(min(notifies(answer)))
        shared = [ke.finish(self._ke(answer, method))] if ke else []
        shared += self._followups(sa, answer, ike_payloads.additional_of(self.esp))
        confirmed = SA_RESOURCE_INFO in notifies(answer)
        made = self._child_made(sa, answer, spi, (nonce, first(answer, NONCE)), shared, True, confirmed, self.esp)
        if old:
            self._delete_child(sa, old)
        return made

    def rekey_ike(self):
        """The new IKE SA, which has the children; the old one is deleted."""
        old, spi, nonce, ke = self.sa, random_spi(), os.urandom(32), KeyExchange(ike_payloads.method_of(self.ike))
        offer = Proposal(1, IKE_PROTOCOL, spi, self.ike).body()
        payloads = [(SA, offer), (NONCE, nonce), self._said_ke(ke.method, ke.public)]
        answer, _, _ = self.request(old, CREATE_CHILD, payloads)
        shared = [ke.finish(self._ke(answer, ke.method))]
        shared += self._followups(old, answer, ike_payloads.additional_of(self.ike))
        assert (chosen := choose(first(answer, SA), self.ike)), "the gateway chose something else"
        self._succeed(old, (spi, chosen.spi), (nonce, first(answer, NONCE)), shared, True)
        self.request(old, INFORMATIONAL, [ike_payloads.delete(IKE_PROTOCOL)])
        old.gone = True
        return self.sa

    def _succeed(self, old, spis, nonces, shared, initiator):
        sa = IkeSa(suite_of(self.ike), self.ike, spis, nonces, initiator)
        sa.begin_after(old, shared)
        with self._changed:
            self.sas.append(sa)
            self._changed.notify_all()

    def _answer_create(self, sa, message, payloads, _):
        """RFC 7296 1.3; without selectors it is the IKE SA that is rekeyed."""
        for_ike, later, spi = first(payloads, TSI) is None, [], random_spi()
        nonces, wanted = (first(payloads, NONCE), os.urandom(32)), self.ike if for_ike else self.esp
        chosen, method = choose(first(payloads, SA), wanted), ike_payloads.method_of(wanted)
        if chosen is None:
            return self._respond(sa, message, [notify(NO_PROPOSAL_CHOSEN)])
        own, shared = answer_key_exchange(method, self._ke(payloads, method)) if method else (b"", b"")
        if for_ike:
            answer = [(SA, dataclasses.replace(chosen, spi=spi).body())]
            later.append(lambda everything: self._succeed(sa, (chosen.spi, spi), nonces, everything, False))
        else:
            answer = self._answer_child(sa, payloads, nonces, [], wanted, later)
            if not later:
                return self._respond(sa, message, answer)
        answer += [(NONCE, nonces[1])] + ([self._said_ke(method, own)] if method else [])
        left = ike_payloads.additional_of(wanted)
        return self._begin_followups(sa, message, answer, [shared] * bool(method), left, later[0])

    def _begin_followups(self, sa, message, answer, shared, methods, finish):
        """More key exchanges follow (RFC 9370 2.2.4), or there is all that it takes."""
        if methods:
            sa.followup = types.SimpleNamespace(link=os.urandom(12), left=methods, shared=shared, finish=finish)
            answer = [*answer, notify(ADDITIONAL_KEY_EXCHANGE, sa.followup.link)]
        else:
            sa.followup = None
            finish(shared)
        return self._respond(sa, message, answer)

    def _answer_followup(self, sa, message, payloads, _):
        state = sa.followup
        if state is None or notifies(payloads).get(ADDITIONAL_KEY_EXCHANGE) != state.link:
            return self._respond(sa, message, [notify(STATE_NOT_FOUND)])
        own, shared = answer_key_exchange(state.left[0], self._ke(payloads, state.left[0]))
        answer = [self._said_ke(state.left[0], own)]
        return self._begin_followups(sa, message, answer, [*state.shared, shared], state.left[1:], state.finish)

    # ---- INFORMATIONAL ----

    def ask_liveness(self):
        self.request(self.sa, INFORMATIONAL, [])

    def _delete_child(self, sa, child):
        answer, _, _ = self.request(sa, INFORMATIONAL, [ike_payloads.delete(ESP_PROTOCOL, child.out_spi)])
        assert ike_payloads.deleted(first(answer, DELETE)) == (ESP_PROTOCOL, [child.in_spi])
        with self._changed:
            self.children.remove(child)

    def _answer_informational(self, sa, message, payloads, _):
        answer = []
        self.informed += [kind for kind in notifies(payloads) if kind < 16384]
        for protocol, spis in (ike_payloads.deleted(body) for kind, body in payloads if kind == DELETE):
            if protocol == IKE_PROTOCOL:
                sa.gone = True
                continue
            going = [child for child in self.children if child.in_spi in spis]
            self.children = [child for child in self.children if child not in going]
            answer += [ike_payloads.delete(ESP_PROTOCOL, *(child.out_spi for child in going))] if going else []
        return self._respond(sa, message, answer)

    def _answer(self, sa, message, payloads, plain):
        by_exchange = {INTERMEDIATE: self._answer_intermediate, AUTH: self._answer_auth, CREATE_CHILD: self._answer_create,
                       FOLLOWUP: self._answer_followup, INFORMATIONAL: self._answer_informational}
        by_exchange[message.exchange](sa, message, payloads, plain)
