"""IKEv2's cryptography a second time, plainly, on Python's hmac, hashlib and cryptography: the judge of ours."""

import hmac

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:
    TripleDES = algorithms.TripleDES

# By their numbers on the wire (IANA, "Internet Key Exchange Version 2 (IKEv2) Parameters").
PRF = {2: "sha1", 5: "sha256", 6: "sha384", 7: "sha512"}
INTEGRITY = {2: ("sha1", 20, 12), 12: ("sha256", 32, 16), 13: ("sha384", 48, 24), 14: ("sha512", 64, 32)}
TDES, CBC, GCM16, CHACHA20_POLY1305 = 3, 12, 20, 28
KEY_NAMES = ("d", "ai", "ar", "ei", "er", "pi", "pr")


def prf(number, key, data):
    return hmac.new(key, data, PRF[number]).digest()


def prf_plus(number, key, seed, length):
    """RFC 7296 2.13"""
    stream = block = b""
    for round_number in range(1, 256):
        if len(stream) >= length:
            break
        block = prf(number, key, block + seed + bytes([round_number]))
        stream += block
    assert len(stream) >= length
    return stream[:length]


def key_sizes(suite):
    encryption = {GCM16: suite["key_bits"] // 8 + 4, CHACHA20_POLY1305: 36, CBC: suite["key_bits"] // 8, TDES: 24}
    return encryption[suite["encryption"]], INTEGRITY[suite["integrity"]][1] if suite["integrity"] else 0


def spread(suite, nonces, spis, skeyseed):
    """{SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr)"""
    encryption, integrity = key_sizes(suite)
    size = len(prf(suite["prf"], b"", b""))
    sizes = (size, integrity, integrity, encryption, encryption, size, size)
    stream = prf_plus(suite["prf"], skeyseed, b"".join(nonces) + b"".join(spis), sum(sizes))
    keys = {}
    for name, octets in zip(KEY_NAMES, sizes):
        keys[name], stream = stream[:octets], stream[octets:]
    return keys


def first_keys(suite, nonces, spis, shared):
    """RFC 7296 2.14"""
    return spread(suite, nonces, spis, prf(suite["prf"], b"".join(nonces), shared))


def next_keys(suite, nonces, spis, sk_d, shared):
    """RFC 9370 2.2.2"""
    return spread(suite, nonces, spis, prf(suite["prf"], sk_d, shared + b"".join(nonces)))


def rekeyed_keys(suite, old_prf, nonces, spis, old_sk_d, shared):
    """RFC 7296 2.18, RFC 9370 2.2.4"""
    return spread(suite, nonces, spis, prf(old_prf, old_sk_d, shared[0] + b"".join(nonces) + b"".join(shared[1:])))


def child_keymat(prf_number, sk_d, nonces, shared, length):
    """RFC 7296 2.17, RFC 9370 2.2.4"""
    first, rest = (shared[0], b"".join(shared[1:])) if shared else (b"", b"")
    return prf_plus(prf_number, sk_d, first + b"".join(nonces) + rest, length)


def block_cipher(suite, key, iv):
    algorithm = TripleDES(key) if suite["encryption"] == TDES else algorithms.AES(key)
    return Cipher(algorithm, modes.CBC(iv))


def aead(suite, key):
    return AESGCM(key[:-4]) if suite["encryption"] == GCM16 else ChaCha20Poly1305(key[:-4])


def seal(suite, encryption_key, integrity_key, front, text, iv):
    """The body of an SK payload behind `front` (RFC 7296 3.14, RFC 5282 3); `text` ends with padding and its length."""
    if suite["encryption"] in (GCM16, CHACHA20_POLY1305):
        return iv + aead(suite, encryption_key).encrypt(encryption_key[-4:] + iv, text, front)
    encryptor = block_cipher(suite, encryption_key, iv).encryptor()
    body = iv + encryptor.update(text) + encryptor.finalize()
    name, _, icv = INTEGRITY[suite["integrity"]]
    return body + hmac.new(integrity_key, front + body, name).digest()[:icv]


def unseal(suite, encryption_key, integrity_key, message, offset):
    """The payloads inside; None if the message does not authenticate."""
    front, body = message[:offset], message[offset:]
    if suite["encryption"] in (GCM16, CHACHA20_POLY1305):
        try:
            text = aead(suite, encryption_key).decrypt(encryption_key[-4:] + body[:8], body[8:], front)
        except Exception:  # InvalidTag, or too short for one
            return None
    else:
        name, _, icv = INTEGRITY[suite["integrity"]]
        if not hmac.compare_digest(hmac.new(integrity_key, message[:-icv], name).digest()[:icv], message[-icv:]):
            return None
        block = 8 if suite["encryption"] == TDES else 16
        decryptor = block_cipher(suite, encryption_key, body[:block]).decryptor()
        text = decryptor.update(body[block:-icv]) + decryptor.finalize()
    return text[:-1 - text[-1]]


def modp_prime(bits, k):
    """RFC 2409 6.2, RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + k)"""
    def arctan_of_inverse(x, unity):
        total = term = unity // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total
    guard = 64
    unity = 1 << (bits - 130 + guard)
    pi = 4 * (4 * arctan_of_inverse(5, unity) - arctan_of_inverse(239, unity))  # Machin
    return (1 << bits) - (1 << (bits - 64)) - 1 + (1 << 64) * ((pi >> guard) + k)


# number: (bits, k, bits of an exponent)
MODP = {2: (1024, 129093, 192), 14: (2048, 124476, 225), 15: (3072, 1690314, 275), 16: (4096, 240904, 325),
        17: (6144, 929484, 375), 18: (8192, 4743158, 400)}
