"""Fixtures: the surroundings with strongSwan as the peer, and every daemon's log beside a test that failed."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../functional"))

import pytest  # noqa: E402

from harness import gateway, strongswan  # noqa: E402
from harness.interop import Interop  # noqa: E402


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for daemon in (*gateway.running, *strongswan.running):
            report.sections.append((f"log of {daemon.netns}", daemon.log_tail()))
    return report


def close_and_read_logs(surroundings):
    """What a sanitizer said, also at the gateway's end, is an error even where every test has passed."""
    ours = surroundings.gateway
    surroundings.close()
    if ours and os.path.exists(ours.log):
        with open(ours.log, errors="replace") as f:
            said = [line for line in f if "Sanitizer" in line or "runtime error:" in line]
        assert not said, f"{''.join(said)}\n{ours.log_tail()}"


@pytest.fixture(scope="module")
def make_interop(tmp_path_factory):
    """Makes Interop objects, one at a time: their namespaces have fixed names."""
    made = []

    def make(**options):
        for old in made:
            close_and_read_logs(old)
        made[:] = [Interop(str(tmp_path_factory.mktemp("interop")), **options)]
        return made[0]

    yield make
    for old in made:
        close_and_read_logs(old)


@pytest.fixture(scope="module")
def interop(make_interop):
    """The peer runs, with native ESP; the gateway is started by the first configuration that it is given."""
    surroundings = make_interop()
    surroundings.start_peer(raw_esp=True)
    return surroundings
