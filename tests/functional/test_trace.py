"""`trunkgate trace`: the way of single packets, and that watching them changes nothing."""

import signal
import time

import pytest
from scapy.layers.inet import ICMP, IP

from harness import bad_input, traffic
from harness.bad_input import HOST
from harness.gateway import TRUNKGATE
from harness.netns import run, wait_until
from harness.topology import Bench, Sites, inner_packet, token, udp_packet
from harness.watch import CaptureCommand, Trace, documented_paths

# Only fragments visit follow_fragments.
PATHS = {name: [s for s in path if s != "follow_fragments"] for name, path in documented_paths().items()}
OUT = PATHS["outbound"]
IN = PATHS["inbound_esp"] + PATHS["bypass"][PATHS["bypass"].index("policy") + 1:]


def stages(packet):
    return [s["stage"] for s in packet["stages"]]


def ends(packet):
    return [(e["what"], e["port"]) for e in packet["ends"]]


class TestBetweenSites:
    @pytest.fixture(scope="class")
    def sites(self, make_sites):
        sites = make_sites().start_gateways(workers=2)
        traffic.ping("site-a", Sites.B4, count=1)  # neighbours are known from here on
        traffic.ping("site-a", Sites.B6, count=1)
        return sites

    @pytest.mark.parametrize("family", [4, 6])
    def test_a_ping_names_the_documented_stages(self, sites, family, tmp_path):
        """Two workers: packets are handed over to the one that owns the SA, and their way is one all the same."""
        here, there = (Sites.A4, Sites.B4) if family == 4 else (Sites.A6, Sites.B6)
        traces = [Trace(g, ["tunnel", "a-b", "count", 2], str(tmp_path)) for g in (sites.gw_a, sites.gw_b)]
        traffic.ping("site-a", there, count=1)
        (request_a, answer_a), (request_b, answer_b) = [t.wait().packets() for t in traces]
        assert (request_a["source"], request_a["destination"]) == (here, there)
        assert request_a["protocol"] == ("icmp" if family == 4 else "icmpv6") and request_a["ingress"] == "lan"
        assert stages(request_a) == OUT and stages(request_b) == IN
        assert stages(answer_b) == OUT and stages(answer_a) == IN
        assert ends(request_a) == ends(answer_b) == [("sent", "wan")]
        assert ends(request_b) == ends(answer_a) == [("sent", "lan")]
        assert request_b["protocol"] == "esp" and request_b["source"] == Sites.GW_A4

    def test_a_stage_says_what_the_packet_became(self, sites, tmp_path):
        trace = Trace(sites.gw_a, ["from", Sites.A4, "count", 1], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=1)
        packet = trace.wait().packets()[0]
        at = {s["stage"]: s for s in packet["stages"]}
        sa = sites.gw_a.sa("a-b", "lan", "out")
        assert at["policy"]["path"] == "outbound" and at["policy"]["egress"] == "wan"
        assert (at["policy"]["tunnel"], at["policy"]["child"]) == ("a-b", "lan")
        assert at["policy"]["spi"] == sa["spi"]
        wrapped = at["esp_encapsulate"]
        assert (wrapped["source"], wrapped["destination"]) == (Sites.GW_A4, Sites.GW_B4)
        # 84 and trailer, IV, ICV, ESP header and outer header of AES-GCM (RFC 4303 2)
        assert (packet["length"], wrapped["length"]) == (98, 20 + 8 + 8 + (84 + 2 + 3) // 4 * 4 + 16)
        assert at["forward"]["length"] == wrapped["length"] + 14
        times = [s["at_ns"] for s in packet["stages"]] + [e["at_ns"] for e in packet["ends"]]
        assert times == sorted(times) and times[0] == 0 and 0 < times[-1] < 10**9

    def test_inside_the_tunnel_only_the_inner_addresses_match(self, sites, tmp_path):
        """What comes as ESP shows its inner addresses behind esp_decapsulate: from there on it is traced."""
        trace = Trace(sites.gw_b, ["from", Sites.A4, "to", f"{Sites.B4}/24", "count", 1], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=1)
        packet = trace.wait().packets()[0]
        assert stages(packet) == IN[IN.index("verify_selectors"):]
        assert (packet["source"], packet["destination"]) == (Sites.A4, Sites.B4)

    def test_fragments_of_a_packet_are_one_trace(self, sites, tmp_path):
        trace = Trace(sites.gw_a, ["from", Sites.A4, "count", 1], str(tmp_path))
        run("ip", "netns", "exec", "site-a", "ping", "-c", 1, "-M", "dont", "-s", 1440, "-W", 2, Sites.B4)
        packet = trace.wait().packets()[0]
        assert ends(packet) == [("sent", "wan")] * 2
        assert stages(packet).count("fragment") == 1 and stages(packet).count("esp_encapsulate") == 2

    def test_text_for_people(self, sites, tmp_path):
        process = sites.lab.start([TRUNKGATE, "trace", "tunnel", "a-b", "count", "1", "--run-dir", sites.gw_a.run_dir],
                                  str(tmp_path / "text"), "gw-a")
        wait_until(lambda: "waiting for packets" in process.text(), "the trace is on")
        traffic.ping("site-a", Sites.B4, count=1)
        assert process.wait() == 0
        lines = process.text().splitlines()
        assert lines[1] == f"packet 1: {Sites.A4} > {Sites.B4}, icmp, 98 bytes, in by lan"
        assert [line.split()[2] for line in lines[2:10]] == OUT
        assert "path outbound, out by wan, tunnel a-b/lan (SPI 0x" in process.text()
        assert lines[10].endswith("sent by wan")

    def test_a_client_that_stops_reading_holds_nothing_up(self, sites, tmp_path):
        """SIGSTOP in the midst of a capture of everything: records are lost and counted, packets are not."""
        before = [g.drops() for g in (sites.gw_a, sites.gw_b)]
        capture = CaptureCommand(sites.gw_a, [], str(tmp_path))
        capture.popen.send_signal(signal.SIGSTOP)
        slowest = 0.0
        for _ in range(4):
            traffic.ping("site-a", Sites.B4, count=1000, size=1300, interval=0.0005)
            started = time.monotonic()
            sites.gw_a.show("gateway")
            slowest = max(slowest, time.monotonic() - started)
        assert slowest < 1
        capture.popen.send_signal(signal.SIGCONT)
        captured, lost = capture.stop().counts()
        assert lost > 0 and captured > 1000
        assert captured + lost >= 4 * 1000 * 6  # each ping and answer: in, inner, out
        assert [g.drops() for g in (sites.gw_a, sites.gw_b)] == before

    def test_one_watch_at_a_time_and_its_end_frees_the_place(self, sites, tmp_path):
        first = Trace(sites.gw_a, ["from", "192.0.2.1"], str(tmp_path))
        second = sites.gw_a.command("trace", "--run-dir", sites.gw_a.run_dir, check=False)
        assert second.returncode == 1 and f"process {first.popen.pid} traces or captures already" in second.stderr
        first.popen.kill()  # it can't say goodbye
        first.popen.wait(5)
        Trace(sites.gw_a, ["from", "192.0.2.1"], str(tmp_path)).stop()
        traffic.ping("site-a", Sites.B4, count=2)

    @pytest.mark.parametrize("words,says", [
        (["tunnel", "nowhere"], "tunnel nowhere: no SA of it is installed"),
        (["count", "201"], "at most 200"), (["count", "0"], "no number"), (["from"], "follow"),
        (["from", "10.1.0.0/99"], "10.1.0.0/99"), (["via", "x"], "none of"),
        (["tunnel", "a-b", "from", "10.1.0.1"], "either"), (["from", "10.1.0.1", "to", "fd00::1"], "families")])
    def test_wrong_words_are_told(self, sites, words, says):
        done = sites.gw_a.command("trace", *words, "--run-dir", sites.gw_a.run_dir, check=False)
        assert done.returncode == 1 and says in done.stderr


class TestDrops:
    @pytest.fixture(scope="class")
    def bench(self, make_bench):
        return bad_input.start(make_bench())

    def trace_one(self, bench, directory, words, send):
        trace = Trace(bench.gateway, [*words, "count", 1], str(directory))
        send()
        return trace.wait().packets()[0]

    def test_a_drop_ends_with_its_reason_and_meaning(self, bench, tmp_path):
        packet = self.trace_one(bench, tmp_path, ["to", "192.0.2.77"], lambda: bench.send(
            "lan", udp_packet("10.9.9.9", "192.0.2.77", token(), sport=1111, dport=2222)))
        assert (packet["source_port"], packet["destination_port"], packet["protocol"]) == (1111, 2222, "udp")
        assert stages(packet) == ["rx", "classify", "policy"]
        end, = packet["ends"]
        meaning = next(d["meaning"] for d in bench.gateway.show("drops") if d["reason"] == "no_policy")
        assert (end["what"], end["reason"], end["meaning"]) == ("dropped", "no_policy", meaning)
        assert end["see"] == "trunkgate show policies"

    @pytest.mark.parametrize("reason,stage,see", [
        ("ip_bad_checksum", "classify", "trunkgate show drops ip_bad_checksum"),
        ("esp_integrity_failed", "esp_decapsulate", "trunkgate show sas good detail"),
        ("policy_discard", "policy", "trunkgate show policies")])
    def test_where_it_was_dropped(self, bench, tmp_path, reason, stage, see):
        def broken():
            if reason == "ip_bad_checksum":
                bench.send("lan", IP(src=HOST, dst="192.0.2.10", chksum=1) / ICMP())
            elif reason == "policy_discard":
                bench.send("lan", udp_packet(HOST, "192.0.2.66", token()))
            else:
                peer = bench.peers["good", "gcm"]
                bench.send("wan", bytes(peer.seal(inner_packet(peer, token(), inbound=True)))[:-1] + b"\0")
        packet = self.trace_one(bench, tmp_path, [], broken)
        assert stages(packet)[-1] == stage
        assert [(e["what"], e.get("reason"), e.get("see")) for e in packet["ends"]] == [("dropped", reason, see)]

    def test_what_is_answered_by_icmp(self, bench, tmp_path):
        peer = bench.peers["good", "gcm"]
        packet = self.trace_one(bench, tmp_path, ["from", HOST], lambda: bench.send(
            "lan", inner_packet(peer, token() + bytes(1420), inbound=False, flags="DF")))
        assert stages(packet) == OUT[:OUT.index("fragment") + 1] + PATHS["errors"]
        at = {s["stage"]: s for s in packet["stages"]}
        assert at["fragment"]["error"] == "packet_too_big" and at["fragment"]["path"] == "errors"
        assert ends(packet) == [("sent", "lan")]

    def test_to_and_from_the_box(self, bench, tmp_path):
        trace = Trace(bench.gateway, ["from", HOST, "to", Bench.BOX_LAN4, "count", 2], str(tmp_path))
        bench.send("lan", IP(src=HOST, dst=Bench.BOX_LAN4) / ICMP() / b"x")
        request, answer = trace.wait().packets()
        assert stages(request) == PATHS["to_box"] and ends(request) == [("kernel", "lan")]
        assert stages(answer) == PATHS["from_box"] and ends(answer) == [("sent", "lan")]
        assert answer["ingress"] == "box"

    def test_the_filter_leaves_others_out(self, bench, tmp_path):
        trace = Trace(bench.gateway, ["to", "192.0.2.10", "count", 1], str(tmp_path))
        for address in ("192.0.2.11", "192.0.2.66", "10.2.0.1"):
            bench.send("lan", udp_packet(HOST, address, token()))
        mark = token()
        bench.send("lan", udp_packet(HOST, "192.0.2.10", mark))
        bench.expect_token("wan", mark)
        packet = trace.wait().packets()[0]
        assert packet["destination"] == "192.0.2.10" and ends(packet) == [("sent", "wan")]

    def test_a_trace_leaves_no_trace(self, bench, tmp_path):
        bench.clear()
        before = bench.gateway.drops()
        trace = Trace(bench.gateway, [], str(tmp_path))
        bench.good_packet_passes(bench.peers["good", "gcm"])
        trace.stop()
        assert len(trace.packets()) == 2
        bench.good_packet_passes(bench.peers["good", "gcm"])
        assert bench.gateway.drops() == before
        bench.wait_buffers_free()
