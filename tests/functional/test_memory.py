"""Packet buffers with hugepages and without: the gateway takes what the kernel has, and says what it took."""

import contextlib

import pytest

from harness.config import Child, Tunnel
from harness.topology import Bench

COUNT = "/proc/sys/vm/nr_hugepages"


@contextlib.contextmanager
def hugepages(wanted):
    """Reserves 2 MiB pages for the while. Yields how many the kernel could find."""
    with open(COUNT) as f:
        before = int(f.read())
    try:
        with open(COUNT, "w") as f:
            f.write(str(max(before, wanted)))
        with open(COUNT) as f:
            yield int(f.read())
    finally:
        with open(COUNT, "w") as f:
            f.write(str(before))


def tunnel():
    return Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"])])


def test_with_hugepages(make_bench):
    with hugepages(400) as found:
        if found < 400:
            pytest.skip(f"the kernel has only {found} hugepages to give")
        bench = make_bench().start([tunnel()], hugepages="auto")
        assert bench.gateway.show("gateway")[0]["hugepages"] is True
        bench.good_packet_passes(bench.peers["t", "lan"])
        bench.close()


def test_without_hugepages_it_runs_and_says_so(make_bench):
    bench = make_bench().start([tunnel()], hugepages="auto")
    assert bench.gateway.show("gateway")[0]["hugepages"] is False
    assert "hugepages" in bench.gateway.log_tail()
    bench.good_packet_passes(bench.peers["t", "lan"])
