"""A gateway as an operator runs it: `trunkgate run`, and what `trunkgate show` says about it."""

import contextlib
import json
import os
import signal

from .netns import run, wait_until

_here = os.path.dirname(os.path.abspath(__file__))
BIN = os.environ.get("TRUNKGATE_BIN", os.path.normpath(os.path.join(_here, "../../../build/release/bin")))
TRUNKGATE = os.path.join(BIN, "trunkgate")

running = []  # gateways whose log a failing test should show


class Gateway:
    def __init__(self, lab, netns, config, directory):
        self.lab, self.netns, self.config = lab, netns, config
        self.run_dir = os.path.join(directory, "run")
        self.log = os.path.join(directory, "gateway.log")
        self.process = None
        os.makedirs(self.run_dir, exist_ok=True)

    # ---- life ----

    def launch(self):
        self.process = self.lab.start([TRUNKGATE, "run", "--config", self.config, "--run-dir", self.run_dir], self.log,
                                      self.netns)
        running.append(self)
        return self

    def start(self, seconds=30):
        self.launch()
        self.wait_ready(seconds)
        return self

    def wait_ready(self, seconds=30, ports=None):
        """Ready: every configured port is up and every SA with keys by hand is installed."""
        want_ports = ports if ports is not None else self.configured("ports")
        want_sas = 2 * sum("manual" in c for t in self.configured("tunnels").values() for c in t["children"].values())

        def ready():
            if not self.process.running():
                raise RuntimeError(f"{self.netns}: trunkgate run ended\n{self.log_tail()}")
            try:
                up = {p["port"] for p in self.show("ports") if p["state"] == "up"}
                return up >= set(want_ports) and len(self.show("sas")) >= want_sas
            except (RuntimeError, ValueError):
                return False

        wait_until(ready, lambda: f"{self.netns} ready\n{self.log_tail()}", seconds, every=0.05)

    def configured(self, section):
        import yaml
        with open(self.config) as f:
            return yaml.safe_load(f).get(section, {})

    def stop(self, signal_number=signal.SIGTERM):
        with contextlib.suppress(ValueError):
            running.remove(self)
        return self.process.stop(signal_number)

    def close(self):
        if self.process:
            self.stop()

    def log_tail(self, lines=80):
        with contextlib.suppress(FileNotFoundError), open(self.log, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
        return "(no log)"

    # ---- what runs ----

    def daemon(self, name):
        """The process id of trunkgated or trunkgate-dataplane under this supervisor, or None."""
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            with contextlib.suppress(OSError, IndexError):
                with open(f"/proc/{entry}/stat") as f:
                    fields = f.read().rpartition(")")[2].split()
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    program = os.path.basename(f.read().split(b"\0")[0].decode())
                if int(fields[1]) == self.process.pid and fields[0] != "Z" and program == name:
                    return int(entry)
        return None

    def kill(self, name):
        """kill -9, as the kernel's out-of-memory killer would; returns the process id that was killed."""
        pid = wait_until(lambda: self.daemon(name), f"{name} runs")
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_restarted(self, name, old_pid, seconds=20):
        """With trunkgated, until it answers commands, too."""
        wait_until(lambda: (self.daemon(name) or old_pid) != old_pid, f"{name} restarted", seconds)
        if name == "trunkgated":
            wait_until(lambda: self.command("show", "tunnels", "--json", "--run-dir", self.run_dir, check=False)
                       .returncode in (0, 2), f"{name} answers\n{self.log_tail()}", seconds)

    # ---- what it says ----

    def command(self, *words, check=True, netns=True):
        argv = [TRUNKGATE, *words]
        return run("ip", "netns", "exec", self.netns, *argv, check=check) if netns else run(*argv, check=check)

    def show(self, what, *more):
        """The objects of `trunkgate show WHAT --json`. Status 2 says that something is down: that is an answer too."""
        done = self.command("show", what, *more, "--json", "--run-dir", self.run_dir, check=False)
        if done.returncode not in (0, 2):
            raise RuntimeError(f"trunkgate show {what}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def table(self, what, *more):
        return self.command("show", what, *more, "--no-color", "--run-dir", self.run_dir, check=False).stdout

    def drops(self):
        """{reason: packets}, over all workers."""
        sums = {}
        for row in self.show("drops"):
            sums[row["reason"]] = sums.get(row["reason"], 0) + row["packets"]
        return sums

    def sa(self, tunnel, child, direction):
        rows = [r for r in self.show("sas")
                if (r["tunnel"], r["child"], r["direction"]) == (tunnel, child, direction)]
        assert len(rows) == 1, f"{tunnel}/{child}/{direction}: {len(rows)} SAs"
        return rows[0]

    def do(self, verb, *words, check=True):
        """A command to the running gateway: rekey, up, down."""
        return self.command(verb, *words, "--run-dir", self.run_dir, check=check)

    def tunnels(self):
        """{name: row} of `trunkgate show tunnels`."""
        return {row["tunnel"]: row for row in self.show("tunnels")}

    def explain(self, tunnel):
        """The whole record of a tunnel's negotiations. Its status is that of `show`."""
        done = self.do("explain", tunnel, "--json", check=False)
        if done.returncode not in (0, 2):
            raise RuntimeError(f"trunkgate explain {tunnel}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def port(self, name):
        return next(p for p in self.show("ports") if p["port"] == name)
