"""The key process as it ships, and a client of it (keystore_probe) that holds no key."""

import os
import socket
import subprocess

from .gateway import BIN
from .netns import Process, wait_until

SCHEMES = ["rsa_pkcs1_sha1", "rsa_pkcs1_sha256", "rsa_pkcs1_sha384", "rsa_pkcs1_sha512", "rsa_pss_sha256",
           "rsa_pss_sha384", "rsa_pss_sha512", "ecdsa_sha256", "ecdsa_sha384", "ecdsa_sha512", "ed25519", "ed448"]
PRFS = {"sha1": 2, "sha256": 5, "sha384": 6, "sha512": 7}  # IANA's transform ids


class Refused(RuntimeError):
    """What the client was told instead of an answer."""


class Keystore:
    def __init__(self, directory):
        self.keys, self.run_dir = os.path.join(directory, "keys"), os.path.join(directory, "run")
        self.log, self.socket = os.path.join(directory, "keystore.log"), os.path.join(self.run_dir, "keystore.sock")
        for folder in (self.keys, self.run_dir):
            os.makedirs(folder, exist_ok=True)
        self.process = None

    def start(self, **environment):
        self.process = Process([os.path.join(BIN, "trunkgate-keystore"), "--run-dir", self.run_dir, "--keys", self.keys],
                               self.log, env={**os.environ, **environment})
        wait_until(self.listens, lambda: f"the key process listens\n{self.process.text()}")
        return self

    def listens(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            return s.connect_ex(self.socket) == 0

    def write(self, name, content, mode=0o600):
        path = os.path.join(self.keys, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(path, mode)
        return name

    def stop(self, *signal_number):
        return self.process.stop(*signal_number)


class Probe:
    """A process of its own, so that its memory can be looked at."""

    def __init__(self, socket_path):
        self.popen = subprocess.Popen([os.path.join(BIN, "keystore_probe"), socket_path], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        self.popen.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.popen.stdin.flush()
        answer = self.popen.stdout.readline().rstrip("\n")
        if not answer.startswith("ok"):
            raise Refused(answer.removeprefix("failed "))
        return answer.split()[1:]

    def sign(self, name, scheme, octets, kind="file"):
        return bytes.fromhex(self.ask("sign", kind, name, SCHEMES.index(scheme), octets.hex())[0])

    def psk_auth(self, name, prf, octets, kind="file"):
        return bytes.fromhex(self.ask("psk_auth", kind, name, PRFS[prf], octets.hex())[0])

    def close(self):
        self.popen.stdin.close()
        assert self.popen.wait(10) == 0


def memory_has(pid, needles):
    """Which of {name: bytes} stand anywhere in the process's readable memory."""
    found, longest = set(), max(map(len, needles.values()))
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            span, rights, *_ = line.split()
            first, last = (int(part, 16) for part in span.split("-"))
            if "r" not in rights or "[v" in line:  # vvar and vsyscall can't be read
                continue
            tail = b""
            while first < last:
                try:
                    memory.seek(first)
                    piece = memory.read(min(1 << 20, last - first))
                except OSError:
                    break
                if not piece:
                    break
                found |= {name for name, needle in needles.items() if needle in tail + piece}
                tail = piece[-longest:]
                first += len(piece)
    return found
