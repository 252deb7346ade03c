"""Other keys on one side: nothing comes through, the reason is counted, and the right key mends it without a restart."""

import os
import signal

from harness import traffic
from harness.capture import Capture
from harness.netns import wait_until


def put_key(gateway, name, text):
    """Replaces a key file and lets the gateway read its configuration again."""
    path = os.path.join(os.path.dirname(gateway.config), name)
    with open(path) as f:
        before = f.read()
    with open(path, "w") as f:
        f.write(text)
    loaded = gateway.log_tail(1000).count("config.applied")
    os.kill(gateway.process.pid, signal.SIGHUP)
    wait_until(lambda: gateway.log_tail(1000).count("config.applied") > loaded, "the key is read again")
    return before


def test_wrong_key_on_one_side(make_sites, tmp_path):
    sites = make_sites().start_gateways()
    traffic.ping("site-a", sites.B4, count=3)
    right = put_key(sites.gw_b, "a-b-lan-in.key", os.urandom(36).hex())
    drops = sites.gw_b.drops().get("esp_integrity_failed", 0)
    lan = Capture(sites.lab, "site-b", "eth0", str(tmp_path / "lan.pcap"), "icmp")
    sent, received = traffic.ping("site-a", sites.B4, count=5, check=False, deadline=2)
    assert received == 0
    wait_until(lambda: sites.gw_b.drops().get("esp_integrity_failed", 0) == drops + sent, "every packet is counted")
    lan.stop()
    assert lan.count("icmp") == 0, "something was forwarded"
    used = {(s["child"], s["direction"]): s for s in sites.gw_b.show("sas")}
    assert used["lan", "in"]["integrity_failed"] == sent and used["lan", "in"]["packets"] == 0
    traffic.ping("site-a", sites.B6, count=3)  # the other child of the tunnel has its own keys
    put_key(sites.gw_b, "a-b-lan-in.key", right)
    traffic.ping("site-a", sites.B4, count=3)
