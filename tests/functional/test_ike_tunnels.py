"""Tunnels by IKE between two gateways, as an operator sees them, asks why, and changes them."""

import copy
import dataclasses
import os
import re
import shutil
import signal

import pytest
import yaml

from harness import config, traffic
from harness.capture import Capture, assert_only_esp
from harness.gateway import TRUNKGATE, Gateway
from harness.ike_tunnel import B_ID, IkeChild, IkeTunnel
from harness.netns import run, wait_until
from harness.topology import Sites


def main_tunnel():
    """The sites' own. Without a key exchange of the child's: nothing is to be probed, so it sends no message unasked."""
    return IkeTunnel(Sites.GW_B4, "main", children=[IkeChild(esp=["aes256gcm16-esn"])])


def other_tunnel(**settings):
    child = IkeChild("lab", ["10.3.0.0/16"], ["10.4.0.0/16"], ["aes256gcm16-esn"])
    return IkeTunnel(Sites.GW_B4, "other", local_id="other-a.example", remote_id="other-b.example",
                     **{"children": [child], **settings})


def at_the_peer(tunnel):
    """The same tunnel as gateway B has it: it answers."""
    children = [dataclasses.replace(c, local=c.remote, remote=c.local) for c in copy.deepcopy(tunnel.children)]
    return dataclasses.replace(tunnel, peer=Sites.GW_A4, start="answer", local_id=tunnel.remote_id,
                               remote_id=tunnel.local_id, children=children)


class Pair:
    """Sites with IKE between the gateways."""

    PLAN = {"gw-a": (Sites.GW_A4, "10.1.0.1/16", "203.0.113.1"), "gw-b": (Sites.GW_B4, "10.2.0.1/16", "198.51.100.1")}
    PING = {"name": "ping", "from": "any", "to": "box", "protocol": "icmp", "action": "bypass", "both_ways": True}

    def __init__(self, directory):
        self.sites = Sites(directory)
        self.lab, self.directory = self.sites.lab, directory
        self.a = self.b = None

    def write(self, name, tunnels, allow_key_export=False, file="trunkgate.yaml"):
        wan, lan, router = self.PLAN[name]
        ports = {"wan": {"device": "wan0", "addresses": [wan + "/24"]}, "lan": {"device": "lan0", "addresses": [lan]}}
        directory = os.path.join(self.directory, name)
        path = config.write(directory, ports, tunnels, [self.PING], [("0.0.0.0/0", router, "wan")], name)
        with open(path) as f:
            document = yaml.safe_load(f)
        if allow_key_export:
            document["monitoring"] = {"allow_key_export": True}
        with open(os.path.join(directory, file), "w") as f:
            yaml.safe_dump(document, f, sort_keys=False)
        return os.path.join(directory, file)

    def start(self, tunnels, peers=None, **more):
        for name, own in (("gw-b", peers or [at_the_peer(t) for t in tunnels]), ("gw-a", tunnels)):
            file = self.write(name, own, **more)
            gateway = self.lab.closing(Gateway(self.lab, name, file, os.path.dirname(file)))
            setattr(self, name[-1], gateway)
            gateway.start()
        return self

    def wait_up(self, *names):
        for name in names:
            for gateway in (self.a, self.b):
                wait_until(lambda: gateway.tunnels()[name]["state"] == "up",
                           lambda: f"{name} is up: {gateway.tunnels()[name]}\n{gateway.log_tail()}")
        return self

    def capture(self):
        return self.lab.closing(Capture(self.lab, "wan", "to-a", os.path.join(self.directory, "wan.pcap")))

    def stream(self):
        return traffic.BothWays(self.lab, ("site-a", Sites.A4), ("site-b", Sites.B4), self.directory)

    def close(self):
        self.lab.close()


@pytest.fixture
def pair(tmp_path):
    made = Pair(str(tmp_path))
    yield made
    made.close()


def line_of(file, *keys):
    """The line, from 1, in which the last of the nested keys stands."""
    with open(file) as f:
        lines = f.read().splitlines()
    at = -1
    for depth, key in enumerate(keys):
        at = next(i for i in range(at + 1, len(lines)) if re.match(rf"{'  ' * depth}{key}:", lines[i]))
    return at + 1


def test_a_tunnel_comes_up_and_is_shown(pair):
    capture = pair.capture()
    pair.start([main_tunnel()]).wait_up("main")
    traffic.ping("site-a", Sites.B4, 20)
    done = pair.a.command("show", "tunnels", "--no-color", "--run-dir", pair.a.run_dir)
    assert re.search(r"^main +up +198\.51\.100\.2 .*aes256gcm16 esn, x25519$", done.stdout, re.M), done.stdout
    assert done.stdout.endswith("1 up\n")
    row = pair.a.tunnels()["main"]
    assert row["children"][0]["in_packets"] >= 20 and row["children"][0]["out_packets"] >= 20
    assert row["in_bits_per_second"] > 0 and row["ike"]["peer_id"] == B_ID
    detail = pair.a.command("show", "tunnels", "main", "detail", "--run-dir", pair.a.run_dir).stdout
    assert f"peer {B_ID} at 198.51.100.2:" in detail and "10.1.0.0/16 === 10.2.0.0/16" in detail
    told = pair.a.do("explain", "main")
    assert "main is up since" in told.stdout and re.search(r"IKE_SA_INIT +ok .* ms", told.stdout), told.stdout
    capture.stop()
    assert_only_esp(capture, 40)
    wait_until(lambda: "tunnel.up main: up with 198.51.100.2" in pair.a.log_tail(), pair.a.log_tail)


def test_down_up_and_rekey(pair):
    pair.start([main_tunnel()]).wait_up("main")
    spi = pair.a.tunnels()["main"]["children"][0]["in_spi"]
    stream = pair.stream()
    pair.a.do("rekey", "main")
    wait_until(lambda: spi not in {c.get("in_spi") for c in pair.a.tunnels()["main"]["children"]}, "another child SA")
    ike = pair.a.tunnels()["main"]["ike"]["initiator_spi"]
    pair.a.do("rekey", "main", "--ike")
    wait_until(lambda: pair.a.tunnels()["main"]["ike"]["initiator_spi"] != ike, "another IKE SA")
    stream.wait_progress(50)
    stream.assert_nothing_lost()
    pair.a.do("down", "main")
    wait_until(lambda: pair.a.tunnels()["main"]["state"] == "down", "it is closed")
    done = pair.a.command("show", "tunnels", "--run-dir", pair.a.run_dir, check=False)
    assert done.returncode == 2 and "closed by the operator" in done.stdout
    assert pair.a.do("up", "main").stdout.startswith("main is up: ")
    traffic.ping("site-a", Sites.B4)
    assert pair.a.do("rekey", "main", "--child", "fly", check=False).returncode == 1
    assert pair.a.do("up", "fly", check=False).returncode == 1


def test_another_pre_shared_key_is_explained(pair):
    tunnel = main_tunnel()
    peer = at_the_peer(tunnel)
    peer.psk = b"quite another one"
    pair.start([tunnel], [peer])
    wait_until(lambda: pair.a.explain("main")["trouble"] == "peer_refused_us", lambda: pair.a.explain("main"))
    done = pair.a.do("explain", "main", check=False)
    assert done.returncode == 2
    assert re.search(r"^main is down since \d\d:\d\d:\d\d", done.stdout)
    assert re.search(r"^  IKE_SA_INIT +ok ", done.stdout, re.M), done.stdout
    assert re.search(r"^  IKE_AUTH +FAIL .*AUTHENTICATION_FAILED", done.stdout, re.M), done.stdout
    line = line_of(pair.a.config, "tunnels", "main", "local", "id")
    assert f"trunkgate.yaml:{line}  tunnels.main.local.id" in done.stdout, done.stdout
    assert pair.a.explain("main")["last_failure"]["failure"]["line"] == line
    # The one who did not believe it knows more.
    told = pair.b.do("explain", "main", check=False).stdout
    line = line_of(pair.b.config, "tunnels", "main", "psk")
    assert "the peer's pre-shared key is another one than ours" in told
    assert f"trunkgate.yaml:{line}  tunnels.main.psk" in told, told
    wait_until(lambda: "tunnel.failed main: peer_refused_us" in pair.a.log_tail(), pair.a.log_tail)
    for gateway in (pair.a, pair.b):
        assert "quite another" not in gateway.log_tail(1000)


def test_no_common_proposal_is_explained(pair):
    tunnel = main_tunnel()
    peer = at_the_peer(tunnel)
    peer.proposals = ["aes128gcm16-prfsha256-ecp256"]
    pair.start([tunnel], [peer])
    wait_until(lambda: pair.a.explain("main")["trouble"] == "no_common_proposal", lambda: pair.a.explain("main"))
    told = pair.a.do("explain", "main", check=False).stdout
    line = line_of(pair.a.config, "tunnels", "main", "ike", "proposals")
    assert re.search(r"^  IKE_SA_INIT +FAIL ", told, re.M) and "aes256gcm16-prfsha384-x25519" in told, told
    assert f"trunkgate.yaml:{line}  tunnels.main.ike.proposals" in told, told
    # The responder has seen both offers, and says in what they differ.
    told = pair.b.do("explain", "main", check=False).stdout
    assert re.search(r"we offered +aes128gcm16-prfsha256-ecp256\n", told), told
    assert re.search(r"the peer offered +aes256gcm16-prfsha384-x25519\n", told), told
    assert re.search(r"they differ in +.*encryption", told), told


def test_apply_touches_only_what_the_plan_names(pair):
    """Traffic on one tunnel, changes on another: nothing is lost, and no IKE message of the first is on the wire."""
    both = ["aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-x25519"]
    before = other_tunnel()
    pair.start([main_tunnel(), before], [at_the_peer(main_tunnel()), at_the_peer(other_tunnel(proposals=both))])
    pair.wait_up("main", "other")
    kept, changed = (pair.a.tunnels()[name] for name in ("main", "other"))
    more = IkeChild("more", ["10.5.0.0/16"], ["10.6.0.0/16"], ["aes256gcm16-esn"])
    after = other_tunnel(proposals=[both[1]], children=[*other_tunnel().children, more])
    after.children[0].options["lifetime"] = "30m"
    capture, stream = pair.capture(), pair.stream()

    file = pair.write("gw-b", [at_the_peer(main_tunnel()), at_the_peer(other_tunnel(proposals=both, children=after.children))])
    pair.b.do("apply", file)
    file = pair.write("gw-a", [main_tunnel(), after])
    told = pair.a.do("plan", file).stdout
    assert re.search(r"^~ tunnels\.other\.ike\.proposals .* rekey", told, re.M), told
    assert re.search(r"^\+ tunnels\.other\.children\.more", told, re.M), told
    assert "tunnels.main" not in told
    told = pair.a.do("apply", file).stdout
    assert re.search(r"^~ tunnels\.other\.ike\.proposals .* rekey", told, re.M), told
    assert "other: IKE SA rekeyed\n" in told and "other, child more: added\n" in told, told

    def is_done():
        row = pair.a.tunnels()["other"]
        return row["state"] == "up" and row["ike"]["suite"] == both[1] and len(row["children"]) == 2
    wait_until(is_done, lambda: pair.a.tunnels()["other"])
    stream.wait_progress(100)
    stream.assert_nothing_lost()
    now = pair.a.tunnels()
    assert now["main"]["ike"]["initiator_spi"] == kept["ike"]["initiator_spi"]
    assert now["main"]["children"][0]["in_spi"] == kept["children"][0]["in_spi"]
    assert now["other"]["ike"]["initiator_spi"] != changed["ike"]["initiator_spi"]
    capture.stop()
    spis = {row[0] for row in capture.fields(["isakmp.ispi"], "isakmp")}
    assert changed["ike"]["initiator_spi"] in spis and kept["ike"]["initiator_spi"] not in spis
    assert pair.a.do("plan", file).stdout == "nothing changes\n"


def test_apply_is_all_or_nothing(pair):
    pair.start([main_tunnel()]).wait_up("main")
    file = pair.write("gw-a", [main_tunnel(), other_tunnel()], file="new.yaml")
    os.remove(os.path.join(os.path.dirname(file), "other.psk"))
    with open(file) as f:
        document = yaml.safe_load(f)
    document["gateway"]["workers"] = 2
    with open(file, "w") as f:
        yaml.safe_dump(document, f, sort_keys=False)
    done = pair.a.do("apply", file, check=False)
    assert done.returncode == 1 and "--allow-restart" in done.stderr and "nothing was changed" in done.stderr
    document["tunnels"]["other"]["children"]["lab"]["esp"] = ["aes256gcm"]
    with open(file, "w") as f:
        yaml.safe_dump(document, f, sort_keys=False)
    done = pair.a.do("apply", file, check=False)
    assert done.returncode == 1 and re.search(r"new\.yaml:\d+:\d+: error", done.stderr), done.stderr
    assert set(pair.a.tunnels()) == {"main"} and pair.a.tunnels()["main"]["state"] == "up"


def decrypted(capture, tables, display_filter):
    """How many packets tshark shows behind the filter with these key tables."""
    home = tables + "-wireshark"
    shutil.copytree(tables, home, dirs_exist_ok=True)
    done = run("env", f"WIRESHARK_CONFIG_DIR={home}", "tshark", "-n", "-r", capture.file, "-o",
               "esp.enable_encryption_decode:TRUE", "-Y", display_filter, timeout=120)
    assert not done.stderr or "error" not in done.stderr.lower(), done.stderr
    return len(done.stdout.splitlines())


def test_keys_are_lent_to_wireshark(pair, tmp_path):
    pair.start([main_tunnel()], allow_key_export=True).wait_up("main")
    tables = str(tmp_path / "keys")
    capture = pair.capture()
    log = str(tmp_path / "export.log")
    export = pair.lab.start([TRUNKGATE, "debug", "keys", "main", "--for", "5m", "--out", tables, "--run-dir", pair.a.run_dir],
                            log, "gw-a")
    esp = os.path.join(tables, "esp_sa")
    wait_until(lambda: os.path.exists(esp) and os.path.getsize(esp) > 0, lambda: export.text() + pair.a.log_tail())
    traffic.ping("site-a", Sites.B4, 5)
    capture.stop()
    assert decrypted(capture, tables, "esp && icmp && ip.addr == 10.1.1.10 && ip.addr == 10.2.1.10") >= 10
    # The exchange that made the keys: what is inside SK is shown.
    assert decrypted(capture, tables, "isakmp.exchangetype == 36 && isakmp.nonce") >= 2
    assert {os.stat(os.path.join(tables, name)).st_mode & 0o777 for name in os.listdir(tables)} == {0o600}
    with open(esp) as f:
        keys = re.findall(r"0x[0-9a-f]{72}", f.read())
    export.stop(signal.SIGINT)
    assert len(keys) == 2 and os.listdir(tables) == []
    text = pair.a.log_tail(1000)
    assert "keys.export_started main: user 0 gets its keys for 300s" in text
    wait_until(lambda: "keys.export_ended main" in pair.a.log_tail(1000), "the end is told")
    assert not any(key[2:] in text or key[2:] in export.text() for key in keys)


def test_keys_stay_where_they_are_unless_the_configuration_says_otherwise(pair, tmp_path):
    pair.start([main_tunnel()]).wait_up("main")
    done = pair.a.do("debug", "keys", "main", "--out", str(tmp_path / "keys"), check=False)
    assert done.returncode == 1 and "monitoring.allow_key_export" in done.stderr
    assert os.listdir(tmp_path / "keys") == []
    assert "keys." not in pair.a.log_tail(1000)
