"""Writes ike_key_schedule.json, ike_sealed.json and ike_modp.json with ike_judge.py.

    ./dev shell python3 tests/vectors/make_ike.py
"""

import hashlib
import json
from pathlib import Path

import ike_judge as judge

HERE = Path(__file__).resolve().parent
AEADS = [(judge.GCM16, bits, 0) for bits in (128, 192, 256)] + [(judge.CHACHA20_POLY1305, 0, 0)]
WITH_HMAC = ([(judge.CBC, bits, integrity) for bits in (128, 192, 256) for integrity in judge.INTEGRITY] +
             [(judge.TDES, 0, integrity) for integrity in judge.INTEGRITY])
# ESP suites by name: octets of cipher key, salt and authentication key together
ESP = {"aes128gcm16": 20, "aes256gcm16": 36, "chacha20poly1305": 36, "aes256gmac": 36, "aes192cbc-sha1": 44,
       "aes256cbc-sha512": 96, "aes128ctr-sha256": 52, "null-sha384": 48, "3descbc-sha1": 44}


def octets(label, count):
    """Bytes that look random and are the same each time."""
    return hashlib.shake_256(label.encode()).digest(count)


def hexed(keys):
    return {name: key.hex() for name, key in keys.items()}


def key_schedule():
    """An IKE SA with two additional key exchanges, its children, and its successor with as many."""
    prfs = list(judge.PRF)
    for number, (encryption, key_bits, integrity) in enumerate(AEADS + WITH_HMAC):
        for prf in prfs if number == 0 else [prfs[number % 4]]:
            label = f"{encryption} {key_bits} {integrity} {prf}"
            suite = {"encryption": encryption, "key_bits": key_bits, "integrity": integrity, "prf": prf}
            new_prf = 7 if prf == 5 else 5  # the successor's differs
            spis = [octets(label + " SPI" + side, 8) for side in "ir"]
            new_spis = [octets(label + " new SPI" + side, 8) for side in "ir"]
            nonces = [octets(label + " Ni", 16 + number), octets(label + " Nr", 32 + 8 * number)]
            new_nonces = [octets(label + " new Ni", 32), octets(label + " new Nr", 256)]
            shared = [octets(f"{label} SK{i}", size) for i, size in enumerate((32, 48, 256))]
            new_shared = [octets(f"{label} new SK{i}", size) for i, size in enumerate((66, 32, 56))]
            chain = [judge.first_keys(suite, nonces, spis, shared[0])]
            for one in shared[1:]:
                chain.append(judge.next_keys(suite, nonces, spis, chain[-1]["d"], one))
            sk_d = chain[-1]["d"]
            esp, size = list(ESP.items())[number % len(ESP)]
            children = []
            for count in (0, 1, 3):
                keymat = judge.child_keymat(prf, sk_d, new_nonces, new_shared[:count], 2 * size)
                children.append({"exchanges": count, "suite": esp, "to_responder": keymat[:size].hex(),
                                 "to_initiator": keymat[size:].hex()})
            new_suite = {**suite, "prf": new_prf}
            yield {"suite": suite, "new_prf": new_prf, "spis": [one.hex() for one in spis],
                   "new_spis": [one.hex() for one in new_spis], "nonces": [one.hex() for one in nonces],
                   "new_nonces": [one.hex() for one in new_nonces], "shared": [one.hex() for one in shared],
                   "new_shared": [one.hex() for one in new_shared], "chain": [hexed(keys) for keys in chain],
                   "children": children,
                   "rekeyed": [hexed(judge.rekeyed_keys(new_suite, prf, new_nonces, new_spis, sk_d, new_shared[:count]))
                               for count in (1, 3)]}


def sealed():
    """Messages of SK payloads: with as little padding as will do, with more, and with more than there is text."""
    for encryption, key_bits, integrity in AEADS + WITH_HMAC:
        suite = {"encryption": encryption, "key_bits": key_bits, "integrity": integrity}
        sizes = judge.key_sizes(suite)
        block = {judge.CBC: 16, judge.TDES: 8}.get(encryption, 1)
        for length, more in ((0, 0), (1, 3), (15, 0), (16, 1), (300, 3), (15, None)):
            label = f"sealed {encryption} {key_bits} {integrity} {length} {more}"
            keys = [octets(label + " SK_e", sizes[0]), octets(label + " SK_a", sizes[1])]
            front, plain = octets(label + " front", 32 + 4 * (more or 0)), octets(label + " plain", length)
            iv = octets(label + " IV", max(block, 8))
            padding = 16 if more is None else -(length + 1) % block + more * block
            text = plain + (bytes(range(1, padding + 1)) if more is not None else b"") + bytes([padding])
            message = front + judge.seal(suite, *keys, front, text, iv)
            assert more is None or judge.unseal(suite, *keys, message, len(front)) == plain
            yield {**suite, "encryption_key": keys[0].hex(), "integrity_key": keys[1].hex(), "offset": len(front),
                   "padding": padding, "message": message.hex(), "plain": None if more is None else plain.hex()}


def modp():
    for group, (bits, k, exponent_bits) in judge.MODP.items():
        prime, size = judge.modp_prime(bits, k), bits // 8
        own = int.from_bytes(octets(f"modp {bits} own", exponent_bits // 8)) | 1 << (exponent_bits - 1)
        peer = int.from_bytes(octets(f"modp {bits} peer", exponent_bits // 8)) | 1 << (exponent_bits - 1)
        for leading_zero in (False, True)[:2 if bits <= 2048 else 1]:
            while leading_zero and pow(2, own * peer, prime) >> (bits - 8):
                peer += 1
            yield {"group": group, "prime": prime.to_bytes(size).hex(), "private": own.to_bytes(size).hex(),
                   "public": pow(2, own, prime).to_bytes(size).hex(), "peer": pow(2, peer, prime).to_bytes(size).hex(),
                   "shared": pow(2, own * peer, prime).to_bytes(size).hex()}


FILES = {"ike_key_schedule.json": key_schedule, "ike_sealed.json": sealed, "ike_modp.json": modp}


def content(name):
    return '{"tests": [\n' + ",\n".join(json.dumps(case) for case in FILES[name]()) + "\n]}\n"


if __name__ == "__main__":
    for file_name in FILES:
        (HERE / file_name).write_text(content(file_name), encoding="ascii")
