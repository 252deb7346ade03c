"""`trunkgate capture`: pcapng as tshark reads it, from outside and inside the tunnels."""

import os
import pty
import subprocess

import pytest
from scapy.utils import RawPcapNgReader

from harness import bad_input, traffic
from harness.gateway import TRUNKGATE
from harness.netns import wait_until
from harness.topology import Bench, Sites, inner_packet, token, udp_packet
from harness.watch import CaptureCommand

NAMES = ["frame.interface_name", "frame.p2p_dir", "esp.spi", "ip.src", "ip.dst"]
MARK = b"read-me-if-you-can"
PATTERN = ["-p", MARK[:16].hex()]


class TestBetweenSites:
    @pytest.fixture(scope="class")
    def sites(self, make_sites):
        sites = make_sites().start_gateways(workers=2)
        traffic.ping("site-a", Sites.B4, count=1)
        return sites

    def holding_the_mark(self, capture):
        """{interface name: packets that show the payload}, by scapy and tshark together."""
        names = [row[0] for row in capture.fields(["frame.interface_name"])]
        packets = [data for data, _ in RawPcapNgReader(capture.file)]
        assert len(names) == len(packets) > 0
        sums = dict.fromkeys(names, 0)
        for name, data in zip(names, packets):
            sums[name] += MARK[:16] in data
        return sums

    def test_both_views_of_a_ping(self, sites, tmp_path):
        capture = CaptureCommand(sites.gw_a, ["tunnel", "a-b", "count", 6], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=1, extra=PATTERN)
        assert capture.wait().counts() == (6, 0)
        out, back = (int(sites.gw_a.sa("a-b", "lan", d)["spi"], 16) for d in ("out", "in"))
        # Direction 0 is sent, 1 is received.
        assert capture.fields(NAMES) == [
            ("lan (wire)", "1", "", Sites.A4, Sites.B4),
            ("a-b (inner)", "0", "", Sites.A4, Sites.B4),
            ("wan (wire)", "0", f"0x{out:08x}", Sites.GW_A4, Sites.GW_B4),
            ("wan (wire)", "1", f"0x{back:08x}", Sites.GW_B4, Sites.GW_A4),
            ("a-b (inner)", "1", "", Sites.B4, Sites.A4),
            ("lan (wire)", "0", "", Sites.B4, Sites.A4)]
        assert self.holding_the_mark(capture) == {"lan (wire)": 2, "a-b (inner)": 2, "wan (wire)": 0}
        times = [float(row[0]) for row in capture.fields(["frame.time_epoch"])]
        assert times == sorted(times) and times[-1] - times[0] < 5
        lengths = capture.fields(["frame.len", "frame.cap_len"])
        assert all(a == b for a, b in lengths) and lengths[0] == ("98", "98") and lengths[1] == ("84", "84")

    @pytest.mark.parametrize("view,interfaces", [("wire", {"lan (wire)", "wan (wire)"}), ("inner", {"a-b (inner)"})])
    def test_one_view(self, sites, view, interfaces, tmp_path):
        capture = CaptureCommand(sites.gw_b, ["tunnel", "a-b", "--view", view], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=3, extra=PATTERN)
        capture.stop()
        marked = self.holding_the_mark(capture)
        assert set(marked) == interfaces
        assert marked.get("wan (wire)", 0) == 0
        assert capture.counts() == (12 if view == "wire" else 6, 0)

    def test_the_filter_leaves_others_out(self, sites, tmp_path):
        capture = CaptureCommand(sites.gw_a, ["from", Sites.A6], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=2)
        traffic.ping("site-a", Sites.B6, count=2)
        capture.stop()
        assert capture.fields(["frame.number"], "ipv6 || esp") != []
        assert capture.fields(["frame.number"], "icmp") == []

    def test_it_streams_into_tshark(self, sites, tmp_path):
        """Each packet is seen while the capture goes on, not when a buffer is full; tshark's end ends it."""
        log, errors = tmp_path / "tshark", tmp_path / "errors"
        command = (f"ip netns exec gw-a {TRUNKGATE} capture tunnel a-b --view inner -w - --run-dir "
                   f"{sites.gw_a.run_dir} 2>{errors} | tshark -n -l -r - -T fields -e icmp.seq > {log} 2>/dev/null")
        pipe = sites.lab.start(["sh", "-c", command], str(tmp_path / "pipe"))
        wait_until(lambda: errors.exists() and "capturing" in errors.read_text(), "the capture is on")
        for wanted in (2, 4):
            traffic.ping("site-a", Sites.B4, count=1)
            wait_until(lambda n=wanted: len(log.read_text().split()) == n, f"{wanted} packets in tshark")
        assert pipe.running()
        subprocess.run(["pkill", "-KILL", "-x", "tshark", "--session", str(pipe.pid)], check=True)
        pipe.wait(10)
        assert "packets captured, 0 lost" in errors.read_text()

    def test_no_binary_on_a_terminal(self, sites):
        ours, theirs = pty.openpty()
        done = subprocess.run([TRUNKGATE, "capture", "-w", "-", "--run-dir", sites.gw_a.run_dir], stdout=theirs,
                              stderr=subprocess.PIPE, text=True, timeout=10)
        os.close(theirs)
        os.close(ours)
        assert done.returncode == 1 and "terminal" in done.stderr

    def test_the_file_is_for_its_owner_only(self, sites, tmp_path):
        capture = CaptureCommand(sites.gw_a, ["count", 1, "from", Sites.A4], str(tmp_path))
        traffic.ping("site-a", Sites.B4, count=1)
        capture.wait()
        assert os.stat(capture.file).st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("words,says", [([], "where to"), (["-w", "/nowhere/x"], "open /nowhere/x"),
                                            (["-w", "x", "--view", "all"], "--view is")])
    def test_wrong_words_are_told(self, sites, words, says):
        done = sites.gw_a.command("capture", *words, "--run-dir", sites.gw_a.run_dir, check=False)
        assert done.returncode == 1 and says in done.stderr


class TestDrops:
    @pytest.fixture(scope="class")
    def bench(self, make_bench):
        return bad_input.start(make_bench())

    FIELDS = ["frame.interface_name", "frame.comment", "ip.src"]

    def comment(self, bench, reason):
        return f"{reason}, " + next(d["meaning"] for d in bench.gateway.show("drops") if d["reason"] == reason)

    def test_a_dropped_packet_says_why(self, bench, tmp_path):
        capture = CaptureCommand(bench.gateway, ["from", "10.9.9.9", "count", 2], str(tmp_path))
        bench.send("lan", udp_packet("10.9.9.9", "192.0.2.77", token()))
        assert capture.wait().fields(self.FIELDS) == [
            ("lan (wire)", "", "10.9.9.9"),
            ("lan (wire, dropped)", "dropped in policy: " + self.comment(bench, "no_policy"), "10.9.9.9")]

    def test_what_fails_its_check_shows_its_headers_only(self, bench, tmp_path):
        """The key has been at work on the packet in its place: what stands there is neither the wire's nor true."""
        peer = bench.peers["good", "gcm"]
        mark = token()
        raw = bytearray(bytes(peer.seal(inner_packet(peer, mark, inbound=True))))
        raw[-1] ^= 1
        capture = CaptureCommand(bench.gateway, ["tunnel", "good", "count", 2], str(tmp_path))
        bench.send("wan", bytes(raw))
        (name, comment, _), (name2, comment2, _) = capture.wait().fields(self.FIELDS)
        assert (name, comment) == ("wan (wire)", "") and name2 == "wan (wire, dropped)"
        assert comment2 == "dropped in esp_decapsulate: " + self.comment(bench, "esp_integrity_failed")
        whole, headers = [data for data, _ in RawPcapNgReader(capture.file)]
        assert whole[14:] == bytes(raw) and headers == whole[:14 + 20 + 8]

    def test_dropped_inside_a_tunnel_is_no_part_of_the_wire_view(self, bench, tmp_path):
        """The payload was decrypted before selectors refused it."""
        peer = bench.peers["good", "gcm"]
        for view in ("wire", "inner"):
            mark = token()
            capture = CaptureCommand(bench.gateway, ["tunnel", "good", "--view", view], str(tmp_path))
            before = bench.gateway.drops()
            bench.send("wan", peer.seal(udp_packet("10.2.0.9", "10.77.0.1", mark)))
            bench.drops_rise("selector_mismatch", before)
            capture.stop()
            rows = capture.fields(self.FIELDS)
            packets = [data for data, _ in RawPcapNgReader(capture.file)]
            if view == "wire":
                assert [row[0] for row in rows] == ["wan (wire)"] and mark not in packets[0]
            else:
                assert [row[0] for row in rows] == ["good (inner)", "wan (inner, dropped)"]
                assert "selector_mismatch" in rows[1][1] and all(mark in data for data in packets)

    def test_large_packets_are_kept_whole(self, bench, tmp_path):
        capture = CaptureCommand(bench.gateway, ["to", Bench.CLEAR4, "count", 2], str(tmp_path))
        mark = token()
        bench.send("lan", udp_packet(Bench.HOST4, Bench.CLEAR4, mark + bytes(1400)))
        bench.expect_token("wan", mark)
        assert [row for row in capture.wait().fields(["frame.len", "frame.cap_len", "udp.length"])] == [
            (str(14 + 28 + len(mark) + 1400),) * 2 + (str(8 + len(mark) + 1400),)] * 2
        bench.wait_buffers_free()
