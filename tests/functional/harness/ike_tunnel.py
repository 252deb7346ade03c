"""Tunnels that are keyed by IKE, as the gateway's configuration has them, and proposals in the peer's words."""

import dataclasses
import itertools
import os
import re

PSK = b"a pre-shared key of the tests: not for use"
A_ID, B_ID = "gw-a.example", "peer.example"
A_NET, B_NET, A_NET6, B_NET6 = "10.1.0.0/16", "10.2.0.0/16", "fd00:1::/64", "fd00:2::/64"
IKE, ESP = "aes256gcm16-prfsha384-x25519", "aes256gcm16-x25519"

_numbers = itertools.count(1)


def strongswan_words(proposal):
    """aes256cbc-sha256-x25519 is aes256-sha256-x25519 there."""
    return re.sub(r"^(aes\d+)cbc", r"\1", proposal).replace("3descbc", "3des")


def put(directory, name, content):
    """A secret's file beside the configuration, and what the configuration calls it."""
    with open(os.open(os.path.join(directory, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(content)
    return {"file": name}


@dataclasses.dataclass
class IkeChild:
    name: str = "lan"
    local: list = dataclasses.field(default_factory=lambda: [A_NET])
    remote: list = dataclasses.field(default_factory=lambda: [B_NET])
    esp: list = dataclasses.field(default_factory=lambda: [ESP])
    mode: str = "tunnel"
    options: dict = dataclasses.field(default_factory=dict)  # lifetime, protocol, ...

    def settings(self):
        esp = {"esp": list(self.esp)} if self.esp else {}  # none: the gateway's default
        return {"mode": self.mode, "local": list(self.local), "remote": list(self.remote), **esp, **self.options}


@dataclasses.dataclass
class IkeTunnel:
    """By PSK; with a credential, by certificate. Each has a name of its own: when `trunkgate show tunnels` lists it, the
    configuration that it is in is in force."""
    peer: str
    name: str = dataclasses.field(default_factory=lambda: f"t{next(_numbers)}")
    start: str = "always"
    local_id: str = A_ID
    remote_id: str = B_ID
    psk: bytes = PSK
    credential: object = None  # pki.Credential
    authorities: list = dataclasses.field(default_factory=list)  # pki.Authority, for the peer's certificate
    crls: list = dataclasses.field(default_factory=list)         # PEM
    revocation: str = ""
    proposals: list = dataclasses.field(default_factory=lambda: [IKE])
    ike: dict = dataclasses.field(default_factory=dict)  # lifetime, reauthenticate, liveness, mobike, encapsulation, ...
    children: list = dataclasses.field(default_factory=lambda: [IkeChild()])

    def settings(self, directory):
        """The tunnel's section; its files go beside the configuration."""
        local = {"id": self.local_id} if self.local_id else {}
        remote = {"id": self.remote_id} if self.remote_id else {}
        out = {"peer": self.peer, "start": self.start, "local": local, "remote": remote}
        if self.credential:
            local["certificate"] = put(directory, f"{self.name}.pem", self.credential.chain_pem())
            local["key"] = put(directory, f"{self.name}.key", self.credential.key_pem())
            remote["ca"] = put(directory, f"{self.name}-ca.pem", b"".join(a.pem() for a in self.authorities))
            if self.crls:
                remote["crl"] = put(directory, f"{self.name}.crl", b"".join(self.crls))
            if self.revocation:
                remote["revocation"] = self.revocation
        else:
            out["psk"] = put(directory, f"{self.name}.psk", self.psk)
        proposals = {"proposals": list(self.proposals)} if self.proposals else {}
        return {**out, "ike": {**proposals, **self.ike},
                "children": {c.name: c.settings() for c in self.children}}
