"""`trunkgate bench`: what each benchmark writes, what it refuses, that it fails when something is wrong, and that it can be interrupted."""

import html.parser
import json
import os
import signal
import subprocess

import pytest
from harness.gateway import TRUNKGATE
from harness.netns import run

RUN = ["--runs", "2", "--packets", "4096"]


def bench(tmp_path, *words):
    file = tmp_path / "figures.json"
    done = run(TRUNKGATE, "bench", *words, "--json", str(file), check=False)
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith(("AMD", "Intel", "note"))) <= 100
    written = json.loads(file.read_text())
    assert set(written["machine"]) >= {"cpu", "flags", "tsc_hz", "engines", "versions", "hugepages", "warnings"}
    assert written["machine"]["tsc_hz"] > 1e8 or words[0] == "ike"  # which starts no EAL
    assert all(one["bench"] == words[0] and one["wrong"] == 0 for one in written["results"])
    return written["results"], done.stdout


class page_parts(html.parser.HTMLParser):
    """What a page holds; an element that is not closed, or closes another, is an error."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.attributes, self.text = [], [], set(), ""
        self.feed(text)
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def check_page(text, written):
    page = page_parts(text)
    assert not {"script", "img", "link", "iframe", "image", "use"} & set(page.seen) and not {"src", "href"} & page.attributes
    assert page.seen.count("svg") >= 3 and written["machine"]["cpu"] in page.text
    for one in written["results"]:
        assert str(one.get("figure", one["bench"])).split()[0] in page.text.lower()


def check_spread(spread):
    assert 0 < spread["min"] <= spread["median"] <= spread["max"]


def test_esp(tmp_path):
    results, text = bench(tmp_path, "esp", "--direction", "out,in,loop", "--size", "64,imix,9000", "--sas", "1,9", "--suite",
                          "aes128gcm16,aes128cbc-sha256", "--stages", *RUN)
    assert len(results) == 3 * 3 * 2 * 2
    assert {one["size"] for one in results} == {64, "imix", 9000}
    for one in results:
        assert one["workers"] == 1 and one["sas"] in (1, 9)
        assert one["verified"] == 3 * 4096 and one["judged"] > 0
        check_spread(one["cycles_per_packet"])
        assert 0 < one["crypto_cycles_per_packet"]["min"] <= one["crypto_cycles_per_packet"]["median"]
        assert one["mpps"] > 0 and one["gbps"] > 0 and one["add_seconds"] > 0
        stages = {"out": {"esp_encapsulate"}, "in": {"esp_decapsulate", "verify_selectors"}}.get(one["direction"], set())
        assert set(one["stages"]) >= stages | {"rx", "classify", "policy", "forward", "tx"}
        assert f"{one['direction']} {one['suite']} {one['size']} B" in text


def test_without_a_word_it_is_the_targets(tmp_path):
    file, page = tmp_path / "figures.json", tmp_path / "figures.html"
    done = run(TRUNKGATE, "bench", *RUN, "--json", str(file), "--html", str(page), check=False)
    assert done.returncode == 0, done.stderr
    check_page(page.read_text(), json.loads(file.read_text()))
    assert "TARGET" in done.stdout and "RATIO" in done.stdout and ", none wrong" in done.stdout
    results = json.loads(file.read_text())["results"]
    targets = {(one["figure"], one.get("size")): one for one in results if one["bench"] == "targets"}
    assert len(targets) == 15
    for (figure, size), target, own in ((("aes128gcm16 out, 1 SA", 64), 165, 90), (("aes128gcm16 in, 1 SA", 350), 245, 80),
                                        (("aes128gcm16 out, 4096 SAs", 64), 300, 90), (("aes128cbc-sha256 out, 1 SA", 1420), 1870, 80)):
        one = targets[figure, size]
        assert one["target"] == target and one["own_target"] == own and one["min"] <= one["median"]
        assert one["ratio"] == pytest.approx(one["min"] / target, abs=0.01)
        (measured,) = (entry for entry in results if entry["bench"] == "esp" and entry["size"] == size
                       and f"{entry['suite']} {entry['direction']}, {entry['sas']} SA" == figure.removesuffix("s"))
        assert measured["cycles_per_packet"]["min"] == one["min"] and measured["wrong"] == 0
    assert targets["plain forwarding", 64]["target"] == 60
    assert targets["bytes of an SA pair", None]["target"] == 2500


def test_loop_is_the_sum_of_both_directions(tmp_path):
    results, _ = bench(tmp_path, "esp", "--direction", "out,in,loop", "--size", "64", "--sas", "1", "--runs", "1", "--packets", "4096")
    out, into, loop = (one["cycles_per_packet"]["min"] for one in results)
    assert abs(out + into - loop) < 0.1


def test_crypto(tmp_path):
    results, text = bench(tmp_path, "crypto", "--suite", "aes128gcm16,aes256cbc-sha256", "--size", "64,imix", "--keys", "1,7", *RUN)
    engines = {one["engine"] for one in results}
    assert "openssl" in engines and any(engine.startswith("ipsec-mb") for engine in engines)
    seen = {(one["suite"], one["engine"], one["size"], one["keys"], one["direction"]) for one in results}
    assert len(seen) == len(results)
    assert {("aes256cbc-sha256", "openssl", "imix", 7, way) for way in ("encrypt", "decrypt")} <= seen
    for one in results:
        check_spread(one["cycles_per_packet"])
        assert one["verified"] >= 2 * 4096 and one["judged"] > 0
        assert one["engine"] in text


def test_forward(tmp_path):
    results, text = bench(tmp_path, "forward", "--size", "64,imix", "--flows", "1,9", "--stages", *RUN)
    assert {(one["size"], one["flows"]) for one in results} == {(64, 1), (64, 9), ("imix", 1), ("imix", 9)}
    for one in results:
        check_spread(one["cycles_per_packet"])
        assert one["verified"] == 3 * 4096 and one["mpps"] > 0 and one["gbps"] > 0
        assert set(one["stages"]) >= {"rx", "classify", "policy", "forward", "tx"} and "esp_encapsulate" not in one["stages"]
    assert "forward 64 B, 9 flows" in text


@pytest.mark.heavy  # two threads that wait for each other
def test_latency(tmp_path):
    file = tmp_path / "figures.json"
    done = run(TRUNKGATE, "bench", "latency", "--size", "350", "--suite", "aes256cbc-sha512", "--runs", "2", "--json", str(file), check=False)
    assert done.returncode == 0, done.stderr
    rate, *latencies = json.loads(file.read_text())["results"]
    assert rate["bench"] == "rate" and rate["wrong"] == 0 and rate["judged"] > 0 and rate["offered_mpps"] > 0
    assert rate["limit"] in ("crypto", "own work", "other work", "generator")
    assert ("mrr_mpps" in rate) == (rate["limit"] != "generator")
    for one in latencies:
        assert one["load"] in (0.5, 0.9)
        assert 0 < one["p50_us"]["median"] <= one["p99_us"]["median"] <= one["p999_us"]["median"]


def test_latency_wants_two_processors():
    cpu = str(min(os.sched_getaffinity(0)))
    done = run("taskset", "-c", cpu, TRUNKGATE, "bench", "latency", "--size", "64", check=False)
    assert done.returncode == 1 and "wants two processors" in done.stderr


@pytest.mark.heavy  # a sanitizer's malloc keeps no books of what is in use
def test_memory(tmp_path):
    results, text = bench(tmp_path, "memory", "--count", "300")
    objects = {one["object"]: one for one in results}
    assert set(objects) == {"sa_pair", "sa_pair_batched", "sequence_slot", "flow_entry", "route_ipv4", "route_ipv6",
                            "operator_rule", "packet_buffer", "rule_rebuild"}
    for name, one in objects.items():
        assert one["count"] == 300 and one["add_seconds"] > 0 and one["verified"] > 0
        assert name == "rule_rebuild" or (one["bytes_each"] > 0 and one["counted_by"]) or one["object"] == "sequence_slot"
    check_spread(objects["sa_pair"]["last_add_us"])
    rebuild = objects["rule_rebuild"]
    for when in ("turn_us_quiet", "turn_us_rebuild"):
        assert rebuild[when]["turns"] > 0 and 0 < rebuild[when]["median"] <= rebuild[when]["longest"]
    assert "during a rebuild" in text


def test_ike(tmp_path):
    results, text = bench(tmp_path, "ike", "--auth", "psk,ecdsa", "--ke", "x25519,x25519-ke1_mlkem768", "--peers", "20", "--runs", "2")
    assert len(results) == 8
    for one in results:
        assert one["role"] in ("initiator", "responder") and one["peers"] == 20 and one["runs"] == 2
        check_spread(one["handshakes_per_cpu_second"])
        check_spread(one["public_key_us"])
        assert f"{one['auth']}" in text and one["ke"] in text
    cost = {(one["auth"], one["ke"], one["role"]): one["public_key_us"]["min"] for one in results}
    for role in ("initiator", "responder"):  # what needs more public-key operations costs more
        assert cost["psk", "x25519", role] < cost["psk", "x25519-ke1_mlkem768", role] < cost["ecdsa", "x25519-ke1_mlkem768", role]


def test_ike_at_scale(tmp_path):
    (one,), text = bench(tmp_path, "ike", "--scale", "50", "--lifetime", "10")
    assert one["peers"] == one["up"] == 50 and one["seconds_to_up"] > 0
    assert one["child_rekeys"] >= 50 and one["ike_rekeys"] >= 50
    assert one["not_rekeyed"] == 0 and 8 < one["oldest_child_seconds"] < 11 and 8 < one["oldest_ike_sa_seconds"] < 11
    assert 4 < one["longest_silence_seconds"] < one["silence_limit_seconds"]
    assert 0 < one["cpu_share"] < 2 and one["latest_timer_ms"] >= 0
    assert "TUNNELS AT ONCE" in text


def test_diff_tells_change_from_noise(tmp_path):
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    run(TRUNKGATE, "bench", "forward", "--size", "64,350", "--flows", "1", "--runs", "3", "--packets", "4096", "--json", str(before))
    figures = json.loads(before.read_text())

    def write(factor, spread=1.01):
        for one in figures["results"]:
            cycles = one["cycles_per_packet"]
            cycles.update(min=100 * factor, median=100 * factor * spread, max=300 * factor)
        return json.dumps(figures)

    before.write_text(write(1))
    for text, status, said in ((write(1), 0, "same"), (write(1.5), 1, "slower 50.0 %"), (write(0.5), 0, "faster 50.0 %"), (write(1.2, 3), 0, "same")):
        after.write_text(text)
        done = run(TRUNKGATE, "bench", "diff", str(before), str(after), check=False)
        assert done.returncode == status and done.stdout.count(said) >= 2, done.stdout + done.stderr
    figures["machine"]["cpu"] = "another"
    after.write_text(write(1))
    done = run(TRUNKGATE, "bench", "diff", str(before), str(after), check=False)
    assert done.returncode == 1 and "two machines" in done.stderr and not done.stdout
    done = run(TRUNKGATE, "bench", "diff", str(before), str(after), "--any-machine")
    assert "two machines" in done.stdout


@pytest.mark.parametrize(("words", "reason"), [
    (["diff", "only-one.json"], "two files"), (["diff", "/nowhere", "/nowhere"], "/nowhere: can't be read"),
    (["esp", "--suite", "rot13"], "aes256gcm16"), (["esp", "--size", "9001"], "from 40 to 9000 or imix"),
    (["memory", "--object", "cat"], "sa_pair"), (["crypto", "--sas", "1"], "--keys"),
    (["ike", "--ke", "rot13"], "rot13"), (["ike", "--auth", "eap"], "psk, ecdsa, rsa, ed25519"),
    (["quic"], "there is targets, crypto, esp, forward, ike, latency, memory, diff"), (["--size", "64"], "bench targets: there is no option")])
def test_refuses_with_what_is_possible(words, reason):
    done = run(TRUNKGATE, "bench", *words, check=False)
    assert done.returncode == 1 and reason in done.stderr, done.stderr


def test_a_file_that_can_not_be_written_is_an_error(tmp_path):
    done = run(TRUNKGATE, "bench", "memory", "--object", "flow_entry", "--count", "64", "--json", str(tmp_path / "no" / "file"), check=False)
    assert done.returncode == 1 and "can't be written" in done.stderr


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
