"""`trunkgate bench esp`: what it writes, what it refuses, and that it can be interrupted."""

import json
import signal
import subprocess

from harness.gateway import TRUNKGATE
from harness.netns import run


def test_figures_are_complete_and_nothing_is_wrong(tmp_path):
    file = tmp_path / "esp.json"
    done = run(TRUNKGATE, "bench", "esp", "--direction", "out,in,loop", "--size", "64,1420", "--sas", "1,9", "--suite",
               "aes128gcm16,aes128cbc-sha256", "--runs", "2", "--packets", "4096", "--stages", "--json", str(file), check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads(file.read_text())
    assert set(written["machine"]) >= {"cpu", "flags", "tsc_hz", "engines", "versions", "hugepages", "warnings"}
    assert written["machine"]["tsc_hz"] > 1e8
    results = written["results"]
    assert len(results) == 3 * 2 * 2 * 2
    for one in results:
        assert one["bench"] == "esp" and one["workers"] == 1
        assert one["wrong"] == 0 and one["verified"] == 3 * 4096 and one["judged"] > 0
        cycles, crypto = one["cycles_per_packet"], one["crypto_cycles_per_packet"]
        assert 0 < cycles["min"] <= cycles["median"] <= cycles["max"]
        assert 0 < crypto["min"] <= crypto["median"]
        assert one["mpps"] > 0 and one["gbps"] > 0
        stages = {"out": {"esp_encapsulate"}, "in": {"esp_decapsulate", "verify_selectors"}}.get(one["direction"], set())
        assert set(one["stages"]) >= stages | {"rx", "classify", "policy", "forward", "tx"}
        assert f"{one['direction']} {one['suite']} {one['size']} B" in done.stdout


def test_refuses_with_what_is_possible():
    for words, reason in ((["esp", "--suite", "rot13"], "aes256gcm16"), (["esp", "--size", "9000"], "from 40 to 1500"),
                          (["quic"], "there is: esp"), ([], "esp")):
        done = run(TRUNKGATE, "bench", *words, check=False)
        assert done.returncode == 1 and reason in done.stderr, done.stderr


def test_an_interrupted_bench_shows_what_it_has(tmp_path):
    file = tmp_path / "esp.json"
    bench = subprocess.Popen([TRUNKGATE, "bench", "esp", "--direction", "out", "--size", "64,1420", "--sas", "1", "--runs", "1000",
                              "--packets", "65536", "--json", str(file)], stdout=subprocess.PIPE, text=True)
    assert "TSC" in bench.stdout.readline()  # it measures from now on
    bench.send_signal(signal.SIGINT)
    out, _ = bench.communicate(timeout=60)
    assert bench.returncode == 130
    assert "stopped" in out
    assert len(json.loads(file.read_text())["results"]) < 2
