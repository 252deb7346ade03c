"""Certificates as a site's operator would have them: authorities, chains, end entities, revocation lists."""

import dataclasses
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

KEYS = {
    "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa4096": lambda: rsa.generate_private_key(65537, 4096),
    "ecdsa256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}
FOR_TLS = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
FOR_OCSP = (ExtendedKeyUsageOID.OCSP_SIGNING,)  # of a responder that its authority certified (RFC 6960 4.2.2.2)
_hash_of_curve = {256: hashes.SHA256, 384: hashes.SHA384, 521: hashes.SHA512}


def _hash_for(key):
    """Ed25519 and Ed448 bring their own; an ECDSA key takes the hash of its size (RFC 5480 4)."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return _hash_of_curve[key.curve.key_size]()
    return hashes.SHA256() if isinstance(key, rsa.RSAPrivateKey) else None


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Trunkgate tests"),
                      x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def subject_text(certificate):
    """As the gateway writes it: "O=..., CN=..."."""
    return ", ".join(attribute.rfc4514_string() for attribute in certificate.subject)


def _pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclasses.dataclass
class Credential:
    """A certificate and its key; `intermediates` are between it and the authority that the peer trusts."""
    name: str
    key: object
    certificate: x509.Certificate
    intermediates: list

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def subject(self):
        return self.certificate.subject.rfc4514_string()

    def certificate_pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def chain_pem(self):
        """Ours first, then the intermediates: as `local.certificate` wants it."""
        return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in (self.certificate, *self.intermediates))

    def key_pem(self):
        return _pem(self.key)

    def write(self, directory):
        """NAME.pem (the chain) and NAME.key; their paths."""
        os.makedirs(directory, exist_ok=True)
        paths = [os.path.join(directory, self.name + ending) for ending in (".pem", ".key")]
        with open(paths[0], "wb") as f:
            f.write(self.chain_pem())
        with open(os.open(paths[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            f.write(self.key_pem())
        return paths


class Authority:
    """A certification authority; with an issuer, an intermediate one. `ocsp`: the URL of who answers for this certificate."""

    def __init__(self, name, key="ecdsa256", issuer=None, days=3650, ocsp=None):
        self.name, self.issuer = name, issuer
        self.key = KEYS[key]()
        self.serials = 1
        above = issuer or self
        builder = self._builder(_name(name), self.key.public_key(), above, -1, days, ocsp)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(self._usage(key_cert_sign=True, crl_sign=True), critical=True)
        self.certificate = builder.sign(above.key, _hash_for(above.key))

    @staticmethod
    def _usage(**given):
        words = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
        return x509.KeyUsage(**{word: given.get(word, False) for word in words})

    @staticmethod
    def _builder(subject, public_key, above, first_day, last_day, ocsp):
        now = _now()
        builder = x509.CertificateBuilder(
            subject_name=subject, issuer_name=_name(above.name), public_key=public_key,
            serial_number=x509.random_serial_number(), not_valid_before=now + datetime.timedelta(days=first_day),
            not_valid_after=now + datetime.timedelta(days=last_day))
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        if ocsp:
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp))
            builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
        return builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), critical=False)

    @property
    def intermediates(self):
        """From this authority upwards, without the root, which the peer has."""
        return [self.certificate, *self.issuer.intermediates] if self.issuer else []

    @property
    def serial(self):
        return self.certificate.serial_number

    def issue(self, name, key="ecdsa256", names=None, days=(-1, 365), file_name=None, common_name=None, ocsp=None,
              purposes=FOR_TLS):
        """An end entity for the DNS names `names` (default: its own); `days`: validity counted from today, and
        (-10, -1) is an expired one. `ocsp`: the URL of its responder."""
        private = KEYS[key]()
        names = [name] if names is None else names
        builder = self._builder(_name(common_name or name), private.public_key(), self, *days, ocsp)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(self._usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        return Credential(file_name or name, private, builder.sign(self.key, _hash_for(self.key)), self.intermediates)

    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self):
        return _pem(self.key)

    def crl(self, revoked=(), days=(-1, 30)):
        """A revocation list with these credentials in it, as PEM."""
        now = _now()
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=_name(self.name), last_update=now + datetime.timedelta(days=days[0]),
            next_update=now + datetime.timedelta(days=days[1]))
        for credential in revoked:
            entry = x509.RevokedCertificateBuilder(serial_number=credential.serial, revocation_date=now)
            builder = builder.add_revoked_certificate(
                entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False).build())
        builder = builder.add_extension(x509.CRLNumber(self.serials), critical=False)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        self.serials += 1
        return builder.sign(self.key, _hash_for(self.key)).public_bytes(serialization.Encoding.PEM)

    def write(self, directory):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, self.name.replace(" ", "-") + ".pem")
        with open(path, "wb") as f:
            f.write(self.pem())
        return path

    def write_crl(self, directory, revoked=(), **options):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, self.name.replace(" ", "-") + ".crl")
        with open(path, "wb") as f:
            f.write(self.crl(revoked, **options))
        return path
