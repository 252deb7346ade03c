"""Writes a recorded exchange of two strongSwan gateways as a vector: their messages from a capture, the secrets and keys
from the initiator's log (every subsystem at level 4), what was inside the messages by ike_judge.py.

    python3 tests/vectors/charon_trace.py LOG PCAP > tests/vectors/ike_trace_NAME.json

The exchange is: IKE_SA_INIT, IKE_INTERMEDIATE if any, IKE_AUTH, then rekeying by the same side, in any order.
"""

import json
import re
import struct
import sys

import ike_judge as judge
from scapy.layers.inet import UDP
from scapy.utils import rdpcap

SA, KEY_EXCHANGE, NONCE, ENCRYPTED = 33, 34, 40, 46
IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, IKE_FOLLOWUP_KE = 34, 35, 36, 44
SHARED_SIZES = {2: 128, 14: 256, 15: 384, 19: 32, 20: 48, 21: 66, 31: 32, 32: 56}
ESP_CIPHERS = {(20, 256): "aes256gcm16", (28, 0): "chacha20poly1305", (12, 256): "aes256cbc", (12, 192): "aes192cbc",
               (3, 0): "3descbc"}
ESP_AUTH = {0: "", 2: "-sha1", 12: "-sha256", 14: "-sha512"}


def dumps(log):
    """(subsystem, IKE SA, name, bytes) of every value in the log."""
    line = re.compile(r"\S+ \d+\[(\w+)\] <\w+\|(\d+)>\s+(?:(.+?) => (\d+) bytes @|\d+: ((?:[0-9A-F]{2} )+))")
    found = []
    for match in filter(None, map(line.match, log)):
        subsystem, sa, name, size, data = match.groups()
        if name:
            found.append([subsystem, int(sa), name, b"", int(size)])
        else:
            found[-1][3] += bytes.fromhex(data)
    assert all(len(value) == size for *_, value, size in found)
    return [entry[:4] for entry in found]


def derivations(log):
    """Groups of secrets and the keys that came of them, of IKE SAs and of child SAs, in the order of the log."""
    wanted = re.compile(r"(additional )?key exchange secret|Sk_.+ secret|(encryption|integrity) (initiator|responder) key")
    groups, complete = [], True
    for subsystem, sa, name, value in dumps(log):
        if subsystem not in ("IKE", "CHD") or not wanted.fullmatch(name):
            continue
        begins = name == "key exchange secret" or (name == "encryption initiator key" and complete)
        if begins:
            groups.append({"subsystem": subsystem, "sa": sa, "key exchange secret": b""})
        groups[-1][name] = value
        complete = name not in ("key exchange secret", "additional key exchange secret")
    return groups


def payloads(first, chain):
    while first:
        following, _, length = struct.unpack("!BBH", chain[:4])
        yield first, chain[4:length]
        first, chain = (0 if first == ENCRYPTED else following), chain[length:]


def chosen(sa_payload):
    """The transforms of an answer's only proposal by type, and its SPI."""
    _, _, _, _, protocol, spi_size, count = struct.unpack("!BBHBBBB", sa_payload[:8])
    spi, rest, transforms = sa_payload[8:8 + spi_size], sa_payload[8 + spi_size:], {}
    for _ in range(count):
        _, _, length, kind, _, number = struct.unpack("!BBHBBH", rest[:8])
        bits = struct.unpack("!H", rest[10:12])[0] if length > 8 else 0
        transforms[kind], rest = (number, bits), rest[length:]
    return protocol, spi, transforms


class recording:
    def __init__(self, log, capture):
        self.derived = derivations(log)
        self.sas, self.children, self.open_exchange = [], [], {}
        for packet in capture:
            if UDP not in packet or not {packet[UDP].sport, packet[UDP].dport} & {500, 4500}:
                continue
            data = bytes(packet[UDP].payload)
            if packet[UDP].dport == 4500:
                if data[:4] != bytes(4):
                    continue  # ESP, or a keep-alive
                data = data[4:]
            self.take(data)
        assert not self.derived, "keys without an exchange"

    def take(self, data):
        spis = [data[:8], data[8:16]]
        first, _, exchange, flags = struct.unpack("!BBBB", data[16:20])
        if exchange == IKE_SA_INIT:
            self.exchanged(None, exchange, bool(flags & 0x20), spis, list(payloads(first, data[28:])))
            return
        sa = next(one for one in self.sas if one["spis"] == [spi.hex() for spi in spis])
        from_initiator = bool(flags & 0x08)
        for step in reversed(range(len(sa["steps"]))):
            keys = {name: bytes.fromhex(key) for name, key in sa["steps"][step]["keys"].items()}
            side = "i" if from_initiator else "r"
            plain = judge.unseal(sa["suite"], keys["e" + side], keys["a" + side], data, 32)
            if plain is not None:
                break
        assert plain is not None, "no keys open this message"
        sa["messages"].append({"step": step, "from_initiator": from_initiator, "datagram": data.hex(),
                               "plain": plain.hex()})
        self.exchanged(sa, exchange, bool(flags & 0x20), spis, list(payloads(data[28], plain)))

    def exchanged(self, sa, exchange, response, spis, inside):
        found = dict(inside)
        if not response:
            if exchange in (IKE_SA_INIT, CREATE_CHILD_SA):
                self.open_exchange = {"ni": found[NONCE], "spi": chosen(found[SA])[1], "methods": []}
            return
        if KEY_EXCHANGE in found:
            self.open_exchange["methods"].append(struct.unpack("!H", found[KEY_EXCHANGE][:2])[0])
        if NONCE in found:
            self.open_exchange["nr"] = found[NONCE]
        if SA in found:
            self.open_exchange["chosen"] = chosen(found[SA])
        self.derive(sa, exchange, spis)

    def derive(self, sa, exchange, spis):
        """Gives the log's next secrets to the exchange that they were made in."""
        protocol, spi, transforms = self.open_exchange["chosen"]
        wanted = 1 + sum(kind >= 6 for kind in transforms)  # RFC 9370: additional key exchanges
        if exchange in (CREATE_CHILD_SA, IKE_FOLLOWUP_KE) and 4 in transforms and \
                len(self.open_exchange["methods"]) < wanted:
            return
        if exchange not in (IKE_SA_INIT, 43, IKE_AUTH, CREATE_CHILD_SA, IKE_FOLLOWUP_KE):
            return
        made = self.derived.pop(0)
        shared = self.split(made)
        if made["subsystem"] == "CHD":
            self.child(sa, exchange, made, transforms, shared)
            return
        keys = {name: made.get(f"Sk_{name} secret", b"").hex() for name in judge.KEY_NAMES}
        step = {"shared": [one.hex() for one in shared], "keys": keys}
        if exchange == 43:
            sa["steps"].append(step)
            return
        suite = {"encryption": transforms[1][0], "key_bits": transforms[1][1],
                 "integrity": transforms.get(3, (0, 0))[0], "prf": transforms[2][0]}
        new_spis = spis if exchange == IKE_SA_INIT else [self.open_exchange["spi"], spi]
        self.sas.append({"suite": suite, "successor_of": self.sas.index(sa) if sa else None,
                         "spis": [one.hex() for one in new_spis], "nonces": self.nonces(), "steps": [step],
                         "messages": []})

    def nonces(self):
        return [self.open_exchange["ni"].hex(), self.open_exchange["nr"].hex()]

    def split(self, made):
        """The log has the additional secrets as one string."""
        shared, rest = [made["key exchange secret"]], made.get("additional key exchange secret", b"")
        for method in self.open_exchange["methods"][1:] if rest else []:
            shared.append(rest[:SHARED_SIZES[method]])
            rest = rest[SHARED_SIZES[method]:]
        assert not rest
        return shared if shared[0] else []

    def child(self, sa, exchange, made, transforms, shared):
        suite = ESP_CIPHERS[transforms[1]] + ESP_AUTH[transforms.get(3, (0, 0))[0]]
        keys = [made[f"encryption {side} key"] + made.get(f"integrity {side} key", b"")
                for side in ("initiator", "responder")]
        nonces = sa["nonces"] if exchange == IKE_AUTH else self.nonces()
        self.children.append({"sa": self.sas.index(sa), "step": len(sa["steps"]) - 1, "nonces": nonces, "suite": suite,
                              "shared": [one.hex() for one in shared], "to_responder": keys[0].hex(),
                              "to_initiator": keys[1].hex()})


def main(log, pcap):
    with open(log, encoding="utf-8", errors="replace") as lines:
        made = recording(list(lines), rdpcap(pcap))
    json.dump({"sas": made.sas, "children": made.children}, sys.stdout, indent=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
