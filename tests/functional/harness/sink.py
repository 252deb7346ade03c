"""The SA sink of the control plane beside a data plane alone: sink_tool, by commands (tests/tools/sink_tool.cpp)."""

import json
import os
import queue
import subprocess
import threading
import time

from . import config
from .gateway import BIN, Gateway
from .oracle import Peer
from .topology import Bench

PROGRAM = os.path.join(BIN, "sink_tool")


class Sink:
    def __init__(self, run_dir):
        self.answers, self.events = queue.Queue(), queue.Queue()
        self.popen = subprocess.Popen([PROGRAM, os.path.join(run_dir, "dataplane.sock")], text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            said = json.loads(line)
            (self.events if "event" in said else self.answers).put(said)

    def try_to(self, do, **more):
        self.popen.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self.popen.stdin.flush()
        return self.answers.get(timeout=20)

    def __call__(self, do, **more):
        answer = self.try_to(do, **more)
        assert answer["ok"], f"{do}: {answer['reason']}"
        return answer

    def event(self, kind, seconds=5):
        """The next event of that kind; those before it are forgotten."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                said = self.events.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError(f"no event {kind} came within {seconds} s") from None
            if said["event"] == kind:
                return said

    def no_more(self, kind):
        """None of that kind has come: everything that was told before this answer is here."""
        self("survived")
        found = []
        while not self.events.empty():
            found.append(self.events.get())
        assert not [e for e in found if e["event"] == kind], found

    def close(self):
        self.popen.stdin.close()
        try:
            self.popen.wait(5)
        finally:
            self.popen.kill()


class Child:
    """A child that IKE would key: what the configuration says of it."""

    def __init__(self, tunnel, name, local="10.1.0.0/16", remote="10.2.0.0/16"):
        self.tunnel, self.name, self.local, self.remote = tunnel, name, local, remote

    def words(self):
        return {"tunnel": self.tunnel, "name": self.name, "local": self.local, "remote": self.remote}


class Pair:
    """A negotiated pair of SAs, and the oracle at its other end."""

    def __init__(self, child, udp=None, peer=Bench.PEER4, follow=False):
        self.child, self.follow = child, follow
        self.keys = config.Child(child.name, [child.local], [child.remote], esn=False)
        self.at(peer, udp)

    def at(self, peer, udp=None):
        """The other end is there from now on; the oracle's numbers go on."""
        sequence = self.oracle.sequence if hasattr(self, "oracle") else 0
        self.peer, self.udp = peer, udp
        self.oracle = Peer(config.Tunnel(self.child.tunnel, Bench.BOX4, peer, [self.keys], udp or False), self.keys)
        self.oracle.sequence = sequence

    @property
    def spi(self):
        return self.keys.in_spi

    def path(self):
        return {"local": Bench.BOX4, "remote": self.peer, "follow": self.follow,
                **({"udp": list(self.udp)} if self.udp else {})}

    def words(self, which="both"):
        return {"child": self.child.words(), "in": self.keys.in_spi, "out": self.keys.out_spi,
                "in_key": self.keys.in_key.hex(), "out_key": self.keys.out_key.hex(), "which": which,
                "path": self.path()}


class Alone:
    """A bench whose gateway is a data plane alone, with a sink beside it."""

    def __init__(self, bench, children):
        self.bench, self.children = bench, children
        self.file = config.write(bench.directory, {
            "wan": {"device": "wan0", "addresses": [f"{Bench.BOX4}/24", f"{Bench.BOX6}/64"]},
            "lan": {"device": "lan0", "addresses": [f"{Bench.BOX_LAN4}/16", f"{Bench.BOX_LAN6}/64"]}},
            policies=Bench.POLICIES, routes=[("0.0.0.0/0", "203.0.113.1", "wan"), ("::/0", "2001:db8:f::1", "wan")])
        bench.gateway = Gateway(bench.lab, "gw", self.file, bench.directory)
        self.launch()
        self.sink = bench.lab.closing(Sink(bench.gateway.run_dir))
        self.connect()
        bench.wait_quiet()

    def launch(self):
        gateway = self.bench.gateway
        gateway.process = self.bench.lab.start([os.path.join(BIN, "trunkgate-dataplane"), "--run-dir", gateway.run_dir],
                                               gateway.log, "gw")

    def connect(self):
        deadline = time.monotonic() + 20
        while not self.sink.try_to("connect")["ok"]:
            assert time.monotonic() < deadline, "the data plane does not listen\n" + self.bench.gateway.log_tail()
            time.sleep(0.05)
        self.install()
        self.bench.gateway.wait_ready()

    def install(self, children=None):
        self.sink("install", file=self.file, children=[c.words() for c in children or self.children])

    def add(self, pair, which="both"):
        self.sink("add", **pair.words(which))
        return pair
