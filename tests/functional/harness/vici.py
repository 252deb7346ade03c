"""charon's control socket (VICI, protocol version 1): commands with what they stream, and events to wait for.

A packet is a 32-bit length in network order and then: its type, a name with an 8-bit length where the type has one, and a
message of sections, lists and key/value pairs.
"""

import contextlib
import socket
import struct
import time

CMD_REQUEST, CMD_RESPONSE, CMD_UNKNOWN, EVENT_REGISTER, EVENT_UNREGISTER, EVENT_CONFIRM, EVENT_UNKNOWN, EVENT = range(8)
SECTION_START, SECTION_END, KEY_VALUE, LIST_START, LIST_ITEM, LIST_END = range(1, 7)


class ViciError(RuntimeError):
    pass


def encode(message):
    """A dict of texts, lists of texts and dicts."""
    out = b""
    for key, value in message.items():
        name = bytes([len(key)]) + key.encode()
        if isinstance(value, dict):
            out += bytes([SECTION_START]) + name + encode(value) + bytes([SECTION_END])
        elif isinstance(value, (list, tuple)):
            items = [str(item).encode() for item in value]
            out += bytes([LIST_START]) + name
            out += b"".join(bytes([LIST_ITEM]) + struct.pack("!H", len(item)) + item for item in items)
            out += bytes([LIST_END])
        else:
            raw = str(value).encode()
            out += bytes([KEY_VALUE]) + name + struct.pack("!H", len(raw)) + raw
    return out


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        if self.at + count > len(self.data):
            raise ViciError("a message of charon's ends too early")
        self.at += count
        return self.data[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def name(self):
        return self.take(self.byte()).decode()

    def value(self):
        return self.take(struct.unpack("!H", self.take(2))[0]).decode(errors="replace")

    def section(self):
        out, items = {}, None
        while self.at < len(self.data):
            kind = self.byte()
            if kind == SECTION_START:
                name = self.name()  # before what it names
                out[name] = self.section()
            elif kind == SECTION_END:
                break
            elif kind == KEY_VALUE:
                key = self.name()
                out[key] = self.value()
            elif kind == LIST_START:
                items = out.setdefault(self.name(), [])
            elif kind == LIST_ITEM:
                items.append(self.value())
            elif kind != LIST_END:
                raise ViciError(f"element {kind} in a message of charon's")
        return out


def decode(data):
    return _Reader(data).section()


class Vici:
    """One connection. Commands are answered in order; of events only those come that were asked for."""

    def __init__(self, path, seconds=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.socket.connect(path)
        self.kept = []  # events that came while something else was waited for
        self.buffer = b""

    def close(self):
        self.socket.close()

    def _send(self, kind, name, message=b""):
        packet = bytes([kind, len(name)]) + name.encode() + message
        self.socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _receive(self):
        """A packet that a timeout cut stays in the buffer for the next call."""
        while len(self.buffer) < 4 or len(self.buffer) < 4 + struct.unpack_from("!I", self.buffer)[0]:
            piece = self.socket.recv(65536)
            if not piece:
                raise ViciError("charon closed its control socket")
            self.buffer += piece
        end = 4 + struct.unpack_from("!I", self.buffer)[0]
        packet, self.buffer = self.buffer[4:end], self.buffer[end:]
        if packet[0] == EVENT:
            name = packet[2:2 + packet[1]].decode()
            return EVENT, name, decode(packet[2 + packet[1]:])
        return packet[0], "", decode(packet[1:])

    def _answer(self, expected, events=None):
        while True:
            kind, name, message = self._receive()
            if kind != EVENT:
                if kind != expected:
                    raise ViciError(f"charon answers {kind}, not {expected}: an unknown command or event")
                return message
            (self.kept if events is None else events).append((name, message))

    def subscribe(self, *events):
        for event in events:
            self._send(EVENT_REGISTER, event)
            self._answer(EVENT_CONFIRM)

    def command(self, name, stream=None, seconds=30, **message):
        """(answer, what was streamed): `stream` names the event in which the command tells what it has to say."""
        streamed = []
        self.socket.settimeout(seconds)
        if stream:
            self.subscribe(stream)
        self._send(CMD_REQUEST, name, encode({k.replace("_", "-"): v for k, v in message.items()}))
        try:
            answer = self._answer(CMD_RESPONSE, streamed)
        finally:
            if stream:
                with contextlib.suppress(OSError):
                    self._send(EVENT_UNREGISTER, stream)
                    self._answer(EVENT_CONFIRM)
        return answer, [message for event, message in streamed if event == stream]

    def forget_events(self):
        """What has come until now is of no interest."""
        self.kept.clear()
        self.socket.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._receive()

    def wait_event(self, name, takes=lambda message: True, seconds=15):
        """The next event of that name that `takes` accepts; those before it are forgotten."""
        deadline = time.monotonic() + seconds
        while True:
            while self.kept:
                event, message = self.kept.pop(0)
                if event == name and takes(message):
                    return message
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                kind, event, message = self._receive()
            except TimeoutError:
                raise TimeoutError(f"charon told no such {name} within {seconds} s") from None
            if kind == EVENT:
                self.kept.append((event, message))
