"""IKEv2's vectors come from where they say: made anew they are the same, and recorded exchanges of two strongSwan
gateways follow from their secrets by the independent script that also made the other vectors."""

import json
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
sys.path.insert(0, str(VECTORS))

import ike_judge as judge  # noqa: E402
import make_ike  # noqa: E402
import mlkem_judge  # noqa: E402

pytestmark = pytest.mark.selftest
TRACES = sorted(VECTORS.glob("ike_trace_*.json"))
CURVES = {"ecp256": ec.SECP256R1(), "ecp384": ec.SECP384R1(), "ecp521": ec.SECP521R1()}


def unhexed(texts):
    return [bytes.fromhex(text) for text in texts]


@pytest.mark.parametrize("name", make_ike.FILES)
def test_vectors_are_what_the_script_makes(name):
    assert (VECTORS / name).read_text(encoding="ascii") == make_ike.content(name)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_recorded_exchange_follows_from_its_secrets(path):
    trace = json.loads(path.read_text())
    for sa in trace["sas"]:
        suite, nonces, spis = sa["suite"], unhexed(sa["nonces"]), unhexed(sa["spis"])
        before = None
        for step in sa["steps"]:
            shared = unhexed(step["shared"])
            if before is not None:
                keys = judge.next_keys(suite, nonces, spis, before["d"], *shared)
            elif sa["successor_of"] is None:
                keys = judge.first_keys(suite, nonces, spis, *shared)
            else:
                old = trace["sas"][sa["successor_of"]]
                keys = judge.rekeyed_keys(suite, old["suite"]["prf"], nonces, spis,
                                          bytes.fromhex(old["steps"][-1]["keys"]["d"]), shared)
            assert {name: key.hex() for name, key in keys.items()} == step["keys"]
            before = keys
    for child in trace["children"]:
        sa = trace["sas"][child["sa"]]
        keymat = judge.child_keymat(sa["suite"]["prf"], bytes.fromhex(sa["steps"][child["step"]]["keys"]["d"]),
                                    unhexed(child["nonces"]), unhexed(child["shared"]), len(child["to_responder"]))
        assert keymat.hex() == child["to_responder"] + child["to_initiator"]


def test_the_recordings_hold_what_they_are_for():
    sas = [sa for path in TRACES for sa in json.loads(path.read_text())["sas"]]
    assert {sa["suite"]["encryption"] for sa in sas} == {judge.GCM16, judge.CHACHA20_POLY1305, judge.CBC, judge.TDES}
    assert {sa["suite"]["prf"] for sa in sas} == set(judge.PRF)
    assert max(len(sa["steps"]) for sa in sas) == 3  # two exchanges of IKE_INTERMEDIATE
    assert max(len(step["shared"]) for sa in sas for step in sa["steps"]) == 3  # two of IKE_FOLLOWUP_KE


def test_numbers_of_rfc_5903():
    for case in json.loads((VECTORS / "rfc5903.json").read_text())["tests"]:
        curve = CURVES[case["method"]]
        pairs = {side: ec.derive_private_key(int(case["private_" + side], 16), curve) for side in "ir"}
        for side, key in pairs.items():
            numbers, size = key.public_key().public_numbers(), (curve.key_size + 7) // 8
            assert (numbers.x.to_bytes(size) + numbers.y.to_bytes(size)).hex() == case["public_" + side]
        assert pairs["i"].exchange(ec.ECDH(), pairs["r"].public_key()).hex() == case["shared"]


def test_the_judge_of_ml_kem_agrees_with_nist():
    """Decapsulation encrypts once more, and of a wrong ciphertext takes the implicit secret: all of it is judged."""
    kinds = []
    for case in json.loads((VECTORS / "nist_mlkem.json").read_text())["tests"]:
        size = int(case["method"].removeprefix("mlkem"))
        octets = {key: bytes.fromhex(case[key]) for key in case.keys() - {"kind", "method"}}
        kinds.append(case["kind"])
        if case["kind"] == "key":
            public, private = mlkem_judge.generate(size, octets["seed"])
            assert public == octets["public"]
            shared, ciphertext = mlkem_judge.encapsulate(size, public)
            assert mlkem_judge.decapsulate(size, private, ciphertext) == shared
        elif case["kind"] == "decapsulate":
            assert mlkem_judge.decapsulate(size, octets["private"], octets["ciphertext"]) == octets["shared"]
        else:
            with pytest.raises(ValueError):
                mlkem_judge.encapsulate(size, octets["public"])
    assert (kinds.count("key"), kinds.count("decapsulate"), kinds.count("bad key")) == (9, 12, 8)
