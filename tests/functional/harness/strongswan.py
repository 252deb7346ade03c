"""strongSwan as the peer: charon in a network namespace with ESP in user space (kernel-libipsec), so that the kernel needs
none. Its limits: tunnel mode, no extended sequence numbers, under 100 Mbit/s, ESP in UDP even without a NAT unless `raw_esp`,
and a peer that moves gets a new SA; and strongSwan 6.0.1 has no ML-KEM."""

import contextlib
import dataclasses
import os
import re
import shutil
import signal

from .netns import run, wait_until
from .vici import Vici

CHARON, SWANCTL = "/usr/lib/ipsec/charon", "/usr/sbin/swanctl"
PLUGINS = ("random nonce openssl pem pkcs1 pkcs8 x509 revocation constraints pubkey drbg hmac kdf gcm chapoly curve25519 "
           "kernel-libipsec kernel-netlink socket-default vici updown")
EVENTS = ("ike-updown", "ike-rekey", "ike-update", "child-updown", "child-rekey")


class NegotiationFailed(RuntimeError):
    """charon's last word, and in `lines` what it told on the way."""

    def __init__(self, message, lines):
        super().__init__(message + "".join(f"\n  {line}" for line in lines))
        self.lines = lines


@dataclasses.dataclass
class Party:
    """One end of a connection. With certificates: pki.Credential of our end, pki.Authority of the other end's."""
    auth: str = "psk"  # psk or pubkey
    id: str = ""
    credential: object = None
    authorities: list = dataclasses.field(default_factory=list)
    options: dict = dataclasses.field(default_factory=dict)  # more keys of swanctl.conf: revocation, ...

    def settings(self):
        files = {"certs": self.credential.name + ".pem"} if self.credential else {}
        if self.authorities:
            files["cacerts"] = ",".join(f"{a.name}.pem".replace(" ", "-") for a in self.authorities)
        return {"auth": self.auth, **({"id": self.id} if self.id else {}), **files, **self.options}


@dataclasses.dataclass
class Child:
    name: str = "lan"
    local_ts: str = "10.2.0.0/16"
    remote_ts: str = "10.1.0.0/16"
    esp_proposals: str = "aes256gcm16-x25519"
    options: dict = dataclasses.field(default_factory=dict)  # rekey_time, life_time, dpd_action, start_action, ...

    def settings(self):
        return {"local_ts": self.local_ts, "remote_ts": self.remote_ts, "esp_proposals": self.esp_proposals,
                "rekey_time": 0, **self.options}


@dataclasses.dataclass
class Connection:
    """A section of swanctl.conf's `connections`. Nothing is rekeyed, probed or started by itself unless `options` say so."""
    name: str
    local_addrs: str
    remote_addrs: str
    local: Party
    remote: Party
    children: list = dataclasses.field(default_factory=lambda: [Child()])
    proposals: str = "aes256gcm16-prfsha384-x25519"
    options: dict = dataclasses.field(default_factory=dict)  # encap, mobike, fragmentation, dpd_delay, reauth_time, ...

    def settings(self):
        return {"version": 2, "local_addrs": self.local_addrs, "remote_addrs": self.remote_addrs,
                "proposals": self.proposals, "rekey_time": 0, **self.options, "local": self.local.settings(),
                "remote": self.remote.settings(), "children": {c.name: c.settings() for c in self.children}}


@dataclasses.dataclass
class Psk:
    secret: bytes
    ids: tuple = ()  # of both ends; none: for whoever comes

    def settings(self):
        return {"secret": "0x" + self.secret.hex(), **{f"id-{n}": id_ for n, id_ in enumerate(self.ids)}}


def text_of(settings, indent=""):
    """strongswan.conf and swanctl.conf: nested sections of `key = value`."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key} {{", text_of(value, indent + "  ").rstrip("\n"), f"{indent}}}"]
        else:
            value = {True: "yes", False: "no"}.get(value, value) if isinstance(value, bool) else value
            quoted = f'"{value}"' if re.search(r"[\s#,=]", str(value)) and key in ("id", "secret", "path") else value
            lines.append(f"{indent}{key} = {quoted}")
    return "\n".join(lines) + "\n"


class StrongSwan:
    """One charon. `charon`: more of strongswan.conf's section of that name, for instance retransmit_timeout = 0.5,
    retransmit_tries = 3, make_before_break = False, fragment_size = 1280."""

    def __init__(self, lab, netns, directory, raw_esp=False, log=1, plugins=PLUGINS, **charon):
        self.lab, self.netns, self.directory = lab, netns, directory
        self.raw_esp, self.plugins, self.charon, self.log_level = raw_esp, plugins, charon, log
        self.log = os.path.join(directory, "charon.log")
        self.socket = os.path.join(directory, "vici")
        self.settings_file = os.path.join(directory, "strongswan.conf")
        self.files = os.path.join(directory, "swanctl")
        self.process = self.vici = self.events = None
        self.connections, self.secrets = [], []
        os.makedirs(directory, exist_ok=True)

    # ---- life ----

    def _write_settings(self):
        levels = self.log_level if isinstance(self.log_level, dict) else {"default": self.log_level}
        charon = {"load": self.plugins, "install_virtual_ip": False, "port": 500, "port_nat_t": 4500, **self.charon,
                  "filelog": {"main": {"path": self.log, **levels, "ike_name": True, "flush_line": True,
                                       "time_format": "%T", "append": True}},
                  "plugins": {"vici": {"socket": "unix://" + self.socket},
                              "kernel-libipsec": {"raw_esp": self.raw_esp}}}
        swanctl = {"load": "random openssl pem pkcs1 pkcs8 x509 pubkey curve25519", "socket": "unix://" + self.socket}
        with open(self.settings_file, "w") as f:
            f.write(text_of({"charon": charon, "swanctl": swanctl}))

    def start(self, seconds=20):
        self._write_settings()
        with contextlib.suppress(FileNotFoundError):
            os.remove(self.socket)  # of one that was killed
        # /run is charon's own: the path of its PID file is compiled in.
        self.process = self.lab.start(
            ["sh", "-c", f"mount -t tmpfs tmpfs /run && exec {CHARON} --use-syslog"],
            os.path.join(self.directory, "charon.out"), self.netns, env={**os.environ, "STRONGSWAN_CONF": self.settings_file})

        def answers():
            if not self.process.running():
                raise RuntimeError(f"{self.netns}: charon ended\n{self.process.text()}{self.log_tail()}")
            with contextlib.suppress(OSError):
                self.vici = Vici(self.socket)
                return True

        wait_until(answers, lambda: f"charon answers\n{self.log_tail()}", seconds)
        self.events = Vici(self.socket)
        self.events.subscribe(*EVENTS)
        running.append(self)
        return self

    def _hang_up(self):
        """charon does not end while somebody listens to it."""
        with contextlib.suppress(ValueError):
            running.remove(self)
        for connection in (self.vici, self.events):
            if connection:
                connection.close()
        self.vici = self.events = None

    def stop(self):
        """As an operator stops it: it deletes its SAs at the peer first."""
        self._hang_up()
        if self.process:
            self.process.stop(signal.SIGTERM)

    close = stop

    def kill(self):
        """kill -9: the peer hears nothing of it."""
        self.process.popen.kill()
        self.process.popen.wait(5)
        self._hang_up()

    def restart(self):
        """A new charon with what was loaded last."""
        self.stop()
        self.start()
        return self.load(self.connections, self.secrets)

    # ---- configuration ----

    def load(self, connections, secrets=(), crls=()):
        """Replaces what is loaded. Credentials and authorities are taken from the connections; `crls` are PEM texts."""
        self.connections, self.secrets = list(connections), list(secrets)
        for name in ("x509", "x509ca", "x509crl", "private"):
            shutil.rmtree(os.path.join(self.files, name), ignore_errors=True)
            os.makedirs(os.path.join(self.files, name))
        for party in (p for c in self.connections for p in (c.local, c.remote)):
            self._put_files(party)
        for number, pem in enumerate(crls):
            self._put(f"x509crl/{number}.crl", pem)
        document = {"connections": {c.name: c.settings() for c in self.connections},
                    "secrets": {f"ike-{n}": s.settings() for n, s in enumerate(self.secrets)}}
        self._put("swanctl.conf", text_of(document).encode())
        done = run(SWANCTL, "--load-all", "--clear", check=False,
                   env={**os.environ, "STRONGSWAN_CONF": self.settings_file, "SWANCTL_DIR": self.files})
        if done.returncode != 0:
            raise RuntimeError(f"swanctl --load-all\n{done.stdout}{done.stderr}{self.log_tail(20)}")
        return self

    def _put(self, path, content):
        with open(os.path.join(self.files, path), "wb") as f:
            f.write(content)

    def _put_files(self, party):
        if party.credential:
            self._put(f"x509/{party.credential.name}.pem", party.credential.certificate_pem())
            self._put(f"private/{party.credential.name}.key", party.credential.key_pem())
            for number, certificate in enumerate(party.credential.intermediates):
                from cryptography.hazmat.primitives.serialization import Encoding
                self._put(f"x509ca/{party.credential.name}-{number}.pem", certificate.public_bytes(Encoding.PEM))
        for authority in party.authorities:
            self._put(f"x509ca/{authority.name}.pem".replace(" ", "-"), authority.pem())

    # ---- what an operator does ----

    def _command(self, name, seconds, **message):
        """A command that negotiates; raises NegotiationFailed with the log of the negotiation."""
        answer, told = self.vici.command(name, "control-log", seconds + 5, timeout=int(seconds * 1000), loglevel=1, **message)
        lines = [line.get("msg", "") for line in told]
        if answer.get("success") != "yes":
            raise NegotiationFailed(f"{name} {message}: {answer.get('errmsg', 'failed')}", lines)
        return lines

    def initiate(self, child="lan", ike=None, seconds=20):
        """Until the child is up (child=None: the IKE SA). Returns what charon told meanwhile."""
        return self._command("initiate", seconds, **({"child": child} if child else {}), **({"ike": ike} if ike else {}))

    def initiate_and_leave(self, child="lan"):
        """Starts it and waits for nothing."""
        self.vici.command("initiate", child=child, timeout=-1)

    def terminate(self, child=None, ike=None, seconds=20, force=False):
        return self._command("terminate", seconds, **({"child": child} if child else {}), **({"ike": ike} if ike else {}),
                             **({"force": "yes"} if force else {}))

    def rekey(self, child=None, ike=None, reauth=False):
        """Starts the rekeying of all SAs of that name; the events that come from here on say when it is done."""
        self.events.forget_events()
        answer, _ = self.vici.command("rekey", **({"child": child} if child else {}), **({"ike": ike} if ike else {}),
                                      **({"reauth": "yes"} if reauth else {}))
        assert answer.get("success") == "yes" and int(answer["matches"]) > 0, answer

    def wait_event(self, name, takes=lambda message: True, seconds=15):
        """The next one since the last rekey() or clear() that no other call has taken."""
        return self.events.wait_event(name, takes, seconds)

    # ---- what it says ----

    def list_sas(self, name=None):
        """IKE SAs as dicts of charon's own words, each with its "name"; "child-sas" as a list of such dicts."""
        _, streamed = self.vici.command("list-sas", "list-sa")
        out = []
        for message in streamed:
            for connection, ike in message.items():
                children = [{**child} for child in ike.get("child-sas", {}).values()]
                out.append({**ike, "name": connection, "child-sas": children})
        return [ike for ike in out if name in (None, ike["name"])]

    def children(self, name=None, state="INSTALLED"):
        """Child SAs of that name that are in use."""
        return [c for ike in self.list_sas() for c in ike["child-sas"] if name in (None, c["name"]) and c["state"] == state]

    def ike_sas(self, name=None, state="ESTABLISHED"):
        return [ike for ike in self.list_sas(name) if ike["state"] == state]

    def wait_up(self, child="lan", seconds=20):
        """Exactly one IKE SA, none that is being rekeyed or deleted, and one child of that name in use; the child."""
        def up():
            found = self.children(child)
            return found[0] if len(found) == 1 and len(self.list_sas()) == 1 else None
        return wait_until(up, lambda: f"{child} is up once: {self.list_sas()}\n{self.log_tail()}", seconds)

    def wait_down(self, seconds=20):
        wait_until(lambda: not self.list_sas(), lambda: f"no SA is left: {self.list_sas()}\n{self.log_tail()}", seconds)

    def clear(self):
        """No SA is left, whatever the other side does about it."""
        for name in {ike["name"] for ike in self.list_sas()}:
            self.vici.command("terminate", ike=name, force="yes", timeout=1000)
        self.wait_down()
        self.events.forget_events()

    def text(self):
        with contextlib.suppress(FileNotFoundError), open(self.log, errors="replace") as f:
            return f.read()
        return ""

    def mark(self):
        """A place in the log: what comes later is what a test asks for."""
        return len(self.text())

    def wait_log(self, pattern, since=0, seconds=15):
        """The first match of the pattern in the log behind the mark."""
        return wait_until(lambda: re.search(pattern, self.text()[since:], re.M),
                          lambda: f"charon of {self.netns} logs {pattern!r}\n{self.log_tail()}", seconds)

    def logged(self, pattern, since=0):
        return re.findall(pattern, self.text()[since:], re.M)

    def log_tail(self, lines=60):
        return "".join(self.text().splitlines(keepends=True)[-lines:]) or "(no log)"


running = []  # those whose log a failing test should show
