"""The harness proves itself with strongSwan on both sides: tunnels come up in every way that the tests need, what is bad on
the way is really bad, and what must be seen is seen."""

import pytest

from harness import pki, traffic
from harness.capture import assert_only_esp
from harness.ike_tunnel import A_ID, A_NET, A_NET6, B_ID, B_NET, B_NET6
from harness.interop import Interop
from harness.lossy import IKE_AUTH
from harness.netns import wait_until
from harness.strongswan import Child, NegotiationFailed, Party, Psk

pytestmark = pytest.mark.selftest

def start(interop, **charon):
    interop.start_peer(**charon)
    interop.start_other(**charon)
    return interop


@pytest.fixture(scope="module")
def plain(make_interop):
    """Both run; each test loads what it wants."""
    return start(make_interop(), raw_esp=True)


@pytest.fixture
def pair(plain):
    """The same, with no SA left over from the test before."""
    yield plain
    for daemon in (plain.other, plain.peer):
        daemon.clear()


def load_both(interop, parties=None, esp="aes256gcm16-x25519", child_options=None, crls=(), secrets=None, **settings):
    """The same connection on both sides, mirrored. `parties`: {"a": Party as a proves itself, ...}, as each is."""
    for side, other, load in (("b", "a", interop.load_peer), ("a", "b", interop.load_other)):
        nets = (A_NET, B_NET) if side == "a" else (B_NET, A_NET)
        own = {"local": parties[side][0], "remote": parties[other][1]} if parties else {}
        load(interop.connection(side=side, children=[Child("lan", *nets, esp, child_options or {})], **own, **settings),
             crls=crls, secrets=secrets)


def certified(authority, key, name_a=A_ID, name_b=B_ID):
    """For both sides: how it proves itself, and how the other side sees it."""
    def both(name):
        credential = authority.issue(name, key)
        root = authority.issuer or authority
        return (Party("pubkey", name, credential), Party("pubkey", name, authorities=[root]))
    return {"a": both(name_a), "b": both(name_b)}


def test_psk(pair):
    load_both(pair, options={"mobike": False})  # with MOBIKE an INFORMATIONAL exchange may follow, or not yet
    capture = pair.capture()
    told = pair.other.initiate()
    assert any("established" in line for line in told)
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 6)
    assert capture.count("ip.proto == 50") == 6  # ESP itself, not in UDP
    exchanges = [row[0] for row in capture.fields(["isakmp.exchangetype"], "isakmp")]
    assert exchanges == ["34", "34", "35", "35"]
    child = pair.peer.wait_up()
    assert (child["encr-alg"], child["encr-keysize"]) == ("AES_GCM_16", "256")
    assert (child["local-ts"], child["remote-ts"]) == ([B_NET], [A_NET])
    (ike,) = pair.peer.ike_sas()
    assert (ike["remote-id"], ike["dh-group"], ike.get("initiator")) == (A_ID, "CURVE_25519", None)


def test_peer_initiates(pair):
    load_both(pair)
    pair.peer.initiate()
    pair.check_traffic()
    assert pair.peer.ike_sas()[0]["initiator"] == "yes"


def test_ipv6_inside_and_outside(pair):
    for side, load, nets in (("b", pair.load_peer, (B_NET6, A_NET6)), ("a", pair.load_other, (A_NET6, B_NET6))):
        load(pair.connection(side=side, family=6, children=[Child("lan6", *nets)]))
    pair.other.initiate("lan6")
    capture = pair.capture()
    traffic.ping_all("site-a", Interop.B6)
    capture.stop()
    assert_only_esp(capture, 6)


@pytest.mark.parametrize("key", pki.KEYS)
def test_certificates(pair, key):
    authority = pki.Authority(f"CA {key}", key)
    load_both(pair, certified(authority, key))
    pair.other.initiate()
    pair.check_traffic()
    (ike,) = pair.peer.ike_sas()
    assert ike["remote-id"] == A_ID
    assert pair.peer.logged(rf"authentication of '{A_ID}' with \S*(RSA|ECDSA|ED25519|ED448)\S* ?\S* successful")


def test_chain_with_an_intermediate(pair):
    root = pki.Authority("the root", "ecdsa384")
    load_both(pair, certified(pki.Authority("in between", "rsa2048", root), "ecdsa256"))
    pair.other.initiate()
    pair.check_traffic()
    assert pair.peer.logged(r'using trusted intermediate ca certificate "O=Trunkgate tests, CN=in between"')


def test_expired_certificate_is_refused(pair):
    authority = pki.Authority("CA")
    parties = certified(authority, "ecdsa256")
    parties["a"] = (Party("pubkey", A_ID, authority.issue(A_ID, days=(-10, -1))), parties["a"][1])
    load_both(pair, parties)
    mark = pair.peer.mark()
    with pytest.raises(NegotiationFailed, match="AUTHENTICATION_FAILED|AUTH_FAILED"):
        pair.other.initiate()
    pair.peer.wait_log("subject certificate invalid", mark)
    pair.other.wait_down()


def test_revoked_certificate_is_refused(pair):
    authority = pki.Authority("CA")
    parties = certified(authority, "ecdsa256")
    for side in "ab":
        parties[side][1].options["revocation"] = "strict"
    load_both(pair, parties, crls=[authority.crl()])
    pair.other.initiate()
    pair.check_traffic()
    pair.other.terminate(ike="a-b")
    load_both(pair, parties, crls=[authority.crl([parties["a"][0].credential])])
    mark = pair.peer.mark()
    with pytest.raises(NegotiationFailed, match="AUTH_FAILED"):
        pair.other.initiate()
    pair.peer.wait_log("certificate was revoked", mark)


def test_wrong_psk_is_refused(pair):
    load_both(pair)
    pair.load_other(secrets=[Psk(b"another")])
    mark = pair.peer.mark()
    with pytest.raises(NegotiationFailed, match="AUTH_FAILED"):
        pair.other.initiate()
    pair.peer.wait_log("MAC mismatched|authentication of .* failed", mark)
    sent, received = traffic.ping("site-a", Interop.B4, count=2, check=False, deadline=1)
    assert received == 0


@pytest.mark.parametrize("ike, esp", [
    ("aes128gcm16-prfsha256-ecp256", "aes128gcm16"), ("chacha20poly1305-prfsha512-x448", "chacha20poly1305-x25519"),
    ("aes256-sha512-prfsha512-modp2048", "aes256-sha256"), ("aes128-sha256-ecp521", "aes128-sha1")])
def test_ciphers(pair, ike, esp):
    load_both(pair, proposals=ike, esp=esp)
    pair.other.initiate()
    pair.check_traffic()


def test_multiple_key_exchanges(pair):
    load_both(pair, proposals="aes256gcm16-prfsha384-x25519-ke1_ecp384", esp="aes256gcm16-x25519-ke1_ecp384")
    capture = pair.capture()
    pair.other.initiate()
    pair.other.rekey(child="lan")
    pair.other.wait_event("child-rekey")
    capture.stop()
    exchanges = [row[0] for row in capture.fields(["isakmp.exchangetype"], "isakmp")]
    assert exchanges[:8] == ["34", "34", "43", "43", "35", "35", "36", "36"] and "44" in exchanges  # IKE_FOLLOWUP_KE
    pair.check_traffic()


@pytest.mark.parametrize("who", ["other", "peer", "both"])
def test_rekey_under_traffic(pair, who, tmp_path):
    """strongSwan itself loses nothing: so what is lost later is the gateway's fault."""
    load_both(pair)
    pair.other.initiate()
    daemons = {"other": [pair.other], "peer": [pair.peer], "both": [pair.other, pair.peer]}[who]
    stream = pair.stream(tmp_path)
    before = {c["spi-in"] for c in pair.peer.children("lan")}
    for daemon in daemons:
        daemon.rekey(child="lan")
    wait_until(lambda: not before & {c["spi-in"] for c in pair.peer.children("lan")}, "another SA is in use")
    pair.peer.wait_up()
    stream.wait_progress(50)
    ike = pair.peer.ike_sas()[0]["initiator-spi"]
    for daemon in daemons:
        daemon.rekey(ike="a-b")
    wait_until(lambda: [i["initiator-spi"] for i in pair.peer.ike_sas()] not in ([], [ike]), "another IKE SA")
    pair.peer.wait_up()
    stream.wait_progress(50)
    stream.assert_nothing_lost()


def test_a_hole_in_the_traffic_is_seen(pair, tmp_path):
    load_both(pair)
    pair.other.initiate()
    stream = pair.stream(tmp_path)
    pair.cut(from_side="a")
    stream.streams[1].wait_progress(stream.streams[1].highest() + 20)
    pair.repair()
    stream.wait_progress()
    with pytest.raises(AssertionError):
        stream.assert_nothing_lost()


def test_cleartext_is_seen(pair):
    """The check of the wire fails where the sites reach each other in clear."""
    load_both(pair)
    pair.other.initiate()
    capture = pair.capture()
    traffic.ping_all("site-a", Interop.B4)
    traffic.ping("site-a", "203.0.113.1", count=1, check=False, deadline=1)
    capture.stop()
    with pytest.raises(AssertionError):
        assert_only_esp(capture, 6)


def test_delete_and_kill(pair):
    load_both(pair, options={"dpd_delay": "1s", "dpd_timeout": "5s"})
    pair.other.initiate()
    pair.other.terminate(child="lan")
    wait_until(lambda: not pair.peer.children("lan"), "the child is gone at the peer")
    assert len(pair.peer.ike_sas()) == 1
    pair.other.initiate()
    pair.peer.wait_up()
    pair.other.terminate(ike="a-b")
    pair.peer.wait_down()


def test_restart_after_kill(make_interop):
    """INITIAL_CONTACT of a peer that was killed replaces what it had (RFC 7296 2.4)."""
    interop = start(make_interop())
    load_both(interop)
    interop.other.initiate()
    interop.other.kill()
    assert len(interop.peer.ike_sas()) == 1
    mark = interop.peer.mark()
    interop.other.restart()
    interop.other.initiate()
    interop.peer.wait_up()
    interop.peer.wait_log("INIT_CONTACT", mark)
    interop.check_traffic()


def test_liveness_sees_a_cut(make_interop):
    interop = start(make_interop(), retransmit_tries=2, retransmit_timeout=0.3)
    load_both(interop, options={"dpd_delay": "1s"})
    interop.other.initiate()
    interop.cut()
    interop.peer.wait_down(15)
    interop.other.wait_down(15)
    interop.repair()
    interop.other.initiate()
    interop.check_traffic()


def test_reauthentication(make_interop):
    """Make before break: the old IKE SA goes when the new one is there (RFC 7296 2.8.3)."""
    interop = start(make_interop(), make_before_break=True)
    load_both(interop)
    interop.other.initiate()
    mark = interop.peer.mark()
    interop.other.rekey(ike="a-b", reauth=True)
    interop.other.wait_event("ike-updown", lambda m: m.get("up") == "yes" and "2" in str(m.get("a-b", {}).get("uniqueid")))
    interop.peer.wait_up()
    told = interop.peer.text()[mark:]
    assert 0 < told.index("parsed IKE_AUTH request") < told.index("received DELETE for IKE_SA")
    interop.check_traffic()


def test_fragmentation(make_interop):
    """RFC 7383: no datagram of IKE is larger than 576 bytes, with RSA certificates and an intermediate authority."""
    interop = start(make_interop(), fragment_size=576)
    load_both(interop, certified(pki.Authority("in between", "rsa2048", pki.Authority("root", "rsa2048")), "rsa2048"),
              options={"send_cert": "always"})
    capture = interop.capture()
    interop.other.initiate()
    capture.stop()
    assert capture.count("isakmp.typepayload == 53") >= 4  # encrypted fragments
    assert max(int(row[0]) for row in capture.fields(["ip.len"], "isakmp")) <= 576
    interop.check_traffic()


@pytest.mark.parametrize("nat", ["a", "b", "ab"])
def test_nat_between(make_interop, nat):
    interop = make_interop(nat=nat)
    for n in interop.nats.values():
        n.masquerade(p4500=40000)
    if "b" in nat:
        interop.nats["b"].forward_ike_to(interop.address("b"))
    start(interop)
    load_both(interop)
    capture = interop.capture()
    interop.other.initiate()
    traffic.ping_all("site-a", Interop.B4)
    traffic.ping_all("site-b", Interop.A4)
    capture.stop()
    assert_only_esp(capture, 12)
    assert capture.count("udp.port == 4500 and esp") >= 12
    if "a" in nat:
        assert {row[0] for row in capture.fields(["udp.srcport"], "esp and ip.src == 203.0.113.2")} == {"40000"}
        assert interop.peer.logged("remote host is behind NAT")


def test_nat_forgets_its_mapping(make_interop):
    """The gateway behind the NAT keeps sending; the peer hears it from another port and answers there (RFC 7296 2.23)."""
    interop = make_interop(nat="a")
    interop.nats["a"].masquerade(p4500=40000)
    start(interop, keep_alive="1s", retransmit_timeout=0.3)
    load_both(interop, options={"mobike": False, "dpd_delay": "1s"})
    interop.other.initiate()
    traffic.ping_all("site-a", Interop.B4)
    assert interop.peer.ike_sas()[0]["remote-port"] == "40000"
    interop.nats["a"].rebind(p4500=50000)
    wait_until(lambda: interop.peer.ike_sas() and interop.peer.ike_sas()[0]["remote-port"] == "50000", "the new port is in use")
    interop.peer.wait_event("child-rekey")  # kernel-libipsec can't move an SA: charon makes another
    interop.other.wait_up()
    capture = interop.capture()
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 6)
    assert capture.count("esp and udp.dstport == 50000") >= 3


@pytest.mark.parametrize("percent", [10, 30])
def test_loss(make_interop, percent):
    """A link that drops, doubles and reorders so many of IKE's datagrams: everything comes up, and is rekeyed."""
    interop = start(make_interop(), retransmit_timeout=0.3, retransmit_base=1.2, retransmit_tries=12)
    link = interop.lossy(drop=percent, double=percent, reorder=percent, seed=7)
    load_both(interop, certified(pki.Authority("CA", "rsa2048"), "rsa2048"), options={"send_cert": "always"})
    capture = interop.capture()
    interop.other.initiate(seconds=60)
    for _ in range(5):
        interop.other.rekey(child="lan")
        interop.other.wait_event("child-rekey", seconds=60)
    assert all(link.counts[k] > 0 for k in ("dropped", "doubled", "held")), link.counts
    assert link.counts["dropped"] >= link.counts["seen"] * percent / 300, link.counts
    traffic.ping_all("site-a", Interop.B4)
    capture.stop()
    assert_only_esp(capture, 6)


def test_chosen_messages_are_lost(make_interop):
    """The first IKE_AUTH response is lost: the request comes again and is answered from the cache (RFC 7296 2.1)."""
    interop = start(make_interop(), retransmit_timeout=0.3)
    link = interop.lossy()
    lost = []

    def first_response(datagram):
        if datagram.exchange == IKE_AUTH and datagram.is_response and not lost:
            lost.append(datagram)
            return "drop"
        return None

    link.choose = first_response
    load_both(interop)
    mark = interop.peer.mark()
    interop.other.initiate()
    interop.peer.wait_log("received retransmit of request with ID 1, retransmitting response", mark)
    assert len(lost) == 1 and link.counts["dropped"] == 1
    interop.check_traffic()
