"""Private keys and pre-shared keys stay in trunkgate-keystore: not in trunkgated's memory, which parses what anybody sends,
and in nothing that is shown or logged; and what happens while the key process is away."""

import contextlib
import hmac
import json
import os
import signal

import pytest

from harness import pki, traffic
from harness.ike_attack import Attacked
from harness.ike_tunnel import A_ID, B_ID, ESP, IkeChild, IkeTunnel
from harness.keystore import memory_has
from harness.netns import wait_until
from harness.topology import Sites

PSK, PPK = os.urandom(32), os.urandom(32)
SECOND = {"a": "10.3.0.0/16", "b": "10.4.0.0/16"}


def both_orders(value):
    """OpenSSL keeps numbers with the lowest octet first."""
    size = (value.bit_length() + 7) // 8
    return {"big": value.to_bytes(size, "big"), "little": value.to_bytes(size, "little")}


def forms(name, secret):
    return {name: secret, f"{name} in hexadecimal": secret.hex().encode(), f"{name} in capitals": secret.hex().upper().encode()}


class Secrets(Attacked):
    """Gateway A's tunnel a-b is by certificates, with a post-quantum key; a second tunnel, "psk", by a pre-shared key."""

    def __init__(self, sites):
        super().__init__(sites)
        self.ike |= {"post_quantum_key": {"id": "ppk-1", "key": {"file": "ppk"}}}
        self.authority = pki.Authority("The tests' CA")
        self.credentials = {side: self.authority.issue(f"gw-{side}", names=[id_])
                            for side, id_ in (("a", A_ID), ("b", B_ID))}
        self.second = {"esp": [ESP], "ike": {"liveness": "off", "childless": True}}
        self.write_all()

    def tunnel(self, side, **changes):
        if not hasattr(self, "credentials"):
            return super().tunnel(side, **changes)
        return super().tunnel(side, credential=self.credentials[side], authorities=[self.authority], **changes)

    def write_all(self):
        """`esp` and `ike`, of both tunnels, are what a test changes."""
        for side in "ab":
            own, other = ("psk-a.example", "psk-b.example")[::1 if side == "a" else -1]
            peer = self.sites.GW_B4 if side == "a" else self.sites.GW_A4
            nets = [[SECOND[side]], [SECOND["b" if side == "a" else "a"]]]
            self.more[side] = [IkeTunnel(peer, "psk", "always" if side == "a" else "answer", own, other,
                                         psk=b"0x" + PSK.hex().encode(), ike=dict(self.second["ike"]),
                                         children=[IkeChild("lan", *nets, self.second["esp"])])]
            self.write(side)
            with open(os.open(os.path.join(self.sites.directory, "gw-" + side, "ppk"), os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
                f.write("0x" + PPK.hex())

    def wait_up(self, seconds=30):
        wait_until(lambda: all(len(sas) == 4 for sas in self.sas().values()),
                   lambda: "both tunnels are up\n" + "\n".join(g.log_tail(25) for g in self.gateways.values()), seconds)
        self.check_traffic(3)

    def apply(self, sides="ba", seconds=30):
        """Puts what was changed into force there, and waits until it made other SAs."""
        old = self.sas()["a"]
        self.write_all()
        for side in sides:
            os.kill(self.gateways[side].process.pid, signal.SIGHUP)
        wait_until(lambda: (now := self.sas()["a"]) and not now & old and len(now) == 4,
                   lambda: f"other SAs than {old}: {self.sas()}\n{self.gateways['a'].log_tail()}", seconds)
        wait_until(lambda: all(len(sas) == 4 for sas in self.sas().values()), "the old ones are gone", seconds)
        self.check_traffic()

    def needles(self, side="a"):
        key = self.credentials[side].key
        inner = {f"the psk's key of sha{bits}": hmac.digest(PSK, b"Key Pad for IKEv2", f"sha{bits}") for bits in (256, 384, 512)}
        private = {f"the private key, {order} end first": octets
                   for order, octets in both_orders(key.private_numbers().private_value).items()}
        return {**forms("the psk", PSK), **forms("the ppk", PPK), **inner, **private,
                "the private key's PEM": self.credentials[side].key_pem().split(b"\n")[1]}


@pytest.fixture(scope="module")
def lab(make_sites):
    return Secrets(make_sites()).start()


def assert_kept(lab):
    """In no program that reads from the network; and the search finds them where they are."""
    for side, gateway in lab.gateways.items():
        needles = lab.needles(side)
        for name in ("trunkgated", "trunkgate-dataplane"):
            assert memory_has(gateway.daemon(name), needles) == set(), f"{name} of {side}"
        assert memory_has(gateway.process.pid, needles) == set(), f"the supervisor of {side}"
        held = memory_has(gateway.daemon("trunkgate-keystore"), needles)
        assert {"the psk", "the ppk", "the private key, little end first"} <= held, held


@pytest.mark.heavy  # a sanitizer maps terabytes
def test_not_in_memory(lab):
    """While the tunnels are up; after each child was rekeyed, each IKE SA, and both ends have proved anew who they are."""
    assert_kept(lab)
    lab.esp = lab.second["esp"] = ["aes128gcm16-x25519"]
    lab.apply()
    assert_kept(lab)
    lab.ike["mobike"] = lab.second["ike"]["mobike"] = False  # is agreed on by IKE_AUTH: reauthentication
    lab.apply("a")
    assert_kept(lab)


def test_not_in_what_is_said(lab):
    """Logs, `show` with all it has, the environment; and nobody but root may read the memory or get a core file."""
    said = []
    for gateway in lab.gateways.values():
        with open(gateway.log, "rb") as log:
            said.append(log.read())
        for what in ("gateway", "sas", "policies", "ports", "routes", "drops", "counters", "events", "workers", "tunnels"):
            with contextlib.suppress(RuntimeError, ValueError):
                said.append(json.dumps(gateway.show(what)).encode())
        for name in ("trunkgated", "trunkgate-keystore", "trunkgate-dataplane"):
            pid = gateway.daemon(name)
            for file in ("environ", "cmdline"):
                with open(f"/proc/{pid}/{file}", "rb") as f:
                    said.append(f.read())
            with open(f"/proc/{pid}/limits") as f:
                assert next(line.split()[4:6] for line in f if line.startswith("Max core")) == ["0", "0"]
    everything = b"\n".join(said)
    assert b"a-b" in everything and b"psk" in everything
    for side in "ab":
        assert [name for name, octets in lab.needles(side).items() if octets in everything] == []


def test_the_key_process_is_away(lab):
    """Killed again and again, so that it stays away for some seconds: the tunnels stay, what must be proved meanwhile fails
    with a reason that names it, and comes up when it is back."""
    gateway, sas = lab.gateways["a"], lab.sas()
    flow = traffic.BothWays(lab.sites.lab, ("site-a", Sites.A4), ("site-b", Sites.B4), str(lab.sites.directory))
    pid = gateway.kill("trunkgate-keystore")
    gateway.wait_restarted("trunkgate-keystore", pid)
    flow.wait_progress(100)
    assert lab.sas() == sas
    # A new negotiation right after: it is back.
    lab.ike["mobike"] = lab.second["ike"]["mobike"] = not lab.ike.get("mobike", True)
    lab.apply("a")
    # And now while it does not answer: it is stopped, so nothing starts it anew.
    sas, pid = lab.sas(), gateway.daemon("trunkgate-keystore")
    os.kill(pid, signal.SIGSTOP)
    try:
        lab.ike["mobike"] = lab.second["ike"]["mobike"] = not lab.ike["mobike"]
        lab.write_all()
        os.kill(gateway.process.pid, signal.SIGHUP)
        wait_until(lambda: "key process" in gateway.log_tail(400), lambda: f"the reason\n{gateway.log_tail()}", 40)
        assert lab.sas()["a"] == sas["a"]
        flow.wait_progress(100)
    finally:
        os.kill(pid, signal.SIGCONT)
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: not lab.sas()["a"] & sas["a"] and len(lab.sas()["a"]) == 4,
               lambda: f"proved anew\n{gateway.log_tail()}", 60)
    flow.assert_nothing_lost()
    lab.check_traffic()
