#!/usr/bin/env python3
"""Writes the seeds of the IKE crypto's fuzz targets into corpus/: run it after a change and commit what it wrote."""

import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
sys.path.insert(0, str(VECTORS))

import ike_judge as judge  # noqa: E402

# In the order of the targets' tables.
CIPHERS = [(judge.GCM16, 128, 0), (judge.GCM16, 256, 0), (judge.CHACHA20_POLY1305, 0, 0), (judge.CBC, 128, 2),
           (judge.CBC, 192, 12), (judge.CBC, 256, 13), (judge.CBC, 256, 14), (judge.TDES, 0, 2)]
METHODS = ["x25519", "x448", "ecp256", "ecp384", "ecp521", "mlkem512", "mlkem768", "mlkem1024", 2, 14, 15]
FILL_UP, AUTHENTICATE = 0x80, 0x80


def write(target, name, content):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def cases(name):
    return json.loads((VECTORS / name).read_text())["tests"]


def public_values(method):
    if isinstance(method, int):
        return [case["peer"] for case in cases("ike_modp.json") if case["group"] == method][:1]
    if method.startswith("x"):
        return [case["public"] for case in cases(f"wycheproof_{method}.json")
                if {"Ktv", "ZeroSharedSecret"} & set(case["flags"])][:2]
    if method.startswith("ecp"):
        return [case["public_i"] for case in cases("rfc5903.json") if case["method"] == method]
    return [case[field] for case in cases("nist_mlkem.json") if case["method"] == method
            for kind, field in (("key", "public"), ("decapsulate", "ciphertext")) if case["kind"] == kind][::3]


def main():
    for number, (encryption, key_bits, integrity) in enumerate(CIPHERS):
        suite = {"encryption": encryption, "key_bits": key_bits, "integrity": integrity}
        keys = [bytes([0x5a]) * size for size in judge.key_sizes(suite)]
        block = {judge.CBC: 16, judge.TDES: 8}.get(encryption, 1)
        front, plain = bytes(range(32)), b"payloads"
        padding = -(len(plain) + 1) % block
        body = judge.seal(suite, *keys, front, plain + bytes(padding) + bytes([padding]), bytes(max(block, 8)))
        name = "-".join(map(str, (encryption, key_bits, integrity)))
        write("fuzz_ike_open", name, bytes([number, len(front)]) + front + body)
        if integrity:
            write("fuzz_ike_open", name + "-authenticated", bytes([number | AUTHENTICATE, 32]) + front + body[::-1])
    for number, method in enumerate(METHODS):
        for count, value in enumerate(public_values(method)):
            write("fuzz_ike_key_exchange", f"{method}-{count}", bytes([number]) + bytes.fromhex(value))
        write("fuzz_ike_key_exchange", f"{method}-short", bytes([number | FILL_UP, 9]))


if __name__ == "__main__":
    main()
