"""`trunkgate trace` and `trunkgate capture` as an operator runs them beside a gateway."""

import contextlib
import json
import os
import re
import signal
import subprocess

from .capture import Capture
from .gateway import TRUNKGATE
from .netns import wait_until


class _Watch:
    """Runs from here until it ends by itself, or stop(); it is on when the constructor returns."""

    says_when_on = ""

    def __init__(self, gateway, verb, words, directory, **options):
        self.gateway = gateway
        stem = os.path.join(directory, f"{verb}-{len(os.listdir(directory))}")
        self.out, self.err = stem + ".out", stem + ".err"
        argv = ["ip", "netns", "exec", gateway.netns, TRUNKGATE, verb, *map(str, words), "--run-dir", gateway.run_dir]
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.popen = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, **options)
        gateway.lab.closing(self)
        wait_until(lambda: self.says_when_on in self.errors() or self.popen.poll() is not None, f"{verb} is on")
        assert self.says_when_on in self.errors(), self.errors()

    def text(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def errors(self):
        with open(self.err, errors="replace") as f:
            return f.read()

    def wait(self, seconds=15):
        """Until it ends by itself."""
        status = self.popen.wait(seconds)
        assert status == 0, self.errors()
        return self

    def stop(self, signal_number=signal.SIGINT):
        """Ctrl-C, and it ends well."""
        self.popen.send_signal(signal_number)
        return self.wait()

    def close(self):
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait(5)


class Trace(_Watch):
    says_when_on = "waiting for packets"

    def __init__(self, gateway, words, directory):
        super().__init__(gateway, "trace", [*words, "--json"], directory)

    def packets(self):
        return [json.loads(line) for line in self.text().splitlines()]


class CaptureCommand(_Watch):
    says_when_on = "capturing"

    def __init__(self, gateway, words, directory):
        self.file = os.path.join(directory, f"capture-{len(os.listdir(directory))}.pcapng")
        super().__init__(gateway, "capture", [*words, "-w", self.file], directory)

    def fields(self, names, display_filter=""):
        """As tshark reads them: one tuple of texts per packet."""
        return Capture.of_file(self.file).fields(names, display_filter)

    def counts(self):
        """(captured, lost), as it says at its end."""
        found = re.search(r"(\d+) packets captured, (\d+) lost", self.errors())
        return int(found[1]), int(found[2])


def documented_paths():
    """{path: stages}, from docs/life-of-a-packet.md."""
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../../docs/life-of-a-packet.md")) as f:
        return {name: re.findall(r"\w+", stages.split(",")[0])
                for name, stages in re.findall(r"^ {4}(\w+) +((?:\w+ > )+.*)$", f.read(), re.M)}
