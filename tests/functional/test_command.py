"""The operator's command: check, show, doctor, and what they return to the shell."""

import json
import os
import re

import pytest

from harness import config
from harness.config import Child, Tunnel
from harness.gateway import TRUNKGATE
from harness.netns import run
from harness.topology import Bench

BAD = """\
gateway: { name: gw-a, workers: 1, lab: true, hugepages: never }
ports:
  wan: { device: wan0, addresses: [203.0.113.2/33] }
  lan: { device: lan0, adresses: [10.1.0.1/16] }
  lan: { device: lan1 }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.1, port: wann }
tunnels:
  a-b:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.256
    children:
      lan:
        mode: tunnel
        local: [10.1.0.0/16]
        remote: [10.2.0.0/16]
        manual:
          esp: aes256gcm-esn
          out: { spi: 0x10, key: { file: out.key } }
          in: { spi: 0x2001, key: { file: in.key } }
policies:
  - { name: ping, from: any, to: nowhere, protocol: icmp, action: bypass }
  - { name: odd, from: wan, to: box, protocol: icmp, destination_ports: 80, action: permit }
"""
# Where an editor should jump to: line, column of the value or key that is wrong, and a word of the message.
ERRORS = [(3, "203.0.113.2/33", ""), (4, "adresses", "addresses"), (5, "lan:", ""), (7, "wann", "wan"), (11, "203.0.113.256", ""),
          (18, "aes256gcm-esn", "aes256gcm16-esn"), (19, "0x10", ""), (22, "nowhere", ""), (23, "permit", "")]


def trunkgate(*words):
    return run(TRUNKGATE, *words, check=False)


def test_check_names_every_error_with_its_place(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = trunkgate("check", str(file))
    assert done.returncode == 1
    found = {(int(line), int(column)): rest for line, column, rest in
             re.findall(rf"^{re.escape(str(file))}:(\d+):(\d+): error: (.*)$", done.stdout + done.stderr, re.M)}
    lines = BAD.splitlines()
    missing = [(line, text) for line, text, _ in ERRORS if (line, lines[line - 1].rindex(text) + 1) not in found]
    assert not missing, f"not reported at their place: {missing}\n{done.stdout}{done.stderr}"
    for _, _, hint in ERRORS:
        assert hint in done.stdout + done.stderr
    assert f"{len(found)} errors" in done.stdout + done.stderr


def test_check_shows_no_key(tmp_path):
    """A key where its reference should be is an error, and is not repeated on the screen."""
    secret = "00112233445566778899aabbccddeeff" * 2 + "01020304"
    tunnel = Tunnel("t", "203.0.113.2", "203.0.113.25", [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])])
    file = config.write(str(tmp_path), {"wan": {"device": "wan0"}}, [tunnel])
    text = open(file).read().replace("file: t-c-out.key", f"value: {secret}")
    with open(file, "w") as f:
        f.write(text)
    done = trunkgate("check", file)
    assert done.returncode == 1 and secret not in done.stdout + done.stderr


@pytest.mark.parametrize("content,what", [("zz", "hexadecimal"), ("00", ""), ("", "")], ids=["no hex", "short", "empty"])
def test_check_reads_the_key_files(tmp_path, content, what):
    tunnel = Tunnel("t", "203.0.113.2", "203.0.113.25", [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])])
    file = config.write(str(tmp_path), {"wan": {"device": "wan0"}}, [tunnel])
    assert trunkgate("check", file).returncode == 0
    (tmp_path / "t-c-in.key").write_text(content)
    done = trunkgate("check", file)
    assert done.returncode == 1 and "t-c-in.key" in done.stdout + done.stderr


def test_check_good_file(tmp_path):
    tunnel = Tunnel("t", "203.0.113.2", "203.0.113.25", [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])], (4500, 40000))
    file = config.write(str(tmp_path), {"wan": {"device": "wan0", "addresses": ["203.0.113.2/24"]}}, [tunnel], Bench.POLICIES[:1])
    assert trunkgate("check", file).returncode == 0


def test_gcm_by_hand_needs_lab(tmp_path):
    """RFC 8221 3: manual keys with GCM only where it is said to be a laboratory."""
    tunnel = Tunnel("t", "203.0.113.2", "203.0.113.25", [Child("c", ["10.1.0.0/16"], ["10.2.0.0/16"])])
    file = config.write(str(tmp_path), {"wan": {"device": "wan0"}}, [tunnel], lab=False)
    done = trunkgate("check", file)
    assert done.returncode == 1 and "lab" in done.stdout + done.stderr


def test_doctor_runs():
    done = trunkgate("doctor")
    assert done.returncode in (0, 2), done.stderr
    assert done.stdout.strip()
    json.loads(trunkgate("doctor", "--json").stdout)


def test_unknown_words_are_refused_with_help():
    done = trunkgate("shwo")
    assert done.returncode == 1 and "shwo" in done.stderr
    assert trunkgate("help").returncode == 0


def test_show_without_a_gateway(tmp_path):
    done = trunkgate("show", "ports", "--run-dir", str(tmp_path))
    assert done.returncode == 1 and done.stdout == "" and "trunkgate run" in done.stderr


@pytest.fixture(scope="module")
def bench(make_bench):
    return make_bench().start([Tunnel("hq", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"])])])


SUBJECTS = {"ports": "wan", "sas": "hq", "policies": "ping", "routes": "203.0.113.0/24", "counters": "classify", "drops": "",
            "algorithms": "aes256gcm16", "workers": "0", "gateway": "gw"}


@pytest.mark.parametrize("subject,word", SUBJECTS.items())
def test_show(bench, subject, word):
    rows = bench.gateway.show(subject)
    assert isinstance(rows, list) and all(isinstance(r, dict) for r in rows)
    table = bench.gateway.table(subject)
    assert word in table and "\x1b" not in table
    header = table.splitlines()[0]
    assert header == header.upper() or subject == "drops"
    if word:
        assert rows and word in json.dumps(rows)
    detail = bench.gateway.command("show", subject, "detail", "--run-dir", bench.gateway.run_dir, check=False)
    assert detail.returncode in (0, 2)


def test_no_output_has_a_key(bench):
    peer = bench.peers["hq", "lan"]
    said = bench.gateway.log_tail(100_000)
    for subject in SUBJECTS:
        said += bench.gateway.table(subject) + json.dumps(bench.gateway.show(subject))
    for key in (peer.child.in_key, peer.child.out_key):
        for part in (key, key[:16], key[-16:]):
            assert part.hex() not in said.lower()


def test_show_status_says_that_something_is_down(bench):
    assert bench.gateway.command("show", "ports", "--run-dir", bench.gateway.run_dir, check=False).returncode == 0
    bench.lab.ip("peer", "link", "set", "eth0", "down")
    from harness.netns import wait_until
    status = ["show", "ports", "--run-dir", bench.gateway.run_dir]
    wait_until(lambda: bench.gateway.command(*status, check=False).returncode == 2, "exit status 2")
    bench.lab.ip("peer", "link", "set", "eth0", "up")
    wait_until(lambda: bench.gateway.command(*status, check=False).returncode == 0, "exit status 0")


def test_run_refuses_a_bad_file(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text(BAD)
    done = run(TRUNKGATE, "run", "--config", str(file), "--run-dir", str(tmp_path / "run"), check=False, timeout=20)
    assert done.returncode != 0 and f"{file}:3:" in done.stdout + done.stderr


def test_second_instance_is_refused(bench):
    """Two gateways on one run directory would fight over the netdevs."""
    done = run("ip", "netns", "exec", "gw", TRUNKGATE, "run", "--config", bench.gateway.config, "--run-dir", bench.gateway.run_dir,
               check=False, timeout=20)
    assert done.returncode != 0
    assert os.path.exists(bench.gateway.run_dir) and bench.gateway.process.running()
    bench.good_packet_passes(bench.peers["hq", "lan"])
