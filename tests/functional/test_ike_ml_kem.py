"""ML-KEM beside the classic key exchange (RFC 9242, RFC 9370), against a peer that is not of our own code: both roles,
the whole chain of keys, and rekeys with IKE_FOLLOWUP_KE."""

import os
import signal

import pytest

from harness import ike_payloads
from harness.gateway import TRUNKGATE
from harness.ike_octets import FOLLOWUP, INTERMEDIATE, INVALID_SYNTAX
from harness.ike_meeting import PEER, Meeting
from harness.ike_end import Silent
from harness.ike_peer import Refused
from harness.netns import wait_until

IKE, ESP = "aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-x25519-ke1_mlkem768-esn"
STARTERS = pytest.mark.parametrize("starter", ["gateway", "peer"])


@pytest.fixture(scope="module")
def bench(make_bench):
    made = make_bench()
    made.lab.address("peer", "eth0", PEER + "/24")
    return made.start(monitoring={"allow_key_export": True})


@pytest.fixture
def meeting(bench):
    made = Meeting(bench)
    yield made
    made.end()


class Exported:
    """What `trunkgate debug keys` tells of a tunnel."""

    def __init__(self, bench, tunnel, directory):
        self.directory, self.log = str(directory / "keys"), str(directory / "export.log")
        words = ["debug", "keys", tunnel, "--for", "5m", "--out", self.directory, "--run-dir", bench.gateway.run_dir]
        self.process = bench.lab.start([TRUNKGATE, *words], self.log, "gw")

    def _rows(self, name):
        try:
            with open(os.path.join(self.directory, name)) as f:
                return [[word.strip('"') for word in line.strip().split(",")] for line in f]
        except FileNotFoundError:
            return []

    def wait_ike(self, sa):
        """(SK_ei, SK_er)"""
        spis = [spi.hex() for spi in sa.spis]
        row = wait_until(lambda: [r for r in self._rows("ikev2_decryption_table") if r[:2] == spis], self.process.text)[0]
        return bytes.fromhex(row[2]), bytes.fromhex(row[3])

    def wait_esp(self, spi):
        row = wait_until(lambda: [r for r in self._rows("esp_sa") if int(r[3], 16) == spi], self.process.text)[0]
        return bytes.fromhex(row[5][2:])

    def end(self):
        self.process.stop(signal.SIGINT)


@STARTERS
@pytest.mark.parametrize("proposal", [
    IKE, "aes256gcm16-prfsha384-x25519-ke1_mlkem512", "aes128gcm16-prfsha256-ecp256-ke1_mlkem512",
    "aes256gcm16-prfsha512-ecp384-ke1_mlkem1024", "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp384-ke3_mlkem1024"])
def test_the_chain_of_keys(meeting, tmp_path, starter, proposal):
    """Each of the gateway's keys follows from what was shared, by the judges; and its packets pass with these keys."""
    peer = meeting.begin(starter, ike=proposal, esp="aes256gcm16-x25519-esn")
    child = peer.wait_up()
    meeting.check_traffic(child)
    additional = proposal.count("-ke")
    assert len(peer.sa.steps) == 1 + additional
    assert [exchange for exchange, _, _ in peer.said].count(INTERMEDIATE) == additional
    export = Exported(meeting.bench, meeting.tunnel.name, tmp_path)
    assert export.wait_ike(peer.sa) == (peer.sa.keys["ei"], peer.sa.keys["er"])
    # The export rekeys the child: its keys follow from SK_d.
    peer.wait(lambda: child not in peer.children, "another child")
    child = peer.children[-1]
    assert (export.wait_esp(child.in_spi), export.wait_esp(child.out_spi)) == (child.in_key, child.out_key)
    export.end()
    meeting.check_traffic(child)


@STARTERS
@pytest.mark.parametrize("fragmentation", [True, False], ids=["by IKE", "by IP"])
def test_what_no_packet_holds(meeting, starter, fragmentation):
    """ML-KEM-1024's 1568 octets in fragments (RFC 7383), which IntAuth takes together; or in those of IP."""
    peer = meeting.begin(starter, ike="aes256gcm16-prfsha384-x25519-ke1_mlkem1024",
                         prepare=lambda p: setattr(p, "fragmentation", fragmentation))
    meeting.check_traffic(peer.wait_up())
    assert (peer.fragments > 0) == fragmentation


@STARTERS
@pytest.mark.parametrize("esp", [ESP, "aes128gcm16-ecp256-ke1_mlkem512-ke2_mlkem1024-noesn"])
def test_children_by_several_key_exchanges(meeting, starter, esp):
    """Rekeyed by the peer, and by the gateway."""
    peer = meeting.begin(starter, esp=esp)
    child = peer.wait_up()
    meeting.check_traffic(child)
    meeting.check_traffic(peer.make_child(child))
    child = peer.children[-1]
    assert len(peer.children) == 1
    meeting.do("rekey")
    peer.wait(lambda: child not in peer.children, "another child")
    assert [exchange for exchange, response, _ in peer.said if not response].count(FOLLOWUP) == esp.count("-ke")
    assert len(peer.children) == 1
    meeting.check_traffic(peer.children[-1])


@STARTERS
def test_the_ike_sa_rekeyed(meeting, tmp_path, starter):
    """By the peer, by the gateway; with each a child's keys are of the new SK_d."""
    peer = meeting.begin(starter)
    peer.wait_up()
    for rekey in (peer.rekey_ike, lambda: meeting.do("rekey", "--ike"), peer.rekey_ike):
        before = peer.sa
        rekey()
        peer.wait(lambda: before.gone and peer.sa is not before, "another IKE SA")
        peer.ask_liveness()
        meeting.check_traffic(peer.children[-1])
        meeting.check_traffic(peer.make_child(peer.children[-1]))
    export = Exported(meeting.bench, meeting.tunnel.name, tmp_path)
    assert export.wait_ike(peer.sa) == (peer.sa.keys["ei"], peer.sa.keys["er"])
    export.end()


def flipped(method, data):
    """An octet at the end is another one: of a ciphertext, or of a public key's seed."""
    return data[:-1] + bytes([data[-1] ^ 1]) if method in ike_payloads.MLKEM else data


@STARTERS
def test_wrong_ciphertext(meeting, starter):
    """FIPS 203 6.3: whose ciphertext or key was changed on the way gets a secret that nobody else has. Nothing of what
    follows opens, at either end, and there is no tunnel; with what is right there is one."""
    if starter == "gateway":
        peer = meeting.begin(starter, wait=False, prepare=lambda p: setattr(p, "change_ke", flipped))
        peer.wait(lambda: peer.unopened, "IKE_AUTH with other keys")
    else:
        with pytest.raises(Silent):
            meeting.begin(starter, prepare=lambda p: setattr(p, "change_ke", flipped), patience=1)
        peer = meeting.peer
    assert len(peer.sa.steps) == 2 and not peer.sa.up
    assert meeting.sas() == [] and meeting.bench.gateway.tunnels()[meeting.tunnel.name]["state"] != "up"


WRONG_LENGTHS = {"shorter": lambda method, data: data[:-1] if method in ike_payloads.MLKEM else data,
                 "longer": lambda method, data: data + b"\0" if method in ike_payloads.MLKEM else data,
                 "empty": lambda method, data: b"" if method in ike_payloads.MLKEM else data,
                 "of another size": lambda method, data: ike_payloads.KeyExchange(35).public if method == 36 else data}


@pytest.mark.parametrize("change", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_public_keys_of_a_wrong_length(meeting, change):
    """draft-ietf-ipsecme-ikev2-mlkem 2.3, at the responder: INVALID_SYNTAX, and that IKE SA is over."""
    daemon = meeting.bench.gateway.daemon("trunkgated")
    with pytest.raises(Refused) as refused:
        meeting.begin("peer", prepare=lambda p: setattr(p, "change_ke", change))
    assert refused.value.kind == INVALID_SYNTAX
    assert meeting.bench.gateway.daemon("trunkgated") == daemon and meeting.sas() == []
    meeting.peer.change_ke = None
    meeting.peer.initiate()
    meeting.check_traffic(meeting.peer.wait_up())


def too_large(method, data):
    """FIPS 203 7.2: a coefficient of 4095, which is no residue."""
    return b"\xff\xff" + data[2:] if method in ike_payloads.MLKEM else data


def test_a_public_key_with_too_large_a_coefficient(meeting):
    with pytest.raises(Refused) as refused:
        meeting.begin("peer", prepare=lambda p: setattr(p, "change_ke", too_large))
    assert refused.value.kind == INVALID_SYNTAX and meeting.sas() == []


@pytest.mark.parametrize("change", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_ciphertexts_of_a_wrong_length(meeting, change):
    """At the initiator: it gives up, says why, and tries again."""
    peer = meeting.begin("gateway", wait=False, prepare=lambda p: setattr(p, "change_ke", change))
    wait_until(meeting.failure, meeting.explain)
    assert meeting.failure()["trouble"] == "protocol_error" and "mlkem768" in meeting.failure()["text"]
    peer.change_ke = None
    meeting.check_traffic(peer.wait_up())


def test_a_rekey_with_a_wrong_public_key(meeting):
    """IKE_FOLLOWUP_KE: it is refused, and the child that is there goes on."""
    peer = meeting.begin("peer")
    child = peer.wait_up()
    peer.change_ke = WRONG_LENGTHS["shorter"]
    with pytest.raises(Refused) as refused:
        peer.make_child(child)
    assert refused.value.kind == INVALID_SYNTAX
    with pytest.raises(Refused) as refused:
        peer.rekey_ike()
    assert refused.value.kind == INVALID_SYNTAX
    meeting.check_traffic(child)
    peer.change_ke = None
    meeting.check_traffic(peer.make_child(child))
