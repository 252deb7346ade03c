"""ML-KEM (FIPS 203) a second time, plainly, on Python's hashlib: the judge of OpenSSL's. Neither fast nor of constant
time; each function bears the name and the number of the algorithm in the standard."""

import hashlib
import hmac
import os

N, Q = 256, 3329
# Table 2: k, eta1, eta2, du, dv
PARAMETERS = {512: (2, 3, 2, 10, 4), 768: (3, 2, 2, 10, 4), 1024: (4, 2, 2, 11, 5)}


def bit_reversed(i):
    return int(f"{i:07b}"[::-1], 2)


ZETAS = [pow(17, bit_reversed(i), Q) for i in range(128)]
GAMMAS = [pow(17, 2 * bit_reversed(i) + 1, Q) for i in range(128)]


def G(data):
    digest = hashlib.sha3_512(data).digest()
    return digest[:32], digest[32:]


def H(data):
    return hashlib.sha3_256(data).digest()


def J(data):
    return hashlib.shake_256(data).digest(32)


def encode(values, bits):
    """5, ByteEncode"""
    number = sum(value << bits * i for i, value in enumerate(values))
    return number.to_bytes(32 * bits, "little")


def decode(data, bits):
    """6, ByteDecode; not reduced where there are 12 bits"""
    number, mask = int.from_bytes(data, "little"), (1 << bits) - 1
    return [number >> bits * i & mask for i in range(N)]


def compress(values, bits):
    """4.2.1"""
    return [((value << bits) + Q // 2) // Q & ((1 << bits) - 1) for value in values]


def decompress(values, bits):
    return [(value * Q + (1 << bits - 1)) >> bits for value in values]


def sample_ntt(seed):
    """7, SampleNTT"""
    out, length = [], 840
    while len(out) < N:
        stream, out = hashlib.shake_128(seed).digest(length), []
        for at in range(0, length, 3):
            first, second = stream[at] | (stream[at + 1] & 15) << 8, stream[at + 1] >> 4 | stream[at + 2] << 4
            out += [value for value in (first, second) if value < Q]
        length *= 2
    return out[:N]


def sample_cbd(eta, seed, number):
    """8, SamplePolyCBD of PRF (4.1)"""
    bits = int.from_bytes(hashlib.shake_256(seed + bytes([number])).digest(64 * eta), "little")
    mask = (1 << eta) - 1
    return [((bits >> 2 * eta * i & mask).bit_count() - (bits >> eta * (2 * i + 1) & mask).bit_count()) % Q
            for i in range(N)]


def ntt(f):
    """9, NTT"""
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def inverse_ntt(f):
    """10, NTT^-1"""
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, N, 2 * length):
            zeta, i = ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [value * 3303 % Q for value in f]  # 128^-1


def product(f, g):
    """11 and 12, MultiplyNTTs"""
    out = []
    for i, gamma in enumerate(GAMMAS):
        a0, a1, b0, b1 = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        out += [(a0 * b0 + a1 * b1 * gamma) % Q, (a0 * b1 + a1 * b0) % Q]
    return out


def add(*polynomials):
    return [sum(values) % Q for values in zip(*polynomials)]


def dot(row, vector):
    return add(*(product(f, g) for f, g in zip(row, vector)))


def matrix(rho, k):
    return [[sample_ntt(rho + bytes([j, i])) for j in range(k)] for i in range(k)]


def public_key_encrypt(size, key, message, randomness):
    """14, K-PKE.Encrypt"""
    k, eta1, eta2, du, dv = PARAMETERS[size]
    t = [decode(key[384 * i:384 * i + 384], 12) for i in range(k)]
    a = matrix(key[384 * k:], k)
    y = [ntt(sample_cbd(eta1, randomness, i)) for i in range(k)]
    e1 = [sample_cbd(eta2, randomness, k + i) for i in range(k)]
    e2 = sample_cbd(eta2, randomness, 2 * k)
    u = [add(inverse_ntt(dot([a[j][i] for j in range(k)], y)), e1[i]) for i in range(k)]
    v = add(inverse_ntt(dot(t, y)), e2, decompress(decode(message, 1), 1))
    return b"".join(encode(compress(f, du), du) for f in u) + encode(compress(v, dv), dv)


def public_key_decrypt(size, key, ciphertext):
    """15, K-PKE.Decrypt"""
    k, _, _, du, dv = PARAMETERS[size]
    u = [decompress(decode(ciphertext[32 * du * i:32 * du * (i + 1)], du), du) for i in range(k)]
    v = decompress(decode(ciphertext[32 * du * k:], dv), dv)
    s = [decode(key[384 * i:384 * i + 384], 12) for i in range(k)]
    w = add(v, [-value for value in inverse_ntt(dot(s, [ntt(f) for f in u]))])
    return encode(compress(w, 1), 1)


def generate(size, seed=None):
    """16, ML-KEM.KeyGen_internal: (encapsulation key, decapsulation key) of d | z"""
    k, eta1 = PARAMETERS[size][:2]
    seed = seed or os.urandom(64)
    rho, sigma = G(seed[:32] + bytes([k]))
    s = [ntt(sample_cbd(eta1, sigma, i)) for i in range(k)]
    e = [ntt(sample_cbd(eta1, sigma, k + i)) for i in range(k)]
    t = [add(dot(row, s), e[i]) for i, row in enumerate(matrix(rho, k))]
    public = b"".join(encode(f, 12) for f in t) + rho
    return public, b"".join(encode(f, 12) for f in s) + public + H(public) + seed[32:]


def encapsulate(size, public, message=None):
    """20, ML-KEM.Encaps: (shared secret, ciphertext); ValueError for what is no encapsulation key (7.2)"""
    k = PARAMETERS[size][0]
    if len(public) != 384 * k + 32:
        raise ValueError(f"an encapsulation key of {len(public)} octets")
    if any(value >= Q for i in range(k) for value in decode(public[384 * i:384 * i + 384], 12)):
        raise ValueError("an encapsulation key with too large a coefficient")
    message = message or os.urandom(32)
    shared, randomness = G(message + H(public))
    return shared, public_key_encrypt(size, public, message, randomness)


def decapsulate(size, private, ciphertext):
    """21, ML-KEM.Decaps: of a wrong ciphertext, a secret that nobody else has"""
    k, _, _, du, dv = PARAMETERS[size]
    if len(ciphertext) != 32 * (du * k + dv):
        raise ValueError(f"a ciphertext of {len(ciphertext)} octets")
    public, digest, z = private[384 * k:768 * k + 32], private[768 * k + 32:768 * k + 64], private[768 * k + 64:]
    message = public_key_decrypt(size, private[:384 * k], ciphertext)
    shared, randomness = G(message + digest)
    same = hmac.compare_digest(ciphertext, public_key_encrypt(size, public, message, randomness))
    return shared if same else J(z + ciphertext)
