"""Configurations as the tests need them: tunnels with manual keys, and the YAML file with its key files."""

import copy
import dataclasses
import hashlib
import itertools
import os

import yaml


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    cipher: str   # gcm, gmac, chacha20, cbc, ctr, null, 3des
    auth: str     # sha1, sha256, sha384, sha512; "" where the cipher authenticates
    cipher_key: int
    salt: int
    auth_key: int
    iv: int
    icv: int
    block: int

    @property
    def aead(self):
        return not self.auth

    @property
    def key_material(self):
        return self.cipher_key + self.salt + self.auth_key


def _suites():
    """Every suite of the gateway, by the RFCs' sizes."""
    auths = {"sha1": (20, 12), "sha256": (32, 16), "sha384": (48, 24), "sha512": (64, 32)}
    aes = (128, 192, 256)
    for kind in ("gcm16", "gmac"):
        yield from (Suite(f"aes{n}{kind}", kind.strip("16"), "", n // 8, 4, 0, 8, 16, 4) for n in aes)
    yield Suite("chacha20poly1305", "chacha20", "", 32, 4, 0, 8, 16, 4)
    for auth, (key, icv) in auths.items():
        yield from (Suite(f"aes{n}cbc-{auth}", "cbc", auth, n // 8, 0, key, 16, icv, 16) for n in aes)
        yield from (Suite(f"aes{n}ctr-{auth}", "ctr", auth, n // 8, 4, key, 8, icv, 4) for n in aes)
        yield Suite(f"null-{auth}", "null", auth, 0, 0, key, 0, icv, 4)
        if auth in ("sha1", "sha256"):
            yield Suite(f"3descbc-{auth}", "3des", auth, 24, 0, key, 8, icv, 8)


SUITES = {s.name: s for s in _suites()}

_spis = itertools.count(0x1001)


def test_key(spi, length):
    """Keys differ from SA to SA and are the same in every run."""
    return hashlib.shake_256(b"trunkgate test key %d" % spi).digest(length)


@dataclasses.dataclass
class Child:
    """A child with a manual pair of SAs; out and in as the gateway that has it in its configuration sees them."""
    name: str
    local: list  # empty in a tunnel with an interface
    remote: list
    suite: str = "aes256gcm16"
    esn: bool = True
    replay_window: int = 4096
    out_spi: int = dataclasses.field(default_factory=lambda: next(_spis))
    in_spi: int = dataclasses.field(default_factory=lambda: next(_spis) + 0x10000)
    extra: dict = dataclasses.field(default_factory=dict)

    @property
    def esp(self):
        return self.suite + ("-esn" if self.esn else "")

    @property
    def out_key(self):
        return test_key(self.out_spi, SUITES[self.suite].key_material)

    @property
    def in_key(self):
        return test_key(self.in_spi, SUITES[self.suite].key_material)


@dataclasses.dataclass
class Tunnel:
    name: str
    local: str
    peer: str
    children: list
    udp: object = False  # False, True, or (local port, peer port)
    interface: str = ""  # route-based: its name, here and at the peer
    addresses: tuple = ()  # on the interface
    peer_addresses: tuple = ()

    def mirrored(self, **changes):
        """The same tunnel as the other gateway has it; `changes` where it sees other addresses (behind a NAT)."""
        children = []
        for child in self.children:
            other = copy.copy(child)
            other.local, other.remote = child.remote, child.local
            other.out_spi, other.in_spi = child.in_spi, child.out_spi
            children.append(other)
        udp = tuple(reversed(self.udp)) if isinstance(self.udp, tuple) else self.udp
        tunnel = Tunnel(self.name, self.peer, self.local, children, udp, self.interface, self.peer_addresses,
                        self.addresses)
        for key, value in changes.items():
            setattr(tunnel, key, value)
        return tunnel

    def child(self, name):
        return next(c for c in self.children if c.name == name)

    def settings(self, directory):
        """The tunnel's section; its keys go into files beside the configuration."""
        udp = self.udp
        if isinstance(udp, tuple):
            udp = {"local_port": udp[0], "peer_port": udp[1]}
        interface = {"interface": {"name": self.interface, "addresses": list(self.addresses)}} if self.interface else {}
        return {"local": {"address": self.local}, "peer": self.peer, "udp_encapsulation": udp, **interface,
                "children": {c.name: _child_settings(self, c, directory) for c in self.children}}


def _child_settings(tunnel, child, directory):
    manual = {"esp": child.esp}
    for direction, spi, key in (("out", child.out_spi, child.out_key), ("in", child.in_spi, child.in_key)):
        file = f"{tunnel.name}-{child.name}-{direction}.key"
        with open(os.open(os.path.join(directory, file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(key.hex() + "\n")
        manual[direction] = {"spi": spi, "key": {"file": file}}
    settings = {"mode": "tunnel", "replay_window": child.replay_window}
    settings.update({side: prefixes for side in ("local", "remote") if (prefixes := getattr(child, side))})
    return {**settings, **child.extra, "manual": manual}


def write(directory, ports, tunnels=(), policies=(), routes=(), name="gw", workers=1, monitoring=None, **gateway):
    """Writes trunkgate.yaml and the key files into the directory; returns the file's path. `tunnels`: of Tunnel, or of
    ike_tunnel.IkeTunnel. `gateway`, `monitoring`: more of these sections."""
    os.makedirs(directory, exist_ok=True)
    document = {"gateway": {"name": name, "workers": workers, "lab": True, "legacy": True, "hugepages": "never", **gateway},
                "ports": ports}
    if routes:
        document["routes"] = [{key: value for key, value in zip(("to", "via", "port"), route) if value}
                              for route in routes]
    if tunnels:
        document["tunnels"] = {tunnel.name: tunnel.settings(directory) for tunnel in tunnels}
    if policies:
        document["policies"] = list(policies)
    if monitoring:
        document["monitoring"] = monitoring
    path = os.path.join(directory, "trunkgate.yaml")
    with open(path, "w") as f:
        yaml.safe_dump(document, f, sort_keys=False)
    return path
