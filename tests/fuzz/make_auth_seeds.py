#!/usr/bin/env python3
"""Writes the seeds of fuzz_ike_certificates and fuzz_keystore_message into corpus/. Keys are new each time."""

import datetime
import ipaddress
import struct
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CORPUS = Path(__file__).resolve().parent / "corpus"
CERTIFICATE, CRL, OCSP, ID, AUTH, OCTETS, ANCHOR, PUBLIC_KEY, IDENTITY_TEXT = range(9)
DER = serialization.Encoding.DER
FROM, UNTIL = datetime.datetime(2020, 1, 1), datetime.datetime(2049, 1, 1)
SIGNED = b"octets"


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def part(kind, content):
    return bytes([kind]) + struct.pack(">H", len(content)) + content


def named(common_name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certificate(name, key, issuer=None, issuer_key=None, ca=False):
    builder = (x509.CertificateBuilder().subject_name(named(name)).issuer_name(named(issuer or name))
               .public_key(key.public_key()).serial_number(x509.random_serial_number()).not_valid_before(FROM)
               .not_valid_after(UNTIL).add_extension(x509.BasicConstraints(ca, None), True))
    if not ca:
        names = [x509.DNSName("b.example"), x509.RFC822Name("u@b.example"),
                 x509.IPAddress(ipaddress.ip_address("192.0.2.7")), x509.DirectoryName(named("other"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.IPSEC_IKE]), False)
    signer = issuer_key or key
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def certificates():
    ca_key, middle_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("root", ca_key, ca=True)
    middle = certificate("middle", middle_key, "root", ca_key, ca=True)
    keys = {"rsa": rsa.generate_private_key(65537, 2048), "ecdsa": ec.generate_private_key(ec.SECP256R1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate()}
    auths = {"rsa": bytes([1]) + keys["rsa"].sign(SIGNED, padding.PKCS1v15(), hashes.SHA256()),
             "ecdsa": bytes([14]) + b"\x0c" + bytes.fromhex("300a06082a8648ce3d040302") +
             keys["ecdsa"].sign(SIGNED, ec.ECDSA(hashes.SHA256())),
             "ed25519": bytes([14]) + b"\x07" + bytes.fromhex("300506032b6570") + keys["ed25519"].sign(SIGNED)}
    for name, key in keys.items():
        peer = certificate("peer", key, "middle", middle_key)
        crl = (x509.CertificateRevocationListBuilder().issuer_name(named("middle")).last_update(FROM).next_update(UNTIL)
               .add_extension(x509.CRLNumber(1), False)
               .add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(7).revocation_date(FROM).build())
               .sign(middle_key, hashes.SHA256()))
        answer = (ocsp.OCSPResponseBuilder().add_response(peer, middle, hashes.SHA1(), ocsp.OCSPCertStatus.GOOD, FROM,
                                                          UNTIL, None, None)
                  .responder_id(ocsp.OCSPResponderEncoding.NAME, middle).sign(middle_key, hashes.SHA256()))
        public = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        whole = (part(ANCHOR, ca.public_bytes(DER)) + part(CERTIFICATE, peer.public_bytes(DER)) +
                 part(CERTIFICATE, middle.public_bytes(DER)) + part(ID, b"\x02b.example") + part(AUTH, auths[name]) +
                 part(OCTETS, SIGNED) + part(PUBLIC_KEY, public))
        write("fuzz_ike_certificates", name, whole)
        write("fuzz_ike_certificates", name + "_crl", whole + part(CRL, crl.public_bytes(DER)))
        write("fuzz_ike_certificates", name + "_ocsp", whole + part(OCSP, answer.public_bytes(DER)))
    for number, text in enumerate(["b.example", "u@b.example", "192.0.2.7", "2001:db8::1", "keyid:0a0b",
                                   r"C=DE, O=A\, B, CN=\x41"]):
        write("fuzz_ike_certificates", f"identity_{number}", part(IDENTITY_TEXT, text.encode()))
    write("fuzz_ike_certificates", "name", part(ID, b"\x09" + named("peer").public_bytes()))
    write("fuzz_ike_certificates", "pss", part(CERTIFICATE, certificate("peer", keys["rsa"]).public_bytes(DER)) + part(
        AUTH, b"\x0e\x43" + bytes.fromhex(
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086"
            "480165030402010500a203020120") +
        keys["rsa"].sign(SIGNED, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())) + part(OCTETS, SIGNED))


def messages():
    magic, version = 0x54474B53, 1
    for kind, name in enumerate(["public_key", "sign", "psk_auth", "mix_ppk", "reload", "status"], 1):
        parts = [b"\x11" * 32] * 3 if name == "mix_ppk" else [b"octets", b"", b""]
        head = struct.pack("=IHHIBBHHH3I", magic, version, kind, 7, 0, 1, 5, 5, 7, *map(len, parts))
        write("fuzz_keystore_message", name, b"\0" + head + b"a.psk" + b"tunnels" + b"".join(parts))
    for kind, name in ((100, "ok"), (101, "failed")):
        write("fuzz_keystore_message", name, b"\1" + struct.pack("=IHHI3I", magic, version, kind, 7, 6, 0, 0) + b"answer")
    for name, key in (("text", b"secret\n"), ("hex", b"0x0011ff\n"), ("base64", b"0sYWJjZA==\n")):
        write("fuzz_keystore_message", name, b"\2" + key)
    for name, key in (("ec", ec.generate_private_key(ec.SECP256R1())), ("ed", ed25519.Ed25519PrivateKey.generate())):
        write("fuzz_keystore_message", name, b"\3" + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


if __name__ == "__main__":
    certificates()
    messages()
