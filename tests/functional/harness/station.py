"""A host of frames on a veth end: sends any frame, collects what comes, answers ARP and neighbour solicitations.

The namespace's kernel has no address on the device, so that nothing but the test speaks there.
"""

import collections
import contextlib
import ipaddress
import os
import select
import socket
import struct
import threading
import time

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from .netns import inside

ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA, PACKET_IGNORE_OUTGOING = 263, 8, 23
TP_STATUS_CSUMNOTREADY, TP_STATUS_VLAN_VALID = 8, 16
SO_RCVBUFFORCE = 33

Frame = collections.namedtuple("Frame", "time data checksum_pending")


def listener_report(data):
    """What the box's kernel says of its multicast groups whenever it likes (behind a hop-by-hop header)."""
    return data[12:14] == b"\x86\xdd" and data[20] == 0 and data[54] == 58


class Station:
    def __init__(self, netns, device, mac):
        self.netns, self.device, self.mac = netns, device, mac
        self.neighbours = {}  # IP address -> MAC that is answered for it
        self.asked = collections.Counter()  # (address) -> how often somebody asked for it
        self.ignore = lambda data: False
        self._frames = collections.deque()
        self._arrived = threading.Condition()
        with inside(netns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        self._socket.bind((device, ETH_P_ALL))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._receive, name=f"station {netns}/{device}", daemon=True)
        self._thread.start()

    def close(self):
        if self._stop_write is not None:
            os.write(self._stop_write, b"x")
            self._thread.join(5)
            self._socket.close()
            os.close(self._stop_read)
            os.close(self._stop_write)
            self._stop_write = None

    # ---- sending ----

    def send(self, frame):
        self._socket.send(bytes(frame))

    def send_many(self, frames):
        for frame in frames:
            self._socket.send(frame)

    # ---- receiving ----

    def take(self):
        """Everything that has come so far, and forgets it."""
        with self._arrived:
            frames = list(self._frames)
            self._frames.clear()
        return frames

    def expect(self, match, what="a frame", seconds=3.0):
        """The first frame that matches (`match` gets it as scapy's Ether); those before it are kept for take()."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._arrived:
            while True:
                while seen < len(self._frames):
                    packet = Ether(self._frames[seen].data)
                    if match(packet):
                        del self._frames[seen]
                        return packet
                    seen += 1
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    others = "\n".join("  " + Ether(f.data).summary() for f in list(self._frames)[-12:])
                    raise AssertionError(f"{what} did not come to {self.netns} within {seconds} s; what came:\n"
                                         f"{others or '  nothing'}")
                self._arrived.wait(remaining)

    def count(self, match, wanted, what, seconds=10.0):
        """Waits until `wanted` frames match (a plain bytes predicate: fast) and takes them."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while True:
                hits = [f for f in self._frames if match(f.data)]
                if len(hits) >= wanted:
                    self._frames = collections.deque(f for f in self._frames if not match(f.data))
                    return hits
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise AssertionError(f"{len(hits)} of {wanted} {what} came to {self.netns} within {seconds} s")
                self._arrived.wait(min(remaining, 0.2))

    def gather(self, wanted, seconds=5.0):
        """Waits until so many frames have come, and takes all there are; fewer if they do not come in time."""
        deadline = time.monotonic() + seconds
        with self._arrived:
            while len(self._frames) < wanted and (remaining := deadline - time.monotonic()) > 0:
                self._arrived.wait(remaining)
        return self.take()

    # ---- the thread ----

    def _receive(self):
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(self._stop_read, select.POLLIN)
        while True:
            events = dict(poller.poll())
            if self._stop_read in events:
                return
            try:
                data, ancillary, _, _ = self._socket.recvmsg(65536, 256)
            except OSError:  # the device went down, or away
                with contextlib.suppress(OSError):
                    self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                time.sleep(0.01)
                continue
            status = 0
            for level, kind, value in ancillary:
                if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
                    status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
                    if status & TP_STATUS_VLAN_VALID:  # the kernel took the tag out: put it back
                        data = data[:12] + struct.pack("!HH", tpid or 0x8100, tci) + data[12:]
            if self.ignore(data) or self._answer_neighbour(data):
                continue
            with self._arrived:
                self._frames.append(Frame(time.time(), data, bool(status & TP_STATUS_CSUMNOTREADY)))
                self._arrived.notify_all()

    def _answer_neighbour(self, data):
        """True: it was a question about one of our addresses, which needs no test's attention."""
        tag = 4 if data[12:14] == b"\x81\x00" else 0
        kind, body = data[12 + tag:14 + tag], data[14 + tag:]
        vlan = data[12:12 + tag]
        if kind == b"\x08\x06" and body[6:8] == b"\x00\x01":
            asked, asker = socket.inet_ntoa(body[24:28]), socket.inet_ntoa(body[14:18])
            self.asked[asked] += 1
            if (mac := self.neighbours.get(asked)) is None:
                return False
            reply = Ether(src=mac, dst=data[6:12]) / ARP(op=2, hwsrc=mac, psrc=asked, hwdst=data[6:12], pdst=asker)
        elif kind == b"\x86\xdd" and body[6:7] == b"\x3a" and body[40:41] == b"\x87":
            asked, asker = str(ipaddress.ip_address(body[48:64])), str(ipaddress.ip_address(body[8:24]))
            self.asked[asked] += 1
            if (mac := self.neighbours.get(asked)) is None:
                return False
            unspecified = asker == "::"
            reply = (Ether(src=mac, dst="33:33:00:00:00:01" if unspecified else data[6:12]) /
                     IPv6(src=asked, dst="ff02::1" if unspecified else asker, hlim=255) /
                     ICMPv6ND_NA(tgt=asked, R=0, S=0 if unspecified else 1, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac))
        else:
            return False
        raw = bytes(reply)
        self._socket.send(raw[:12] + vlan + raw[12:])
        return True
