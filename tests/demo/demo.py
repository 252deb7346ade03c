#!/usr/bin/env python3
"""What works, shown: two sites, a gateway at each, a WAN between them that is watched. Under two minutes, no questions.

Everything runs in network namespaces that vanish with the program. Each step says what it proves; the first that does not
come out as said ends the demo with its reason and a status other than 0.
"""

import json
import os
import sys
import tempfile
import time

import yaml

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../functional"))

from harness import traffic  # noqa: E402
from harness.capture import Capture, assert_only_esp, esp_sa_options  # noqa: E402
from harness.gateway import TRUNKGATE  # noqa: E402
from harness.netns import wait_until  # noqa: E402
from harness.pki import Authority  # noqa: E402
from harness.topology import Sites  # noqa: E402

STARTED = time.monotonic()
FILE_SIZE = 100_000_000
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def say(text=""):
    print(text, flush=True)


def chapter(text):
    line = f"== {text} "
    say("\n" + (f"\033[1m{line}\033[0m" if COLOUR else line) + "=" * max(0, 100 - len(line)))


def proved(text):
    mark = "\033[32mok\033[0m" if COLOUR else "ok"
    say(f"  {mark} {time.monotonic() - STARTED:5.1f} s  {text}")


def shown(text, lines=30):
    for line in text.rstrip().splitlines()[:lines]:
        say("     | " + line)


def operator(gateway, *words):
    """What an operator at that gateway types, and sees."""
    say(f"     {gateway.netns}$ trunkgate {' '.join(words)}")
    shown(gateway.do(*words, check=False).stdout)


def pings(sites):
    for source, addresses in (("site-a", (Sites.B4, Sites.B6)), ("site-b", (Sites.A4, Sites.A6))):
        for address in addresses:
            sent, received = traffic.ping(source, address, count=4)
            proved(f"ping {source} > {address}: {received} of {sent} answered")


def transfer(source, target, address, size):
    seconds = traffic.tcp_transfer(source, target, address, size)
    proved(f"TCP {source} > {target} {address}: {size // 1_000_000} MB in {seconds:.1f} s "
           f"({size * 8 / seconds / 1e6:.0f} Mb/s), SHA-256 the same at both ends")


def udp(sites, address, directory):
    report = traffic.iperf3_udp(sites.lab, "site-a", "site-b", address, directory, "50M", 2)
    lost, packets = report["lost_on_the_way"], report["packets"]
    if lost != 0:
        raise AssertionError(f"{lost} of {packets} datagrams were lost between the sites")
    proved(f"UDP by iperf3 > {address}: {packets} datagrams at 50 Mb/s, none lost, jitter {report['jitter_ms']:.2f} ms")


def look_inside(sites, directory):
    """The same packets, read by tshark without and with the keys."""
    capture = Capture(sites.lab, "wan", "to-b", os.path.join(directory, "keys.pcap"))
    traffic.ping("site-a", Sites.B4, count=2)
    traffic.ping("site-a", Sites.B6, count=2)
    capture.stop()
    say("     without the keys tshark sees on the WAN:")
    columns = ["ip.src", "ip.dst", "_ws.col.protocol", "_ws.col.info"]
    for row in capture.fields(columns, "esp")[:4]:
        shown("  ".join(row))
    keys = esp_sa_options(sites.tunnels_b)
    say("     with the keys of the laboratory, the same packets:")
    for row in capture.fields(["esp.icv_good", "_ws.col.protocol", "_ws.col.info"], "icmp or icmpv6.type == 128 or icmpv6.type == 129",
                              *keys, "-E", "occurrence=l")[:4]:
        shown("  ".join(row[1:]) + ("   ICV good" if row[0] in ("1", "True") else "   ICV WRONG"))
    if (inner := capture.count("(icmp or icmpv6.type == 128 or icmpv6.type == 129) and esp.icv_good == 1", *keys)) != 8:
        raise AssertionError(f"tshark decrypted {inner} of 8 echo packets")
    if capture.count("icmp or icmpv6.type == 128 or icmpv6.type == 129") != 0:
        raise AssertionError("tshark reads the sites' packets without a key")
    proved("an independent decoder finds every ICV good and reads the inner packets, with the keys and only with them")


def watched(sites, directory, name, work, judge=assert_only_esp):
    """Runs `work` while the WAN is captured, and judges the capture."""
    capture = Capture(sites.lab, "wan", "to-b", os.path.join(directory, name), snaplen=192)
    work()
    capture.stop()
    count = judge(capture, at_least=10_000)
    proved(f"{count} ESP packets on the WAN, and not one packet or payload byte of the sites in clear")


def start(sites, authority):
    """Both gateways, with a certificate each; returns when the tunnel is up."""
    own, other = sites.ike_tunnels(authority)
    sites.start_gateways([own], tunnels_b=[other])
    await_up(sites.gw_a)
    row = sites.gw_a.tunnels()["a-b"]
    proved(f"the tunnel came up by itself: {row['suite']}")


def await_up(gateway, state="up"):
    wait_until(lambda: gateway.tunnels().get("a-b", {}).get("state") == state,
               lambda: f"a-b is {state}\n{gateway.explain('a-b')}", 30)


def rekey(sites, directory):
    """Both kinds of rekey, from both ends, while numbered datagrams pass both ways."""
    flow = traffic.BothWays(sites.lab, ("site-a", Sites.A4), ("site-b", Sites.B4), directory)
    for gateway, words in ((sites.gw_a, ("--child", "lan")), (sites.gw_b, ("--child", "lan")), (sites.gw_a, ("--ike",)),
                           (sites.gw_b, ("--ike",))):
        before = known_by(gateway)
        gateway.do("rekey", "a-b", *words)
        wait_until(lambda: known_by(gateway) != before, "other keys", 10)
        flow.wait_progress(40)
    flow.wait_progress(1200)  # the old SAs are gone by now
    reports = flow.finish()
    lost = sum(got["missing"] for _, got in reports)
    packets = sum(sent["sent"] for sent, _ in reports)
    if lost:
        raise AssertionError(f"{lost} of {packets} datagrams were lost while keys changed: {reports}")
    proved(f"new keys four times, for the child SA and the IKE SA, asked for at either end: {packets} datagrams, none lost")


def known_by(gateway):
    """What changes with each rekey."""
    row = gateway.tunnels()["a-b"]
    return (row["ike"]["initiator_spi"], sorted(sa["spi"] for sa in gateway.show("sas") if sa["direction"] == "in"))


def joined_by_ike(directory, authority):
    chapter("two sites over the open WAN, joined by IKEv2")
    say("""
     site-a            gw-a                    wan                    gw-b            site-b
     10.1.1.10/16  --  203.0.113.2  -- (a router; watched) --  198.51.100.2  --  10.2.1.10/16
     fd00:1::10/64                                                               fd00:2::10/64

     Each gateway has a certificate (ECDSA, P-256) of an authority that was made a moment ago. What they offer each other
     is the default: x25519 together with ML-KEM-768, AES-256-GCM, extended sequence numbers.
""")
    sites = Sites(os.path.join(directory, "open"))
    try:
        start(sites, authority)
        operator(sites.gw_a, "show", "ports")
        operator(sites.gw_a, "show", "tunnels")

        def work():
            pings(sites)
            transfer("site-a", "site-b", Sites.B4, FILE_SIZE)
            transfer("site-b", "site-a", Sites.A6, FILE_SIZE)
            udp(sites, Sites.B4, directory)
            udp(sites, Sites.B6, directory)
            rekey(sites, directory)

        watched(sites, directory, "open.pcap", work)
        operator(sites.gw_a, "explain", "a-b")
        operator(sites.gw_a, "show", "sas")
        explained_failure(sites)
        for gateway in (sites.gw_a, sites.gw_b):
            if (status := gateway.stop()) != 0:
                raise AssertionError(f"{gateway.netns} ended with status {status}\n{gateway.log_tail()}")
        proved("both gateways ended in order")
    except BaseException:
        say_logs(sites)
        raise
    finally:
        sites.close()


def explained_failure(sites):
    """Gateway B's operator changes what its children take; A's asks why the tunnel is down."""
    say("\n     At gw-b somebody writes `esp: [aes128cbc-sha256]` and applies it; then the tunnel is begun anew.")
    with open(sites.gw_b.config) as f:
        document = yaml.safe_load(f)
    for child in document["tunnels"]["a-b"]["children"].values():
        child["esp"] = ["aes128cbc-sha256"]
    with open(sites.gw_b.config, "w") as f:
        yaml.safe_dump(document, f, sort_keys=False)
    say(f"     gw-b$ trunkgate apply {os.path.basename(sites.gw_b.config)}")
    shown(sites.gw_b.do("apply", sites.gw_b.config, check=False).stdout)
    sites.gw_a.do("down", "a-b")
    await_up(sites.gw_a, "down")
    sites.gw_a.do("up", "a-b")
    wait_until(lambda: "NO_PROPOSAL_CHOSEN" in json.dumps(sites.gw_a.explain("a-b")), "the reason is known", 20)
    operator(sites.gw_a, "show", "tunnels")
    operator(sites.gw_a, "explain", "a-b")
    operator(sites.gw_b, "explain", "a-b")
    proved("the tunnel is down, and both ends say why, and where to mend it")


def behind_a_nat(directory, authority):
    chapter("the same with a NAT in between")
    say("""
     gw-a has the private address 192.168.100.2. The WAN's router masquerades it (nftables) and gives its UDP port
     4500 another number: gw-b sees 198.51.100.1, port 40000. IKE finds the NAT; ESP travels in UDP (RFC 3948).
""")
    sites = Sites(os.path.join(directory, "nat"), nat=True)
    try:
        start(sites, authority)

        def work():
            pings(sites)
            transfer("site-a", "site-b", Sites.B4, FILE_SIZE)
            transfer("site-b", "site-a", Sites.A6, FILE_SIZE // 4)
            udp(sites, Sites.B4, directory)

        watched(sites, directory, "nat.pcap", work)
        operator(sites.gw_b, "show", "tunnels")
    except BaseException:
        say_logs(sites)
        raise
    finally:
        sites.close()


def keys_by_hand(directory):
    chapter("in the laboratory: keys by hand, and an independent decoder")
    sites = Sites(os.path.join(directory, "lab"))
    try:
        sites.start_gateways()
        pings(sites)
        look_inside(sites, directory)
        operator(sites.gw_a, "show", "drops")
        operator(sites.gw_a, "show", "algorithms")
    except BaseException:
        say_logs(sites)
        raise
    finally:
        sites.close()


def say_logs(sites):
    for gateway in (sites.gw_a, sites.gw_b):
        if gateway:
            say(f"\n---- the end of {gateway.netns}'s log ----")
            say(gateway.log_tail(40))


def main():
    if not os.access(TRUNKGATE, os.X_OK):
        say(f"there is no {TRUNKGATE}: build it first (./dev build)")
        return 1
    with tempfile.TemporaryDirectory(prefix="trunkgate-demo-") as directory:
        try:
            authority = Authority("demo CA")
            joined_by_ike(directory, authority)
            behind_a_nat(directory, authority)
            keys_by_hand(directory)
        except (AssertionError, RuntimeError, TimeoutError, OSError) as reason:
            say(f"\nFAILED after {time.monotonic() - STARTED:.1f} s: {reason}")
            return 1
    chapter(f"everything came out as said, in {time.monotonic() - STARTED:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
