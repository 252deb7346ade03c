"""`trunkgate peer-config`: strongSwan itself takes what is written for it, and understands it as it is meant."""

import os
import re

import pytest
import yaml
from harness.gateway import TRUNKGATE
from harness.netns import Process, run, wait_until

CHARON, SWANCTL, PKI = "/usr/lib/ipsec/charon", "/usr/sbin/swanctl", "/usr/bin/pki"
PLUGINS = ("random nonce openssl pem pkcs1 pkcs8 x509 revocation constraints pubkey drbg hmac kdf gcm chapoly curve25519 "
           "kernel-libipsec kernel-netlink socket-default vici updown")
ENDS = {"gateway": {"name": "hq", "legacy": True},
        "ports": {"wan": {"device": "eth0", "addresses": ["192.0.2.1/24"]}}}
CERTIFICATES = {"peer": "192.0.2.2",
                "local": {"address": "192.0.2.1", "id": "CN=hq, O=Example", "certificate": {"file": "hq.pem"},
                          "key": {"file": "hq.key"}},
                "remote": {"id": "branch.example", "ca": {"file": "ca.pem"}, "revocation": "strict"}}
PSK = {"peer": "192.0.2.2", "local": {"address": "192.0.2.1"}, "psk": {"env": "SHARED"}}


class StrongSwan:
    """charon and swanctl with files of their own; nothing of /etc is read."""

    def __init__(self, directory):
        self.directory = directory
        for folder in ("x509", "x509ca", "private", "conf.d"):
            os.makedirs(f"{directory}/swanctl/{folder}")
        self.environment = {**os.environ, "STRONGSWAN_CONF": f"{directory}/strongswan.conf",
                            "SWANCTL_DIR": f"{directory}/swanctl"}
        socket = f"unix://{directory}/vici"
        with open(f"{directory}/strongswan.conf", "w") as f:
            f.write(f"charon {{\n  load = {PLUGINS}\n  filelog {{\n    log {{\n      path = {directory}/charon.log\n"
                    "      default = 1\n      flush_line = yes\n    }\n  }\n"
                    f"  plugins {{\n    vici {{\n      socket = {socket}\n    }}\n  }}\n}}\n"
                    f"swanctl {{\n  load = random openssl pem pkcs1 pkcs8 x509 pubkey\n  socket = {socket}\n}}\n"
                    f"pki {{\n  load = random openssl pem pkcs1 pkcs8 x509 pubkey\n}}\n")
        # A /run of its own: the place of charon.pid is compiled in.
        self.charon = Process(["unshare", "--mount", "sh", "-c", f"mount -t tmpfs tmpfs /run && exec {CHARON}"],
                              f"{directory}/charon.out", env=self.environment)
        wait_until(lambda: os.path.exists(f"{directory}/vici") or not self.charon.running(), "charon listens")
        assert self.charon.running(), self.charon.text()

    def swanctl(self, *words):
        return run(SWANCTL, *words, check=False, env=self.environment)

    def load(self, text):
        with open(f"{self.directory}/swanctl/swanctl.conf", "w") as f:
            f.write(text)
        return self.swanctl("--load-all")

    def make_certificates(self):
        """branch.pem with its key, and the authority that both sides' certificates are of, under the names in the text."""
        folder = f"{self.directory}/swanctl"
        for name in ("ca", "branch"):
            key = run(PKI, "--gen", "--type", "ecdsa", "--size", "256", "--outform", "pem", env=self.environment).stdout
            with open(f"{folder}/private/{name}.key", "w") as f:
                f.write(key)
        ca = f"{folder}/private/ca.key"
        text = run(PKI, "--self", "--ca", "--in", ca, "--type", "priv", "--dn", "CN=Example CA", "--outform", "pem",
                   env=self.environment).stdout
        with open(f"{folder}/x509ca/hq-ca.pem", "w") as f:
            f.write(text)
        text = run(PKI, "--issue", "--cacert", f"{folder}/x509ca/hq-ca.pem", "--cakey", ca, "--in",
                   f"{folder}/private/branch.key", "--type", "priv", "--dn", "CN=branch", "--san", "branch.example",
                   "--outform", "pem", env=self.environment).stdout
        with open(f"{folder}/x509/branch.pem", "w") as f:
            f.write(text)


@pytest.fixture
def strongswan(tmp_path):
    one = StrongSwan(str(tmp_path / "far"))
    yield one
    one.charon.stop()


def peer_config(folder, tunnel, *words, kind="strongswan"):
    file = folder / "trunkgate.yaml"
    file.write_text(yaml.safe_dump({**ENDS, "tunnels": {"branch": tunnel}}, sort_keys=False))
    return run(TRUNKGATE, "peer-config", *(words or ("branch",)), "--for", kind, "--config", file, check=False)


def child(**values):
    return {"local": ["10.1.0.0/16"], "remote": ["10.2.0.0/16"], **values}


def written(folder, tunnel):
    done = peer_config(folder, tunnel)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_certificates(strongswan, tmp_path):
    strongswan.make_certificates()
    text = written(tmp_path, {
        **CERTIFICATES,
        "ike": {"proposals": ["aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes128-sha256-ecp256", "3des-sha1-modp1024"],
                "lifetime": "3h", "reauthenticate": "1d", "liveness": "15s", "mobike": False, "encapsulation": "always"},
        "children": {"lan": child(esp=["aes128gcm16-x25519", "chacha20poly1305", "aes256-sha512-ecp521-noesn", "null-sha256"],
                                  lifetime={"soft": {"time": "30m", "bytes": "900M", "packets": 5000}}, tfc_padding="mtu"),
                     "sip": child(protocol="udp", remote_port="5060-5080", local=["10.1.0.10-10.1.0.99"]),
                     "ping": child(protocol="icmp", icmp="echo-request", per_worker=True, dscp="ef")}})
    done = strongswan.load(text)
    assert done.returncode == 0, done.stdout + done.stderr + text
    assert "loaded connection 'hq'" in done.stdout
    shown = strongswan.swanctl("--list-conns").stdout
    assert re.search(r"local:\s+192\.0\.2\.2\n\s+remote:\s+192\.0\.2\.1\n", shown), shown
    assert re.search(r"local public key authentication:\n\s+id: branch\.example\n\s+certs: CN=branch", shown), shown
    assert re.search(r"remote public key authentication:\n\s+id: CN=hq, O=Example", shown), shown
    assert re.search(r"reauthentication every 86400s, rekeying every 10800s, dpd delay 15s", shown), shown
    assert re.search(r"lan: TUNNEL, rekeying every 1800s or 900000000 bytes or 5000 packets", shown), shown
    assert re.search(r"local:\s+10\.2\.0\.0/16\n\s+remote:\s+10\.1\.0\.0/16", shown), shown
    assert re.search(r"local:\s+10\.2\.0\.0/16\[udp/5060-5080\]", shown), shown
    assert re.search(r"remote:\s+10\.1\.0\.10\.\.10\.1\.0\.99\[udp\]", shown), shown
    assert re.search(r"local:\s+10\.2\.0\.0/16\[icmp/8\]", shown), shown


def test_a_shared_key_is_named_and_not_written(strongswan, tmp_path):
    text = written(tmp_path, {**PSK, "start": "answer", "children": {"host": {"mode": "transport"}}})
    done = strongswan.load(text)
    assert done.returncode == 0, done.stdout + done.stderr + text
    assert "the variable SHARED" in text
    # The lines that wait for the key are what strongSwan wants, too.
    start = text.index("secrets {")
    text = text[:start] + re.sub(r"^  # (?!TO DO)", "  ", text[start:], flags=re.M).replace('"..."', '"for this test"')
    done = strongswan.load(text)
    assert done.returncode == 0, done.stdout + done.stderr + text
    assert "loaded ike secret 'ike-hq'" in done.stdout
    shown = strongswan.swanctl("--list-conns").stdout
    assert re.search(r"host: TRANSPORT", shown), shown
    assert re.search(r"local pre-shared key authentication:\n\s+id: 192\.0\.2\.2\n", shown), shown
    assert re.search(r"remote pre-shared key authentication:\n\s+id: 192\.0\.2\.1\n", shown), shown


def test_ids_of_every_kind(strongswan, tmp_path):
    name = "CN=head quarters, O=Example"
    for ours, theirs, shown in (("keyid:0x0a0b", "hq@example.org", "0a:0b"), (name, "hq.example", name),
                                ("2001:db8::1", "hq", "2001:db8::1")):
        done = strongswan.load(written(tmp_path, {
            **PSK, "local": {"address": "192.0.2.1", "id": ours}, "remote": {"id": theirs}, "children": {"lan": child()}}))
        assert done.returncode == 0, done.stdout + done.stderr
        listed = strongswan.swanctl("--list-conns").stdout
        assert theirs in listed and shown in listed, listed


def test_a_tunnel_with_an_interface(strongswan, tmp_path):
    done = strongswan.load(written(tmp_path, {**PSK, "interface": {"name": "branch", "addresses": ["169.254.1.1/30"]},
                                              "children": {"all": {}}}))
    assert done.returncode == 0, done.stdout + done.stderr
    shown = strongswan.swanctl("--list-conns").stdout
    assert re.search(r"local:\s+0\.0\.0\.0/0 ::/0\n\s+remote:\s+0\.0\.0\.0/0 ::/0", shown), shown


def test_what_cannot_be_written_is_refused_with_a_reason(tmp_path):
    tunnel = {**PSK, "children": {"lan": child()}}
    for words, kind, reason in ((("brunch",), "strongswan", 'did you mean "branch"?'), (("branch",), "windows", "strongswan"),
                                (("branch",), "strongswam", 'did you mean "strongswan"?')):
        done = peer_config(tmp_path, tunnel, *words, kind=kind)
        assert done.returncode == 1 and reason in done.stderr, done.stderr
    key = {"env": "KEY"}
    by_hand = {"peer": "192.0.2.2", "local": {"address": "192.0.2.1"}, "children": {"lan": child(manual={
        "esp": "aes256cbc-sha256", "out": {"spi": 4097, "key": key}, "in": {"spi": 8193, "key": {"env": "OTHER"}}})}}
    done = peer_config(tmp_path, by_hand)
    assert done.returncode == 1 and "keys by hand" in done.stderr, done.stderr
