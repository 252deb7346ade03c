"""Revocation by OCSP (RFC 6960): the gateway asks `openssl ocsp`, whom the peer's certificate names, over HTTP on the WAN."""

import os

import pytest

from harness import pki
from harness.ike_tunnel import A_ID, B_ID
from harness.ocsp import Responder
from harness.strongswan import PLUGINS

from cases import STARTERS, assert_refusal, be_refused, certified

PLACE, PORT, PORT_OF_ROOT = "203.0.113.1", 2560, 2561
URL, URL_OF_ROOT = f"http://{PLACE}:{PORT}", f"http://{PLACE}:{PORT_OF_ROOT}"
WORDS = pytest.mark.parametrize("word", ["soft", "strict"])


@pytest.fixture(scope="module")
def interop(make_interop):
    """The gateway's own questions need a policy, as everything does."""
    surroundings = make_interop()
    surroundings.POLICIES = [*surroundings.POLICIES,
                             {"name": "ocsp", "from": "box", "to": "wan", "destination": PLACE, "protocol": "tcp",
                              "destination_ports": f"{PORT}-{PORT_OF_ROOT}", "action": "bypass", "both_ways": True}]
    surroundings.start_peer(raw_esp=True, plugins=PLUGINS + " curl")
    return surroundings


class Site:
    """A peer whose certificate, and whose intermediate CA's if there is one, names a responder. `staples`: it asks that
    itself and sends the answer along (RFC 4806)."""

    def __init__(self, interop, word="strict", chain=False, staples=False):
        self.interop, self.running = interop, []
        self.root = pki.Authority("root CA")
        self.authority = pki.Authority("middle CA", issuer=self.root, ocsp=URL_OF_ROOT) if chain else self.root
        self.peer = self.authority.issue(B_ID, ocsp=URL)
        ours, theirs = certified(self.authority, a=self.root.issue(A_ID), b=self.peer)
        self.tunnel = interop.tunnel(revocation=word, **ours)
        self.connection = interop.connection(options={"send_cert": "always", "ocsp": "reply" if staples else "never"},
                                             **theirs)

    def answers(self, authority=None, issued=None, port=PORT, **how):
        authority = authority or self.authority
        self.running.append(Responder(self.interop.lab, "wan", os.path.join(self.interop.directory, f"ocsp-{port}"), authority,
                                      issued or [self.peer], port=port, **how))
        return self.running[-1]

    def hide(self):
        """From the gateway: its questions are swallowed."""
        self.interop.lab.nft("wan", "table inet ocsp { chain in { type filter hook input priority 0; "
                                    f"iifname to-a tcp dport {PORT} drop; }}; }}")

    def come_up(self, starter):
        self.interop.bring_up(starter, self.tunnel, self.connection)
        return self.interop.gateway.explain(self.tunnel.name)["current"]

    def be_refused(self, starter):
        be_refused(self.interop, starter, self.tunnel, self.connection)
        above = [self.root] if self.authority is self.root else [self.authority, self.root]
        return assert_refusal(self.interop.gateway, self.tunnel, "remote.revocation", self.peer.certificate,
                              *(one.certificate for one in above))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.interop.lab.nft("wan", "add table inet ocsp; delete table inet ocsp")
        for one in self.running:
            one.close()


@STARTERS
@pytest.mark.parametrize("signer", ["the CA", "a responder that it certified"])
def test_good(interop, starter, signer):
    with Site(interop) as site:
        how = {} if signer == "the CA" else {"signer": site.root.issue("ocsp", purposes=pki.FOR_OCSP)}
        responder = site.answers(**how)
        record = site.come_up(starter)
        assert record["revocation"] == "not revoked (OCSP)"
        assert responder.asked() == 1
        interop.check_traffic()


@STARTERS
@WORDS
def test_revoked(interop, starter, word):
    with Site(interop, word) as site:
        site.answers(revoked=[site.peer])
        failure = site.be_refused(starter)["failure"]
        day = f"{site.peer.certificate.not_valid_before_utc:%Y-%m-%d}"
        assert failure["text"] == f"the peer's certificate O=Trunkgate tests, CN={B_ID} was revoked on {day} (OCSP)"


def test_every_certificate_of_the_path_is_asked_about(interop):
    with Site(interop, chain=True) as site:
        asked = [site.answers(), site.answers(site.root, [site.authority], PORT_OF_ROOT)]
        assert site.come_up("gateway")["revocation"] == "not revoked (OCSP)"
        assert [one.asked() for one in asked] == [1, 1]


@STARTERS
def test_revoked_intermediate(interop, starter):
    with Site(interop, "soft", chain=True) as site:
        site.answers()
        site.answers(site.root, [site.authority], PORT_OF_ROOT, revoked=[site.authority])
        failure = site.be_refused(starter)["failure"]
        assert failure["text"].startswith("the CA certificate O=Trunkgate tests, CN=middle CA was revoked on ")


def refuses(_):
    """Nobody listens there."""
    return "can't be asked: Connection refused"


def is_silent(site):
    site.hide()
    return "can't be asked: "


def is_a_stranger(site):
    site.answers(signer=pki.Authority("stranger").issue("ocsp", purposes=pki.FOR_OCSP))
    return "was not certified by the certificate's issuer"


def is_a_neighbour(site):
    """The same CA's, but not for this."""
    site.answers(signer=site.root.issue("neighbour.example"))
    return "has no certificate for signing OCSP"


def is_of_last_week(site):
    site.answers(clock="-7d")
    return "the OCSP response is out of date, it is of "


def knows_nothing(site):
    site.answers(issued=[site.root.issue("somebody-else.example")])
    return "the OCSP responder does not know the certificate"


UNKNOWN = pytest.mark.parametrize("responder", [refuses, is_silent, is_a_stranger, is_a_neighbour, is_of_last_week,
                                                knows_nothing])


@STARTERS
@UNKNOWN
def test_strict_refuses_what_nobody_vouches_for(interop, starter, responder):
    with Site(interop) as site:
        why = responder(site)
        record = site.be_refused(starter)
        assert record["failure"]["text"].startswith("nothing is known of a revocation of the peer's certificate "
                                                    f"O=Trunkgate tests, CN={B_ID}")
        assert any(why in text for text in (record["failure"]["text"], *record["notes"])), (why, record)


@UNKNOWN
def test_soft_takes_what_nobody_vouches_for_and_says_so(interop, responder):
    with Site(interop, "soft") as site:
        why = responder(site)
        record = site.come_up("peer")
        assert record["revocation"].startswith("nothing is known: ")
        assert any(why in text for text in (record["revocation"], *record["notes"])), (why, record)


def test_a_stranger_revokes_nothing(interop):
    with Site(interop, "soft") as site:
        site.answers(signer=pki.Authority("stranger").issue("ocsp", purposes=pki.FOR_OCSP), revoked=[site.peer])
        assert site.come_up("gateway")["revocation"].startswith("nothing is known: ")


def test_off_asks_nobody(interop):
    with Site(interop, "off") as site:
        responder = site.answers(revoked=[site.peer])
        assert site.come_up("gateway")["revocation"] == "not asked for"
        assert responder.asked() == 0


@STARTERS
def test_stapled(interop, starter):
    """The gateway itself can reach no responder."""
    with Site(interop, staples=True) as site:
        responder = site.answers()
        site.hide()
        mark = interop.peer.mark()
        record = site.come_up(starter)
        assert interop.peer.logged(r"sending OCSP status for certificate", mark)
        assert record["revocation"] == "not revoked (OCSP)" and responder.asked() == 1
        assert not any("OCSP" in note for note in record["notes"])
