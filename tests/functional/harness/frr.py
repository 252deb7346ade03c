"""FRR's bgpd and zebra in a gateway's network namespace, as its package has them: each with directories of its own."""

import json
import os
import shutil

from .netns import run, wait_until

DAEMONS = "/usr/lib/frr"


class Frr:
    """zebra writes routes into the kernel; bgpd has the configuration."""

    def __init__(self, lab, netns, config):
        self.lab, self.netns, self.directory = lab, netns, f"/run/frr-{netns}"
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        shutil.chown(self.directory, "frr", "frr")  # the daemons give up root
        self.socket = os.path.join(self.directory, "zserv.api")
        for name, text in (("bgpd", config), ("zebra", "")):
            with open(os.path.join(self.directory, name + ".conf"), "w") as f:
                f.write(text)
        self.zebra = self._start("zebra")
        wait_until(lambda: os.path.exists(self.socket) or not self.zebra.running(), "zebra listens")
        assert self.zebra.running(), self.zebra.text()
        self.bgpd = self._start("bgpd", "-p", "179")

    def _start(self, name, *more):
        return self.lab.start([f"{DAEMONS}/{name}", "-f", f"{self.directory}/{name}.conf", "-z", self.socket,
                               "-i", f"{self.directory}/{name}.pid", "--vty_socket", self.directory,
                               "--log", "stdout", *more], f"{self.directory}/{name}.log", self.netns)

    def ask(self, command):
        done = run("ip", "netns", "exec", self.netns, "vtysh", "--vty_socket", self.directory, "-d", "bgpd", "-c",
                   command, check=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def configure(self, *lines):
        words = [word for line in ("configure terminal", *lines) for word in ("-c", line)]
        run("ip", "netns", "exec", self.netns, "vtysh", "--vty_socket", self.directory, "-d", "bgpd", *words)

    def established(self, peer):
        for family in self.ask("show bgp summary json").values():
            if family.get("peers", {}).get(peer, {}).get("state") == "Established":
                return True
        return False
