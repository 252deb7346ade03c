"""Writes drivers/crypto/known_answers.cpp's rows: ESP written plainly with Python's cryptography and hmac modules.

    ./dev shell python3 tests/unit/crypto/known_answers.py > rows
"""
import hmac
import re
import struct
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    TripleDES = algorithms.TripleDES

LENGTHS = (16, 112, 528, 1424)
HIGH = 0x01020304
HEADER = bytes.fromhex("c0ffee010000002a")
AUTH = {"sha1": (20, 12), "sha256": (32, 16), "sha384": (48, 24), "sha512": (64, 32)}
NAMES = ([f"aes{n}{kind}" for kind in ("gcm16", "gmac") for n in (128, 192, 256)] + ["chacha20poly1305"] +
         [f"aes{n}{kind}-{auth}" for kind in ("cbc", "ctr") for auth in AUTH for n in (128, 192, 256)] +
         [f"null-{auth}" for auth in AUTH] + ["3descbc-sha1", "3descbc-sha256"])


def run(algorithm, mode, data):
    encryptor = Cipher(algorithm, mode).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def icv_of(name, esn, length):
    cipher, _, auth = name.partition("-")
    bits = re.search(r"aes(\d+)", cipher)
    cipher_key = int(bits[1]) // 8 if bits else {"chacha20poly1305": 32, "3descbc": 24, "null": 0}[cipher]
    salt = 0 if "cbc" in cipher or cipher == "null" else 4
    iv_size = 0 if cipher == "null" else 16 if "aes" in cipher and "cbc" in cipher else 8
    auth_key, icv_size = AUTH.get(auth, (0, 16))
    material = bytes((7 * i + 1) & 0xff for i in range(cipher_key + salt + auth_key))
    key, salt, auth_key = material[:cipher_key], material[cipher_key:cipher_key + salt], material[cipher_key + salt:]
    iv = bytes(0xa0 + i for i in range(iv_size))
    payload = bytes((i * 11 + length) & 0xff for i in range(length))
    high = struct.pack("!I", HIGH) if esn else b""
    aad = HEADER[:4] + high + HEADER[4:]
    if cipher.endswith("gcm16"):
        return AESGCM(key).encrypt(salt + iv, payload, aad)[-16:]
    if cipher.endswith("gmac"):
        return AESGCM(key).encrypt(salt + iv, b"", aad + iv + payload)
    if cipher == "chacha20poly1305":
        return ChaCha20Poly1305(key).encrypt(salt + iv, payload, aad)[-16:]
    if cipher.endswith("ctr"):
        payload = run(algorithms.AES(key), modes.CTR(salt + iv + struct.pack("!I", 1)), payload)
    elif cipher == "3descbc":
        payload = run(TripleDES(key), modes.CBC(iv), payload)
    elif cipher.endswith("cbc"):
        payload = run(algorithms.AES(key), modes.CBC(iv), payload)
    return hmac.new(auth_key, HEADER + iv + payload + high, auth).digest()[:icv_size]


def main():
    for name in NAMES:
        row = name.replace("-", "_").replace("3des", "des3")
        for esn in (False, True):
            values = ", ".join(f'"{icv_of(name, esn, length).hex()}"' for length in LENGTHS)
            print(f"    {{esp_suite::{row}, {str(esn).lower()}, {{{values}}}}},")


if __name__ == "__main__":
    sys.exit(main())
