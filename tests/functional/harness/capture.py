"""Captures by tcpdump, judged by tshark and by a search for marked payload."""

import contextlib
import json
import os
import signal
import struct

from .config import SUITES
from .netns import run, wait_until

MARKER = b"TRUNKGATE-CLEARTEXT-MARKER"


class Capture:
    """Runs from start() until stop(); both wait for tcpdump itself, so nothing sent in between is missed."""

    def __init__(self, lab, netns, device, file, filter_="", snaplen=0):
        self.file, self.device, self.netns = file, device, netns
        with contextlib.suppress(FileNotFoundError):
            os.remove(file + ".log")  # an earlier capture's "listening on" is not this one's
        self.process = lab.start(["tcpdump", "-U", "--immediate-mode", "-n", "-B", "65536", "-s", snaplen, "-Z", "root",
                                  "-i", device, "-w", file, *filter_.split()], file + ".log", netns)
        wait_until(lambda: "listening on" in self.process.text() or not self.process.running(), "tcpdump listens")
        assert self.process.running(), self.process.text()

    @classmethod
    def of_file(cls, file):
        """A capture that somebody else made."""
        capture = cls.__new__(cls)
        capture.file = file
        return capture

    def stop(self):
        """Ends it; a capture that lost packets proves nothing, so that is an error."""
        self.process.stop(signal.SIGINT)
        text = self.process.text()
        lost = [line for line in text.splitlines() if "dropped by kernel" in line]
        assert lost and lost[-1].strip().startswith("0 packets"), f"{self.file}: {text}"
        return self

    close = stop

    def packets(self):
        """(time, bytes) of every captured frame."""
        with open(self.file, "rb") as f:
            data = f.read()
        order = "<" if data[:4] == b"\xd4\xc3\xb2\xa1" else ">"
        at, out = 24, []
        while at + 16 <= len(data):
            seconds, micros, kept, _ = struct.unpack_from(order + "IIII", data, at)
            out.append((seconds + micros / 1e6, data[at + 16:at + 16 + kept]))
            at += 16 + kept
        return out

    def count(self, display_filter, *options):
        return len(self.fields(["frame.number"], display_filter, *options))

    def fields(self, names, display_filter="", *options):
        """One tuple of texts per packet that the display filter takes."""
        words = ["tshark", "-n", "-r", self.file, "-T", "fields", "-E", "separator=|", "-E", "occurrence=f", *options]
        for name in names:
            words += ["-e", name]
        if display_filter:
            words += ["-Y", display_filter]
        return [tuple(line.split("|")) for line in run(*words, timeout=120).stdout.splitlines()]

    def marked(self):
        """How many frames hold marked payload in clear."""
        return sum(MARKER in data for _, data in self.packets())


# What may be on a WAN besides protected packets: neighbours looking for each other, and routers for themselves.
HOUSEKEEPING = "arp or (icmpv6.type >= 130 and icmpv6.type <= 137) or icmpv6.type == 143"
PROTECTED = "esp or udpencap"


def assert_protected(capture, at_least=1):
    """ESP is on the wire and nothing of what the sites sent is readable there."""
    protected = capture.count(PROTECTED)
    assert protected >= at_least, f"{protected} ESP packets in {capture.file}, expected at least {at_least}"
    assert capture.marked() == 0, f"cleartext payload in {capture.file}"
    others = capture.fields(["frame.number", "_ws.col.protocol", "_ws.col.info"],
                            f"not ({PROTECTED}) and not ({HOUSEKEEPING})")
    assert not others, f"neither ESP nor housekeeping in {capture.file}: {others[:5]}"
    return protected


# IKE beside it: also what came after a NAT's idea of a port, and fragments of a datagram that IKE did not cut itself.
KEY_EXCHANGE = "isakmp or udpencap or (ip.proto == 17 and (ip.flags.mf == 1 or ip.frag_offset > 0))"


def assert_only_esp(capture, at_least=1):
    """ESP carries the sites' traffic, and besides it there is IKE and nothing of what the sites sent."""
    protected = capture.count("esp")
    assert protected >= at_least, f"{protected} ESP packets in {capture.file}, expected at least {at_least}"
    assert capture.marked() == 0, f"cleartext payload in {capture.file}"
    others = capture.fields(["frame.number", "_ws.col.protocol", "_ws.col.info"],
                            f"not (esp or {KEY_EXCHANGE}) and not ({HOUSEKEEPING})")
    assert not others, f"neither ESP nor IKE nor housekeeping in {capture.file}: {others[:5]}"
    return protected


# All that tshark can decrypt: neither GMAC nor ChaCha20-Poly1305.
TSHARK_CIPHERS = {"gcm": "AES-GCM with 16 octet ICV [RFC4106]", "cbc": "AES-CBC [RFC3602]", "ctr": "AES-CTR [RFC3686]",
                  "null": "NULL", "3des": "TripleDES-CBC [RFC2451]"}
TSHARK_AUTHS = {"": "NULL", "sha1": "HMAC-SHA-1-96 [RFC2404]", "sha256": "HMAC-SHA-256-128 [RFC4868]",
                "sha384": "HMAC-SHA-384-192 [RFC4868]", "sha512": "HMAC-SHA-512-256 [RFC4868]"}


def esp_sa_options(tunnels):
    """tshark's options that decrypt both directions of every child of the tunnels and check each ICV."""
    options = ["-o", "esp.enable_encryption_decode:TRUE", "-o", "esp.enable_authentication_check:TRUE"]
    for tunnel in tunnels:
        for child in tunnel.children:
            for spi, key in ((child.out_spi, child.out_key), (child.in_spi, child.in_key)):
                suite = SUITES[child.suite]
                cut = suite.cipher_key + suite.salt
                if suite.cipher not in TSHARK_CIPHERS:
                    continue
                cipher, authentication = TSHARK_CIPHERS[suite.cipher], TSHARK_AUTHS[suite.auth]
                auth_key = "0x" + key[cut:].hex() if suite.auth_key else ""
                row = ["IPv6" if ":" in tunnel.local else "IPv4", "*", "*", f"0x{spi:08x}", cipher,
                       "0x" + key[:cut].hex(), authentication, auth_key, "64-bit" if child.esn else "32-bit"]
                options += ["-o", "uat:esp_sa:" + ",".join(json.dumps(field) for field in row)]
    return options


def esp_sequences(capture, source=None):
    """[(spi, low 32 bits of the sequence number, the 8 bytes behind it)] of every ESP packet, in wire order."""
    out = []
    for _, data in capture.packets():
        kind, at = data[12:14], 14
        if kind == b"\x08\x00":
            protocol, sender, at = data[23], data[26:30], 14 + 4 * (data[14] & 15)
        elif kind == b"\x86\xdd":
            protocol, sender, at = data[20], data[22:38], 54
        else:
            continue
        if source is not None and sender != source:
            continue
        if protocol == 17 and len(data) >= at + 8 and 4500 in struct.unpack_from("!HH", data, at):
            at += 8
        elif protocol != 50:
            continue
        if len(data) >= at + 16 and data[at:at + 4] != b"\0\0\0\0":
            out.append((*struct.unpack_from("!II", data, at), data[at + 8:at + 16]))
    return out
