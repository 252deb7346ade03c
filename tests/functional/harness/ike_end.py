"""An end of IKE messages: a UDP socket in a namespace, the IKE SAs that it has, a thread that answers requests, and
requests of one's own."""

import contextlib
import os
import select
import socket
import threading
import time

from . import ike_octets
from .ike_octets import SA_INIT, SKF
from .ike_payloads import notifies
from .netns import inside


class Silent(TimeoutError):
    """No answer to a request came."""


class IkeEnd:
    """What answers is in the class that is made of it: _answer_init(message) and _answer(sa, message, payloads, plain)."""

    def __init__(self, netns, address, other, patience=10):
        """A request without an answer is sent `patience` times."""
        self.address, self.other, self.patience = address, other, patience
        self.sas = []        # the newest last
        self.refused = []    # errors that the other end was answered with
        self.said = []       # (exchange, is it a response, [payload types]) of what the other end sent
        self.unopened = []   # messages to an IKE SA that its keys do not open
        self.fragments = 0   # of messages (RFC 7383), that came
        self.troubles = []
        self._responses, self._changed = {}, threading.Condition(threading.RLock())
        with inside(netns):
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._esp = socket.socket(socket.AF_INET, socket.SOCK_RAW, 50)  # or the kernel would call ESP unreachable
        self._socket.bind((address, 500))
        self._esp.bind((address, 0))
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="ike peer", daemon=True)
        self._thread.start()

    def close(self):
        if self._stop_write is not None:
            os.write(self._stop_write, b"x")
            self._thread.join(5)
            for one in (self._socket, self._esp):
                one.close()
            os.close(self._stop_read)
            os.close(self._stop_write)
            self._stop_write = None

    @property
    def sa(self):
        return self.sas[-1]

    def wait(self, condition, what, seconds=10.0):
        """Until something that the other end does has made it true."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while not (answer := condition()):
                assert not self.troubles, self.troubles
                if (remaining := deadline - time.monotonic()) <= 0:
                    raise TimeoutError(f"not within {seconds} s: {what}; the other end said {self.said[-8:]}")
                self._changed.wait(remaining)
        return answer

    # ---- the wire ----

    def _run(self):
        poller = select.poll()
        for one in (self._socket, self._esp, self._stop_read):
            poller.register(one, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poller.poll()}
            if self._stop_read in ready:
                return
            if self._esp.fileno() in ready:
                self._esp.recv(65536)  # the bench's station hears it, too
            if self._socket.fileno() not in ready:
                continue
            octets = self._socket.recv(65536)
            with self._changed:
                try:
                    self._receive(ike_octets.read(octets))
                except Exception as error:  # told by whoever waits
                    self.troubles.append(f"{type(error).__name__}: {error}")
                self._changed.notify_all()

    def send(self, octets):
        self._socket.sendto(octets, (self.other, 500))

    def _receive(self, message):
        if message.exchange == SA_INIT:
            if message.response:
                self._responses[message.spi_i, 0] = (message.payloads(), None, message)
            else:
                self._answer_init(message)
            return
        sa = next((one for one in self.sas if one.spis == (message.spi_i, message.spi_r)), None)
        if sa is None:
            return
        if not message.response and message.number in sa.answers:
            for octets in sa.answers[message.number]:
                self.send(octets)
            return
        inner = sa.unseal(message)
        if inner is None:
            self.unopened.append(message)
            return
        self.fragments += message.first == SKF
        if (opened := sa.open(message, inner)) is None:
            return
        payloads, plain = opened
        self.said.append((message.exchange, message.response, [kind for kind, _ in payloads]))
        if message.response:
            self._responses[sa.spis[0], message.number] = (payloads, plain, message)
        elif message.number == sa.expected:
            sa.expected += 1
            self._answer(sa, message, payloads, plain)

    def _respond(self, sa, message, payloads):
        sa.answers[message.number], plain = sa.seal(message.exchange, message.number, True, payloads)
        for kind in notifies(payloads):
            if kind < 16384:
                self.refused.append(kind)
        for octets in sa.answers[message.number]:
            self.send(octets)
        return plain

    def _wait_response(self, spi, number, again):
        for _ in range(self.patience):
            again()
            with contextlib.suppress(TimeoutError):
                return self.wait(lambda: self._responses.pop((spi, number), None), "an answer", 1.0)
        raise Silent(f"there is no answer to message {number}")

    def request(self, sa, exchange, payloads):
        """(payloads of the answer, the request and the answer as RFC 9242 authenticates them)"""
        with self._changed:
            number = sa.next_request
            sa.next_request += 1
            datagrams, plain = sa.seal(exchange, number, False, payloads)
        answer, answer_plain, _ = self._wait_response(sa.spis[0], number, lambda: [self.send(d) for d in datagrams])
        return answer, plain, answer_plain
