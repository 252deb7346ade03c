"""Fixtures: fresh directories, and the gateways' logs beside a test that failed."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pytest  # noqa: E402

from harness import gateway  # noqa: E402
from harness.topology import Bench, Hub, Sites  # noqa: E402


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        for g in gateway.running:
            report.sections.append((f"log of {g.netns}", g.log_tail()))
    return report


def close_and_read_logs(surroundings):
    """What a sanitizer said, also at a daemon's end, is an error even where every test has passed."""
    gateways = [g for name in ("gateway", "gw_a", "gw_b") if (g := getattr(surroundings, name, None))]
    gateways += getattr(surroundings, "gateways", {}).values()
    surroundings.close()
    for g in (g for g in gateways if os.path.exists(g.log)):
        with open(g.log, errors="replace") as f:
            said = [line for line in f if "Sanitizer" in line or "runtime error:" in line]
        assert not said, f"{g.netns}: {''.join(said)}\n{g.log_tail()}"


@pytest.fixture(scope="module")
def make_bench(tmp_path_factory):
    """Makes Bench objects that are taken down when the module's tests have run."""
    made = []

    def make(**options):
        for old in made:  # names of namespaces are fixed: one bench at a time
            close_and_read_logs(old)
        made[:] = [Bench(str(tmp_path_factory.mktemp("bench")), **options)]
        return made[0]

    yield make
    for bench in made:
        close_and_read_logs(bench)


@pytest.fixture(scope="module")
def make_sites(tmp_path_factory):
    made = []

    def make(kind=Sites, **options):
        for old in made:
            close_and_read_logs(old)
        made[:] = [kind(str(tmp_path_factory.mktemp("sites")), **options)]
        return made[0]

    yield make
    for sites in made:
        close_and_read_logs(sites)


@pytest.fixture(scope="module")
def make_hub(tmp_path_factory):
    made = []

    def make():
        for old in made:
            close_and_read_logs(old)
        made[:] = [Hub(str(tmp_path_factory.mktemp("hub")))]
        return made[0]

    yield make
    for hub in made:
        close_and_read_logs(hub)
