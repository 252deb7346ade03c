"""A bad link for IKE: a process in a router's namespace through which every IKE datagram goes, and which drops, doubles and
reorders them. ESP takes the kernel's way past it.

The router's nftables mark IKE (UDP 500, UDP 4500 with four zero bytes in front, and later fragments of either), a rule
leads what is marked into a TUN device, and what the thread writes there is routed on as if it had just come in."""

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import threading
import time

from .netns import inside

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454ca, 0x0001, 0x1000
_MARK, _TABLE, _PREFERENCE = 0x71, 171, 100


class IkeDatagram:
    """What a test may want to choose by. A later fragment of IPv4 or one without the whole header has only `data`."""

    def __init__(self, data):
        self.data = data
        self.source = self.destination = self.exchange = self.message_id = self.flags = None
        if data[0] >> 4 == 4:
            at, self.source, self.destination = 4 * (data[0] & 15), data[12:16], data[16:20]
            if struct.unpack_from("!H", data, 6)[0] & 0x1fff or data[9] != 17:
                return
        else:
            at, self.source, self.destination = 40, data[8:24], data[24:40]
        ports, at = struct.unpack_from("!HH", data, at), at + 8
        if 500 not in ports and data[at:at + 4] == b"\0\0\0\0":
            at += 4
        if len(data) >= at + 28:
            self.exchange, self.flags, self.message_id = struct.unpack_from("!BBI", data, at + 18)

    @property
    def is_response(self):
        return bool(self.flags is not None and self.flags & 0x20)


IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL, IKE_INTERMEDIATE = 34, 35, 36, 37, 43


class LossyLink:
    """In force from here until close(). Percentages may be set at any time; `choose` takes an IkeDatagram and says "drop",
    "double", "hold" (until something overtakes it, or for `hold` seconds) or None, which leaves it to chance."""

    def __init__(self, lab, netns, drop=0, double=0, reorder=0, seed=1, hold=0.3, device="lossy0"):
        self.lab, self.netns, self.device, self.hold = lab, netns, device, hold
        self.drop, self.double, self.reorder, self.choose = drop, double, reorder, None
        self.random = random.Random(seed)
        self.counts = dict.fromkeys(("seen", "dropped", "doubled", "held"), 0)
        self.order, self.held = itertools.count(), []
        with inside(netns):
            self.tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(self.tun, _TUNSETIFF, struct.pack("16sH22x", device.encode(), _IFF_TUN | _IFF_NO_PI))
        lab.ip(netns, "link", "set", device, "up")
        for family in ("-4", "-6"):
            lab.ip(netns, family, "rule", "add", "fwmark", hex(_MARK), "lookup", str(_TABLE), "pref", str(_PREFERENCE))
            lab.ip(netns, family, "route", "add", "default", "dev", device, "table", str(_TABLE))
        for key in ("all", "default", device):
            lab.sysctl(netns, f"net.ipv4.conf.{key}.rp_filter", 0)
        lab.nft(netns, f"""table inet lossy {{ chain ike {{ type filter hook prerouting priority -300;
            iifname "{device}" return
            udp dport 500 meta mark set {_MARK}
            udp sport 500 meta mark set {_MARK}
            udp dport 4500 @th,64,32 0 meta mark set {_MARK}
            udp sport 4500 @th,64,32 0 meta mark set {_MARK}
            ip frag-off & 0x1fff != 0 ip protocol udp meta mark set {_MARK}
            }}; }}""")
        self.ended, self.wake = os.pipe()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()
        lab.closing(self)

    def set(self, drop=0, double=0, reorder=0):
        self.drop, self.double, self.reorder = drop, double, reorder

    def close(self):
        if not self.thread.is_alive():
            return
        os.write(self.wake, b"x")
        self.thread.join(5)
        for fd in (self.tun, self.ended, self.wake):
            os.close(fd)
        self.lab.nft(self.netns, "delete table inet lossy")
        for family in ("-4", "-6"):
            self.lab.ip(self.netns, family, "rule", "del", "pref", str(_PREFERENCE))

    def _judge(self, data):
        if self.choose and (verdict := self.choose(IkeDatagram(data))):
            return verdict
        # One draw per question, whatever the answers: the same seed decides the same for the n-th datagram.
        draws = [self.random.uniform(0, 100) for _ in range(3)]
        for draw, share, verdict in zip(draws, (self.drop, self.double, self.reorder), ("drop", "double", "hold")):
            if draw < share:
                return verdict
        return None

    def _write(self, data):
        try:
            os.write(self.tun, data)
        except OSError:
            pass  # the namespace goes: so does the link

    def _release(self, now):
        while self.held and self.held[0][0] <= now:
            self._write(heapq.heappop(self.held)[2])

    def _pass(self, data):
        self.counts["seen"] += 1
        verdict = self._judge(data)
        if verdict == "drop":
            self.counts["dropped"] += 1
        elif verdict == "hold":
            self.counts["held"] += 1
            heapq.heappush(self.held, (time.monotonic() + self.hold, next(self.order), data))
        else:
            self._write(data)
            if verdict == "double":
                self.counts["doubled"] += 1
                self._write(data)
            self._release(float("inf"))  # this one has overtaken what was held

    def _work(self):
        while True:
            wait = max(0, self.held[0][0] - time.monotonic()) if self.held else None
            ready = select.select([self.tun, self.ended], [], [], wait)[0]
            if self.ended in ready:
                return
            if self.tun in ready:
                try:
                    self._pass(os.read(self.tun, 65536))
                except BlockingIOError:
                    pass
                except OSError:
                    return  # the namespace is gone
            self._release(time.monotonic())


def cut(lab, netns, from_device=None):
    """Nothing passes the router any more, or nothing that comes from that device; repair() ends it."""
    which = f'iifname "{from_device}" ' if from_device else ""
    lab.nft(netns, f"table inet cut {{ chain f {{ type filter hook forward priority 0; {which}drop; }}; }}")


def repair(lab, netns):
    lab.nft(netns, "delete table inet cut")
