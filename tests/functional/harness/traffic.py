"""Real traffic between namespaces: pings, TCP transfers whose content is compared, numbered UDP streams, iperf3."""

import hashlib
import json
import os
import random
import re
import socket
import sys
import threading
import time

from .capture import MARKER
from .netns import inside, run, wait_until

_sequence_program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "udp_sequence.py")


def ping(netns, address, count=3, size=56, check=True, deadline=10, interval=0.05, extra=()):
    """(sent, received)."""
    done = run("ip", "netns", "exec", netns, "ping", "-n", "-c", count, "-i", interval, "-s", size, "-w", deadline,
               *extra, address, check=False)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    sent, received = (int(found[1]), int(found[2])) if found else (0, 0)
    if check and (received == 0 or received < sent):
        raise AssertionError(f"ping {netns} > {address}: {received} of {sent} answered\n{done.stdout}{done.stderr}")
    return sent, received


def ping_all(netns, address, count=3, seconds=5, extra=()):
    """Exactly `count` are sent, and each is answered, however late: for peers that forward in user space."""
    sent, received, said = ping_errors(netns, address, count, wait=seconds, extra=extra)
    assert sent == received == count, f"ping {netns} > {address}: {received} of {sent} answered; {said}"


def ping_errors(netns, address, count=3, size=56, wait=1, interval=0.05, extra=()):
    """(sent, received, what routers answered): all `count` are sent, whatever comes back."""
    done = run("ip", "netns", "exec", netns, "ping", "-n", "-c", count, "-i", interval, "-s", size, "-W", wait, *extra,
               address, check=False)
    found = re.search(r"(\d+) packets transmitted, (\d+) received", done.stdout)
    return int(found[1]), int(found[2]), re.findall(r"^From .*", done.stdout, re.M)


def content(length, seed=1):
    """Random bytes with the marker in every 128 of them: a readable packet shows it, whatever its size."""
    block = bytearray(random.Random(seed).randbytes(1 << 20))
    for at in range(0, len(block), 128):
        block[at:at + len(MARKER)] = MARKER
    block = bytes(block)
    return [block] * (length // len(block)) + [block[:length % len(block)]]


def tcp_transfer(client_netns, server_netns, address, length, port=5600, seconds=60):
    """Sends `length` bytes from client to server and compares the SHA-256 of both ends. Returns the seconds it took."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(server_netns):
        listener = socket.create_server((address, port), family=family)
    listener.settimeout(seconds)
    outcome = {}

    def serve():
        try:
            connection, _ = listener.accept()
            connection.settimeout(seconds)
            digest, total, buffer = hashlib.sha256(), 0, bytearray(1 << 20)
            while n := connection.recv_into(buffer):
                digest.update(memoryview(buffer)[:n])
                total += n
            connection.sendall(digest.digest())
            connection.close()
            outcome["received"] = total
        except OSError as e:
            outcome["error"] = e

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with inside(client_netns):
        client = socket.socket(family, socket.SOCK_STREAM)
    digest, start = hashlib.sha256(), time.monotonic()
    try:
        client.settimeout(seconds)
        client.connect((address, port))
        for block in content(length):
            digest.update(block)
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)
        answer = client.recv(32, socket.MSG_WAITALL)
    except OSError as e:
        raise AssertionError(f"TCP {client_netns} > {server_netns} {address}: {e}; the server says {outcome}") from e
    finally:
        client.close()
        listener.close()
        thread.join(5)
    assert answer == digest.digest(), f"TCP {client_netns} > {server_netns}: the content changed on the way ({outcome})"
    return time.monotonic() - start


class UdpStream:
    """Numbered datagrams from one namespace to another while something else happens."""

    def __init__(self, lab, client, server, address, directory, rate=1000, size=200, count=None, port=5700):
        self.rate = rate
        stem = os.path.join(directory, f"stream-{time.monotonic_ns()}")
        self.receiver = lab.start([sys.executable, _sequence_program, "receive", address, port],
                                  stem + "-in.log", server)
        wait_until(lambda: self.reports(self.receiver), "the receiver is ready")
        self.sender = lab.start([sys.executable, _sequence_program, "send", address, port, rate, size] +
                                ([count] if count else []), stem + "-out.log", client)

    @staticmethod
    def reports(process):
        return [json.loads(line) for line in process.text().splitlines() if line.startswith("{") and line.endswith("}")]

    def highest(self):
        """The highest number that has arrived; -1 for none."""
        return self.reports(self.receiver)[-1].get("highest", -1)

    def wait_progress(self, beyond=None, seconds=10):
        """Waits until something newer than `beyond` (default: than what is there now) has arrived."""
        beyond = self.highest() if beyond is None else beyond
        wait_until(lambda: self.highest() > beyond, f"the stream goes on beyond number {beyond}", seconds)
        return self.highest()

    def finish(self, seconds=60):
        """Ends the sender (at once, unless it has a count), waits for the last datagram, and reports on both ends."""
        if "send" in self.sender.argv and len(self.sender.argv) == 7:
            self.sender.popen.terminate()
        self.sender.wait(seconds)
        sent = self.reports(self.sender)[-1]
        try:
            wait_until(lambda: self.highest() >= sent["sent"] - 1, "the last datagram", 3)
        except TimeoutError:
            pass  # lost: the report says so
        self.receiver.stop()
        got = self.reports(self.receiver)[-1]
        got["missing"] += sent["sent"] - 1 - got["highest"]
        return sent, got


class BothWays:
    """Numbered datagrams at a rate in both directions at once."""

    def __init__(self, lab, a, b, directory, rate=200, size=200):
        """a and b: (namespace, address)."""
        self.streams = [UdpStream(lab, sender[0], receiver[0], receiver[1], directory, rate, size, port=port)
                        for sender, receiver, port in ((a, b, 5701), (b, a, 5702))]
        self.wait_progress()

    def wait_progress(self, packets=0):
        """Waits until so many more (at least one) have arrived in each direction."""
        for stream, beyond in [(s, s.highest()) for s in self.streams]:
            stream.wait_progress(beyond + packets, 10 + packets / stream.rate)

    def stop(self):
        for stream in self.streams:
            stream.sender.stop()
            stream.receiver.stop()

    def finish(self):
        """[(sent, got)]"""
        return [stream.finish() for stream in self.streams]

    def assert_nothing_lost(self, at_least=100, but=(0, 0)):
        """Ends it when so many have come through in each direction. `but`: how many may be missing from a, and from b."""
        for stream in self.streams:
            stream.wait_progress(at_least, 10 + at_least / stream.rate)
        reports = self.finish()
        for (sent, got), excused in zip(reports, but):
            assert sent["sent"] >= at_least and sent["refused"] == 0, reports
            assert got["missing"] <= excused and got["repeated"] == 0, reports


def overflowed_datagrams(netns):
    """How many datagrams the namespace's kernel threw away because a program did not read its socket in time."""
    with inside(netns), open("/proc/thread-self/net/snmp") as four, open("/proc/thread-self/net/snmp6") as six:
        names, values = [line.split() for line in four if line.startswith("Udp:")]
        return int(values[names.index("RcvbufErrors")]) + int(re.search(r"^Udp6RcvbufErrors\s+(\d+)", six.read(), re.M)[1])


def iperf3_udp(lab, client, server, address, directory, bits_per_second="100M", seconds=2, length=1200):
    """iperf3's own verdict: {lost_packets, packets, bits_per_second, ...} as its server counted, and "lost_on_the_way":
    without those that had arrived already when the server was too slow to read them."""
    before = overflowed_datagrams(server)
    log = os.path.join(directory, f"iperf3-{time.monotonic_ns()}.log")
    process = lab.start(["iperf3", "-s", "-1", "-B", address, "--forceflush"], log, server)
    wait_until(lambda: "listening" in process.text() or not process.running(), "iperf3 listens")
    done = run("ip", "netns", "exec", client, "iperf3", "-u", "-J", "-c", address, "-b", bits_per_second, "-t", seconds,
               "-l", length, "--connect-timeout", 5000, check=False, timeout=seconds + 30)
    process.stop()
    report = json.loads(done.stdout)
    if "error" in report:
        raise AssertionError(f"iperf3 {client} > {address}: {report['error']}")
    end = report["end"]["sum"]
    return {**end, "lost_on_the_way": end["lost_packets"] - (overflowed_datagrams(server) - before)}
