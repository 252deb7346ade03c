"""Network namespaces, veth pairs, and processes inside them; everything made here is taken down by close()."""

import contextlib
import os
import signal
import subprocess
import threading
import time


def run(*argv, check=True, timeout=60, **options):
    """One command, its output as text; a failure shows what the command said."""
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def wait_until(condition, what, seconds=10.0, every=0.02):
    """Waits for an event that can only be asked for. Returns the first true answer."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(every)


@contextlib.contextmanager
def inside(name):
    """This thread's sockets are made in the namespace; they stay there afterwards."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        os.setns(there, os.CLONE_NEWNET)
        yield
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(there)
        os.close(here)


class Process:
    """A process with its output in a file, in a session of its own so that stop() reaches its children too."""

    def __init__(self, argv, log, netns=None, **options):
        self.log = log
        self.argv = [str(a) for a in argv]
        command = ["ip", "netns", "exec", netns, *self.argv] if netns else self.argv
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                          start_new_session=True, **options)

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen.poll() is None

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait(self, seconds=30):
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            what = f"still running after {seconds} s: {' '.join(self.argv)}"
            raise TimeoutError(f"{what}\n{self.text()[-4000:]}") from None

    def stop(self, signal_number=signal.SIGTERM, seconds=10):
        """Asks it to end, and ends whatever is left of its session. Returns the exit status."""
        if self.running():
            self.popen.send_signal(signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self.popen.wait(5)


# Announcements that IPv6 makes on its own when a device comes up would be counted where a test counts exactly.
_quiet_ipv6 = {"router_solicitations": 0, "dad_transmits": 0, "mldv2_unsolicited_report_interval": 1,
               "mldv1_unsolicited_report_interval": 1}


class Lab:
    """A set of namespaces and what runs in them."""

    def __init__(self):
        self.names = []
        self.processes = []
        self.closers = []
        self.lock = threading.Lock()

    def namespace(self, name, forwarding=False, quiet=False):
        run("ip", "netns", "add", name)
        self.names.append(name)
        self.ip(name, "link", "set", "lo", "up")
        if forwarding:
            self.sysctl(name, "net.ipv4.ip_forward", 1)
            self.sysctl(name, "net.ipv6.conf.all.forwarding", 1)
        # Sites and routers answer pings at once: no duplicate address detection to wait for.
        self.sysctl(name, "net.ipv6.conf.default.accept_dad", 0)
        self.sysctl(name, "net.ipv6.conf.default.dad_transmits", 0)
        if quiet:
            for key, value in _quiet_ipv6.items():
                self.sysctl(name, f"net.ipv6.conf.default.{key}", value)
        return name

    def sysctl(self, name, key, value):
        # The key's file of that namespace: /proc/sys/net is the opening thread's namespace.
        with inside(name), open("/proc/sys/" + key.replace(".", "/"), "w") as f:
            f.write(str(value))

    def ip(self, name, *arguments, check=True):
        return run("ip", "-netns", name, *arguments, check=check)

    def veth(self, a, b, mtu=None, macs=(None, None)):
        """a and b: (namespace, device). Offloads stay as the kernel gives them."""
        (ns_a, dev_a), (ns_b, dev_b) = a, b
        words = ["link", "add", dev_a]
        words += ["address", macs[0]] if macs[0] else []
        words += ["mtu", str(mtu)] if mtu else []
        words += ["type", "veth", "peer", "name", dev_b, "netns", ns_b]
        words += ["address", macs[1]] if macs[1] else []
        words += ["mtu", str(mtu)] if mtu else []
        self.ip(ns_a, *words)
        self.ip(ns_a, "link", "set", dev_a, "up")
        self.ip(ns_b, "link", "set", dev_b, "up")

    def address(self, name, device, *addresses):
        for address in addresses:
            self.ip(name, "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))

    def route(self, name, to, via):
        self.ip(name, *(["-6"] if ":" in to or ":" in via else []), "route", "add", to, "via", via)

    def mac(self, name, device):
        return self.ip(name, "-brief", "link", "show", "dev", device).stdout.split()[2]

    def nft(self, name, rules):
        run("ip", "netns", "exec", name, "nft", "-f", "-", input=rules)

    def start(self, argv, log, netns=None, **options):
        process = Process(argv, log, netns, **options)
        self.processes.append(process)
        return process

    def closing(self, thing):
        """thing.close() is called before the namespaces go."""
        self.closers.append(thing)
        return thing

    def close(self):
        for thing in reversed(self.closers):
            with contextlib.suppress(Exception):
                thing.close()
        for process in reversed(self.processes):
            with contextlib.suppress(Exception):
                process.stop()
        for name in self.names:
            run("ip", "netns", "del", name, check=False)
        self.names, self.processes, self.closers = [], [], []
