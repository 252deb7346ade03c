"""Numbered UDP datagrams at a rate, and the count of what is missing at the far end. A program of its own: two of them
run beside a test, so that neither waits for the other.

    udp_sequence.py send ADDRESS PORT RATE SIZE [COUNT]     until COUNT are sent or SIGTERM; ends with one JSON line
    udp_sequence.py receive ADDRESS PORT                    until SIGTERM; a JSON line each 50 ms
"""

import json
import signal
import socket
import struct
import sys
import time

MARKER = b"TRUNKGATE-CLEARTEXT-MARKER"
SO_RCVBUFFORCE = 33
stopped = False


def stop(*_):
    global stopped
    stopped = True


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def send(address, port, rate, size, count=None):
    out = socket.socket(family(address), socket.SOCK_DGRAM)
    out.connect((address, port))
    filler = (MARKER * (size // len(MARKER) + 1))[:size - 8]
    number, start, refused = 0, time.monotonic(), 0
    while not stopped and (count is None or number < count):
        due = int((time.monotonic() - start) * rate) + 1
        due = due if count is None else min(due, count)
        while number < due:
            try:
                out.send(struct.pack("!Q", number) + filler)
            except OSError:  # an ICMP error that came back is told here; the datagram counts as sent
                refused += 1
            number += 1
        time.sleep(0.0005)
    seconds = time.monotonic() - start
    print(json.dumps({"sent": number, "seconds": seconds, "rate": number / seconds, "refused": refused}), flush=True)


def receive(address, port):
    into = socket.socket(family(address), socket.SOCK_DGRAM)
    into.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    into.bind((address, port))
    into.settimeout(0.05)
    seen, received, repeated, disordered, highest, told = bytearray(), 0, 0, 0, -1, 0.0
    print(json.dumps({"ready": True}), flush=True)

    def tell():
        missing = highest + 1 - sum(seen[:highest + 1]) if stopped else None
        print(json.dumps({"received": received, "highest": highest, "missing": missing, "repeated": repeated,
                          "disordered": disordered}), flush=True)

    while not stopped:
        try:
            number = struct.unpack_from("!Q", into.recv(65536))[0]
            if number >= len(seen):
                seen.extend(bytes(max(number + 1 - len(seen), 1 << 20)))
            received += 1
            repeated += seen[number]
            disordered += number < highest
            highest = max(highest, number)
            seen[number] = 1
        except TimeoutError:
            pass
        if (now := time.monotonic()) - told > 0.05:
            told = now
            tell()
    tell()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    if sys.argv[1] == "send":
        send(sys.argv[2], *map(int, sys.argv[3:]))
    else:
        receive(sys.argv[2], int(sys.argv[3]))
