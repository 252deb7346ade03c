"""The key process: what it signs and computes is right, it gives no key away, and it does nothing else."""

import base64
import hashlib
import hmac
import os
import signal
import socket
import stat
import struct

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, ed448, padding, rsa

from harness.keystore import Keystore, Probe, Refused, memory_has
from harness.netns import wait_until

PSK = b"correct horse battery staple"
OCTETS = bytes(range(256)) * 3
FORMATS = serialization.PrivateFormat
NO_PASSPHRASE = serialization.NoEncryption()


def pem(key, form=FORMATS.PKCS8, encryption=NO_PASSPHRASE):
    return key.private_bytes(serialization.Encoding.PEM, form, encryption)


@pytest.fixture
def keystore(tmp_path):
    made = Keystore(str(tmp_path))
    made.write("a.psk", PSK + b"\n")
    yield made
    if made.process:
        status = made.stop()
        assert status in (0, -signal.SIGKILL), made.process.text()
        assert "Sanitizer" not in made.process.text()


@pytest.fixture
def probe(keystore):
    made = Probe(keystore.socket)
    yield made
    made.close()


# ---- what it computes ----

HASH = {"sha1": hashes.SHA1, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512}


def verify(public, scheme, signature):
    """Raises unless python3-cryptography takes the signature."""
    kind, _, rest = scheme.partition("_")
    if kind in ("ed25519", "ed448"):
        return public.verify(signature, OCTETS)
    digest = HASH[rest.rpartition("_")[2]]()
    if kind == "ecdsa":
        return public.verify(signature, OCTETS, ec.ECDSA(digest))
    if "pss" in scheme:
        return public.verify(signature, OCTETS, padding.PSS(padding.MGF1(digest), digest.digest_size), digest)
    return public.verify(signature, OCTETS, padding.PKCS1v15(), digest)


def make_keys():
    yield "rsa", rsa.generate_private_key(65537, 2048), ["rsa_pkcs1_sha1", "rsa_pkcs1_sha256", "rsa_pkcs1_sha384",
                                                         "rsa_pkcs1_sha512", "rsa_pss_sha256", "rsa_pss_sha384",
                                                         "rsa_pss_sha512"]
    for curve in (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1):
        yield curve.name, ec.generate_private_key(curve()), ["ecdsa_sha256", "ecdsa_sha384", "ecdsa_sha512"]
    yield "ed25519", ed25519.Ed25519PrivateKey.generate(), ["ed25519"]
    yield "ed448", ed448.Ed448PrivateKey.generate(), ["ed448"]


def test_every_kind_of_key_signs_by_every_scheme(keystore, probe):
    keystore.start()
    for name, key, schemes in make_keys():
        forms = [FORMATS.PKCS8] if name.startswith("ed") else [FORMATS.PKCS8, FORMATS.TraditionalOpenSSL]
        for form in forms:  # the second is PKCS#1 or SEC1
            file = keystore.write(f"{name}-{form.name}.key", pem(key, form))
            public = serialization.load_der_public_key(bytes.fromhex(probe.ask("public_key", "file", file)[0]))
            assert public == key.public_key()
            for scheme in schemes:
                verify(public, scheme, probe.sign(file, scheme, OCTETS))
        other = "ecdsa_sha256" if name == "rsa" else "rsa_pss_sha256"
        with pytest.raises(Refused, match=r"tunnels\.t\.key: .*can't sign by"):
            probe.sign(file, other, OCTETS)


def prf(name, key, octets):
    return hmac.new(key, octets, getattr(hashlib, name)).digest()


def test_the_psk_goes_through_the_prf_twice(keystore, probe):
    keystore.start()
    for name in ("sha1", "sha256", "sha384", "sha512"):  # RFC 7296 2.15
        expected = prf(name, prf(name, PSK, b"Key Pad for IKEv2"), OCTETS)
        assert probe.psk_auth("a.psk", name, OCTETS) == expected
    with pytest.raises(Refused, match="PRF 4 is none"):
        probe.ask("psk_auth", "file", "a.psk", 4, "00")


def test_the_ppk_is_mixed_as_rfc_8784_says(keystore, probe):
    keystore.start()
    for name, number in (("sha256", 5), ("sha384", 6), ("sha512", 7)):
        size = hashlib.new(name).digest_size
        keys = [os.urandom(size) for _ in range(3)]
        mixed = probe.ask("mix_ppk", "file", "a.psk", number, *(k.hex() for k in keys))
        assert mixed == [prf(name, PSK, k + b"\x01").hex() for k in keys]  # prf+: the first block is all
    with pytest.raises(Refused, match="as long as the PRF's output"):
        probe.ask("mix_ppk", "file", "a.psk", 5, "00" * 17, "00" * 32, "00" * 32)


@pytest.mark.parametrize("written, key", [
    (b"plain", b"plain"), (b"plain\n", b"plain"), (b"plain\r\n", b"plain"), (b" blank \n", b" blank "),
    (b"0x00ff10\n", b"\x00\xff\x10"), (b"0s" + base64.b64encode(b"base 64!") + b"\n", b"base 64!"),
    (b"0s" + base64.b64encode(b"three"), b"three"), ("schl\u00fcssel".encode(), "schl\u00fcssel".encode()),
    (b"x" * 4096, b"x" * 4096), (b"two\nlines\n", b"two\nlines")], ids=range(10))
def test_how_a_psk_is_written(keystore, probe, written, key):
    keystore.write("b.psk", written)
    keystore.start()
    assert probe.psk_auth("b.psk", "sha256", OCTETS) == prf("sha256", prf("sha256", key, b"Key Pad for IKEv2"), OCTETS)


def test_keys_come_from_environment_and_credentials_too(keystore, probe, tmp_path):
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "site").write_bytes(PSK)
    keystore.start(SITE_PSK=PSK.decode(), CREDENTIALS_DIRECTORY=str(tmp_path / "credentials"))
    expected = prf("sha256", prf("sha256", PSK, b"Key Pad for IKEv2"), OCTETS)
    assert probe.psk_auth("SITE_PSK", "sha256", OCTETS, kind="env") == expected
    assert probe.psk_auth("site", "sha256", OCTETS, kind="credential") == expected
    with pytest.raises(Refused, match="the environment has no variable OTHER"):
        probe.psk_auth("OTHER", "sha256", OCTETS, kind="env")
    with pytest.raises(Refused, match="leads out of"):
        probe.psk_auth("../run/x", "sha256", OCTETS, kind="credential")


# ---- what it refuses ----

def test_files_are_beneath_one_folder_only(keystore, probe, tmp_path):
    (tmp_path / "outside.psk").write_bytes(PSK)
    os.symlink(tmp_path / "outside.psk", os.path.join(keystore.keys, "absolute-link"))
    os.symlink("../outside.psk", os.path.join(keystore.keys, "relative-link"))
    os.symlink("a.psk", os.path.join(keystore.keys, "inside-link"))
    keystore.start()
    for name in ("../outside.psk", "absolute-link", "relative-link", str(tmp_path / "outside.psk"), "/etc/passwd"):
        with pytest.raises(Refused, match="where all keys must be"):
            probe.psk_auth(name, "sha256", OCTETS)
    for name in ("inside-link", os.path.join(keystore.keys, "a.psk"), "./a.psk"):
        probe.psk_auth(name, "sha256", OCTETS)


def test_what_is_no_key_is_refused_with_a_reason(keystore, probe):
    keystore.start()
    secret = serialization.BestAvailableEncryption(b"passphrase")
    os.mkfifo(os.path.join(keystore.keys, "fifo"))
    os.mkdir(os.path.join(keystore.keys, "folder"))
    private = {"encrypted": (pem(ed25519.Ed25519PrivateKey.generate(), encryption=secret), "is encrypted"),
               "small": (pem(rsa.generate_private_key(65537, 1024)), "RSA key of 1024 bits"),
               "koblitz": (pem(ec.generate_private_key(ec.SECP256K1())), "on the curve secp256k1"),
               "text": (b"hello", "holds no private key"), "huge": (b"x" * 70000, "too long")}
    for name, (content, reason) in private.items():
        keystore.write(name, content)
        with pytest.raises(Refused, match=f"tunnels.t.key: {name} .*{reason}"):
            probe.sign(name, "ed25519", OCTETS)
    shared = {"empty": (b"\n", "is empty"), "odd": (b"0x123", "even number"), "nohex": (b"0x12zz", "no hexadecimal"),
              "nobase64": (b"0s!!!!", "no base64"), "longer": (b"x" * 4097, "too long"),
              "pem": (pem(ed25519.Ed25519PrivateKey.generate()), "is a PEM file")}
    for name, (content, reason) in shared.items():
        keystore.write(name, content)
        with pytest.raises(Refused, match=f"tunnels.t.key: {name} .*{reason}"):
            probe.psk_auth(name, "sha256", OCTETS)
    for name, reason in {"fifo": "is no file", "folder": "is no file", "missing": "No such file"}.items():
        with pytest.raises(Refused, match=reason):
            probe.psk_auth(name, "sha256", OCTETS)


def test_a_file_that_all_can_read_is_told(keystore, probe):
    keystore.write("open.psk", PSK, mode=0o644)
    keystore.start()
    probe.psk_auth("open.psk", "sha256", OCTETS)
    wait_until(lambda: "keystore.key_readable_by_others open.psk" in keystore.process.text(), "the warning")
    assert "readable_by_others a.psk" not in keystore.process.text()


HEAD = struct.Struct("=IHHIBBHHH3I")
MAGIC, FAILED, STATUS = 0x54474B53, 101, 6


def raw(keystore, message):
    """One message by hand; the answer, or b"" if the key process closed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(10)
        s.connect(keystore.socket)
        s.send(message)
        return s.recv(65536)


def request(kind=3, magic=MAGIC, version=1, key_kind=0, scheme=0, prf_number=5, name=b"a.psk", parts=(b"", b"", b""),
            name_length=None, part_lengths=None, tail=b""):
    lengths = part_lengths or [len(p) for p in parts]
    return HEAD.pack(magic, version, kind, 77, key_kind, scheme, prf_number,
                     len(name) if name_length is None else name_length, 0, *lengths) + name + b"".join(parts) + tail


def test_a_message_that_is_wrong_changes_nothing(keystore, probe):
    keystore.start()
    wrong = [b"x", b"\0" * 8, request()[:20], request(magic=1), request(version=2), request(kind=0), request(kind=7),
             request(key_kind=3), request(scheme=12), request(name_length=6), request(name_length=65535),
             request(part_lengths=[1, 0, 0]), request(part_lengths=[0xFFFFFFFF, 0, 0]),
             request(part_lengths=[0xFFFFFFFF, 1, 0]), request(tail=b"x"), request(name=b""), request(name=b"a\0b")]
    for message in wrong:
        magic, version, kind, number = struct.unpack("=IHHI", raw(keystore, message)[:12])
        assert (magic, version, kind) == (MAGIC, 1, FAILED), message
        assert number == (77 if len(message) >= 12 else 0)
    assert b"of one release" in raw(keystore, request(version=2))
    private, shared, answered, refused = struct.unpack("=IIQQ", raw(keystore, request(kind=STATUS, name=b""))[24:])
    assert (private, shared, answered, refused) == (0, 0, 0, len(wrong) + 1)
    probe.psk_auth("a.psk", "sha256", OCTETS)


# ---- what it does besides ----

def test_many_requests_are_under_way_at_once(keystore, probe):
    keystore.start()
    assert probe.ask("flood", "file", "a.psk", 3000)[0] == "3000"
    big = os.urandom(65535 + 300)  # a whole IKE_SA_INIT and what follows it
    assert probe.psk_auth("a.psk", "sha256", big) == prf("sha256", prf("sha256", PSK, b"Key Pad for IKEv2"), big)


def test_the_client_finds_it_again_after_a_crash(keystore, probe):
    with pytest.raises(Refused, match="can't be reached at .*keystore.sock: No such file"):
        probe.psk_auth("a.psk", "sha256", OCTETS)
    keystore.start()
    before = probe.psk_auth("a.psk", "sha256", OCTETS)
    keystore.stop(signal.SIGKILL)
    with pytest.raises(Refused, match="went away|can't be reached"):
        probe.psk_auth("a.psk", "sha256", OCTETS)
    with pytest.raises(Refused, match=r"Connection refused \(does trunkgate-keystore run\?\)"):
        probe.psk_auth("a.psk", "sha256", OCTETS)
    keystore.start()
    assert probe.psk_auth("a.psk", "sha256", OCTETS) == before


@pytest.mark.parametrize("how", ["request", "signal"])
def test_a_reload_reads_the_files_again(keystore, probe, how):
    keystore.write("b.psk", b"b")
    keystore.start()

    def reload():
        if how == "request":
            return probe.ask("reload")
        lines = keystore.process.text().count("keystore.reload")
        os.kill(keystore.process.pid, signal.SIGHUP)
        return wait_until(lambda: keystore.process.text().count("keystore.reload") > lines, "the reload")

    old = [probe.psk_auth(name, "sha256", OCTETS) for name in ("a.psk", "b.psk")]
    keystore.write("a.psk", b"other")
    assert probe.psk_auth("a.psk", "sha256", OCTETS) == old[0]
    reload()
    assert probe.psk_auth("a.psk", "sha256", OCTETS) == prf("sha256", prf("sha256", b"other", b"Key Pad for IKEv2"), OCTETS)
    os.unlink(os.path.join(keystore.keys, "b.psk"))
    if how == "request":
        with pytest.raises(Refused, match="b.psk: No such file"):
            reload()
    else:
        reload()
    with pytest.raises(Refused, match="b.psk: No such file"):
        probe.psk_auth("b.psk", "sha256", OCTETS)


# ---- whom it trusts ----

def test_only_its_own_user_may_ask(keystore):
    keystore.start()
    assert stat.S_IMODE(os.stat(keystore.socket).st_mode) == 0o600
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            refused = s.connect_ex(keystore.socket) != 0
        try:
            open(f"/proc/{keystore.process.pid}/mem", "rb").close()
        except OSError:
            os._exit(0 if refused else 1)
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_it_gave_up_what_it_does_not_need(keystore):
    keystore.start()

    def status():
        with open(f"/proc/{keystore.process.pid}/status") as f:
            return dict(line.split(":", 1) for line in f)

    wait_until(lambda: int(status()["NoNewPrivs"]) == 1, "it gives up privileges")
    wait_until(lambda: int(status()["CapEff"], 16) & ~(1 << 14 | 1 << 2) == 0, "only IPC_LOCK and DAC_READ_SEARCH are left")
    with open(f"/proc/{keystore.process.pid}/limits") as f:
        assert next(line.split()[4:6] for line in f if line.startswith("Max core")) == ["0", "0"]


def number_bytes(value):
    """As bytes of both orders: OpenSSL keeps numbers with the lowest first."""
    size = (value.bit_length() + 7) // 8
    return {"big": value.to_bytes(size, "big"), "little": value.to_bytes(size, "little")}


@pytest.mark.heavy  # a sanitizer maps terabytes
def test_no_key_is_in_the_clients_memory(keystore, probe):
    signer, rsa_signer = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    edwards = ed25519.Ed25519PrivateKey.generate()
    ppk = os.urandom(32)
    keystore.write("ec.key", pem(signer))
    keystore.write("rsa.key", pem(rsa_signer))
    keystore.write("ed.key", pem(edwards))
    keystore.write("ppk", b"0x" + ppk.hex().encode())
    needles = {"psk": PSK, "ppk": ppk, "ppk's text": ppk.hex().encode()[32:],
               "psk's inner key": prf("sha256", PSK, b"Key Pad for IKEv2"),
               "ed25519": edwards.private_bytes(serialization.Encoding.Raw, FORMATS.Raw, NO_PASSPHRASE)}
    for name, value in {"ec": signer.private_numbers().private_value, "p": rsa_signer.private_numbers().p,
                        "q": rsa_signer.private_numbers().q, "d": rsa_signer.private_numbers().d}.items():
        needles |= {f"{name}, {order} end first": text for order, text in number_bytes(value).items()}
    for name, key in {"ec": signer, "rsa": rsa_signer, "ed": edwards}.items():
        needles[f"{name}'s PEM"] = pem(key).split(b"\n")[1]

    keystore.start()
    for _ in range(20):
        verify(signer.public_key(), "ecdsa_sha256", probe.sign("ec.key", "ecdsa_sha256", OCTETS))
        verify(rsa_signer.public_key(), "rsa_pss_sha256", probe.sign("rsa.key", "rsa_pss_sha256", OCTETS))
        verify(edwards.public_key(), "ed25519", probe.sign("ed.key", "ed25519", OCTETS))
        probe.psk_auth("a.psk", "sha256", OCTETS)
    # Read last, so that nothing comes to lie over what its file's content leaves behind.
    probe.ask("mix_ppk", "file", "ppk", 5, "11" * 32, "22" * 32, "33" * 32)
    assert memory_has(probe.popen.pid, needles) == set()
    # The same search finds them where they are: in the key process, which only root may read.
    held = memory_has(keystore.process.pid, needles)
    assert {"psk", "ppk", "ed25519", "ec, little end first", "p, little end first"} <= held
    # What was only on the way is wiped there as well.
    assert not held & {"ppk's text", "psk's inner key", "ec's PEM", "rsa's PEM", "ed's PEM"}


# ---- under the supervisor ----

def test_the_supervisor_starts_it_first_and_again(make_bench):
    gateway = make_bench().start([]).gateway
    assert gateway.log_tail().index("trunkgate-keystore pid") < gateway.log_tail().index("trunkgate-dataplane pid")
    others = {name: gateway.daemon(name) for name in ("trunkgate-dataplane", "trunkgated")}
    gateway.wait_restarted("trunkgate-keystore", gateway.kill("trunkgate-keystore"))
    assert {name: gateway.daemon(name) for name in others} == others
    probe = Probe(os.path.join(gateway.run_dir, "keystore.sock"))
    keys = os.path.dirname(gateway.config)
    with open(os.path.join(keys, "a.psk"), "wb") as f:
        f.write(PSK)

    def answers():
        try:
            return probe.psk_auth("a.psk", "sha256", OCTETS)
        except Refused:
            return None

    wait_until(answers, "it answers beneath the configuration's folder")
    probe.close()
