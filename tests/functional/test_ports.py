"""Ports: tagged, jumbo, AF_XDP, pcap files, several workers, netdevs that come and go, and an orderly exit."""

import os
import re

from scapy.layers.inet import IP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.utils import rdpcap, wrpcap

from harness import traffic
from harness.capture import Capture, assert_protected
from harness.config import SUITES, Child, Tunnel
from harness.esp import Peer
from harness.netns import run, wait_until
from harness.topology import Bench, Sites, forwarded, inner_packet, token, udp_packet


def one_tunnel():
    return [Tunnel("t", Bench.BOX4, Bench.PEER4, [Child("lan", ["10.1.0.0/16"], ["10.2.0.0/16"])])]


def test_netdev_goes_and_comes_back(make_bench):
    """The WAN's netdev is taken away under the running gateway; another one comes under its name, with a MAC of its own."""
    bench = make_bench().start(one_tunnel())
    peer = bench.peers["t", "lan"]
    bench.good_packet_passes(peer)
    bench.wan.close()
    bench.lab.ip("gw", "link", "del", "wan0")
    wait_until(lambda: bench.gateway.port("wan")["state"] == "down", "the port is reported down")
    down = bench.gateway.port("wan")
    assert "wan0: No such device" in down["note"], "no word about why the port is down"
    assert bench.gateway.port("lan")["state"] == "up"
    assert "down" in bench.gateway.table("ports")
    for _ in range(10):
        bench.send("lan", inner_packet(peer, token(), inbound=False))
    bench.mac["wan"] = "02:00:00:00:0f:77"
    bench.lab.veth(("gw", "wan0"), ("peer", "eth0"), None, (bench.mac["wan"], Bench.WAN_MAC))
    neighbours = bench.wan.neighbours
    from harness.station import Station
    bench.wan = bench.lab.closing(Station("peer", "eth0", Bench.WAN_MAC))
    bench.wan.neighbours = neighbours
    wait_until(lambda: bench.gateway.port("wan")["state"] == "up", "the port is up again")

    def flows():
        try:
            bench.good_packet_passes(peer)
            return True
        except AssertionError:
            return False

    wait_until(flows, "packets flow again", 10)
    # The kernel got nothing from the new netdev either: one ARP reply, not two.
    bench.clear()
    bench.ask_arp()
    reply = bench.wan.expect(lambda p: ARP in p and p[ARP].op == 2, "the ARP reply")
    assert reply.src == reply[ARP].hwsrc == bench.gateway.port("wan")["mac"] == bench.mac["wan"]
    bench.good_packet_passes(peer)
    assert [f for f in bench.wan.take() if ARP in Ether(f.data)] == []


def test_802_1q_port(make_bench):
    """A tagged port: what goes out has the tag, what comes in with another or none is not for us."""
    bench = make_bench().start(one_tunnel(), ports={"wan": {"vlan": 42}})
    peer = bench.peers["t", "lan"]
    one = inner_packet(peer, token(), inbound=False)
    bench.send("lan", one)
    spi = peer.child.out_spi.to_bytes(4, "big")
    frame = bench.wan.expect(lambda p: spi in bytes(p)[36:46], "tagged ESP")
    assert frame[Dot1Q].vlan == 42 and frame.dst == Bench.WAN_MAC
    assert bytes(peer.open(frame[IP])) == forwarded(one)

    def tagged(vlan, packet):
        return Ether(src=Bench.WAN_MAC, dst=bench.mac["wan"]) / Dot1Q(vlan=vlan) / packet

    mark = token()
    bench.wan.send(tagged(42, peer.seal(inner_packet(peer, mark, inbound=True))))
    assert Dot1Q not in bench.expect_token("lan", mark)
    before = bench.gateway.drops()
    bench.wan.send(tagged(43, peer.seal(inner_packet(peer, token(), inbound=True))))
    bench.drops_rise("frame_unknown_vlan", before)
    before = bench.gateway.drops()
    bench.send("wan", peer.seal(inner_packet(peer, token(), inbound=True)))
    bench.drops_rise("frame_unknown_vlan", before)
    bench.wan.send(Ether(src=Bench.WAN_MAC, dst="ff:ff:ff:ff:ff:ff") / Dot1Q(vlan=42) /
                   ARP(op=1, hwsrc=Bench.WAN_MAC, psrc=Bench.PEER4, pdst=Bench.BOX4))
    reply = bench.wan.expect(lambda p: ARP in p and p[ARP].op == 2, "the tagged ARP reply")
    assert reply[Dot1Q].vlan == 42


def test_jumbo(make_bench):
    """MTU 9000 on both ports: an inner packet of 8,900 bytes goes through the tunnel whole, in every suite."""
    tunnel = Tunnel("t", Bench.BOX4, Bench.PEER4,
                    [Child(s, ["10.1.0.0/16"], [f"10.{100 + n}.0.0/16"], s) for n, s in enumerate(SUITES)])
    bench = make_bench(mtu=9000).start([tunnel], ports={"wan": {"mtu": 9000}, "lan": {"mtu": 9000}})
    for peer in bench.peers.values():
        for size in (1473, 8800, 8872):
            one = inner_packet(peer, (token() * 600)[:size], inbound=False, flags="DF")
            bench.send("lan", one)
            assert bytes(peer.open(bench.expect_esp(peer))) == forwarded(one)
            mark = token()
            back = inner_packet(peer, mark + bytes(size - len(mark)), inbound=True)
            bench.send("wan", peer.seal(back))
            assert bytes(bench.expect_token("lan", mark)) == forwarded(back)


def test_jumbo_sites(make_sites, tmp_path):
    sites = make_sites(mtu=9000).start_gateways(ports={"wan": {"mtu": 9000}, "lan": {"mtu": 9000}})
    traffic.ping("site-a", Sites.B4, size=8800, extra=("-M", "do"))
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 30_000_000)
    traffic.tcp_transfer("site-a", "site-b", Sites.B6, 10_000_000)
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=128)
    traffic.tcp_transfer("site-b", "site-a", Sites.A4, 3_000_000)
    capture.stop()
    assert_protected(capture, at_least=300)


def test_two_workers_and_several_peers(make_bench):
    """Eight SA pairs with four peers on two workers: every SA's packets come whole and in order, whoever got them."""
    tunnels = [Tunnel(f"t{n}", Bench.BOX4, f"203.0.113.{26 + n}",
                      [Child("a", ["10.1.0.0/16"], [f"10.{100 + n}.0.0/16"]),
                       Child("b", ["10.1.0.0/16"], [f"10.{120 + n}.0.0/16"], "aes128cbc-sha1", False)]) for n in range(4)]
    bench = make_bench().start(tunnels, workers=2)
    assert {r["worker"] for r in bench.gateway.show("workers")} == {0, 1}
    assert {r["worker"] for r in bench.gateway.show("sas")} == {0, 1}
    for peer in bench.peers.values():  # every neighbour is known: only so many packets may wait for one
        bench.good_packet_passes(peer)
    count = 60

    def numbered(direction, key, i):
        return b"%s-%s-%03d" % (direction, " ".join(key).encode(), i)

    sealed = {key: [bytes(peer.seal(inner_packet(peer, numbered(b"in", key, i), inbound=True))) for i in range(count)]
              for key, peer in bench.peers.items()}
    before = bench.gateway.drops()
    for i in range(count):
        for key, peer in bench.peers.items():
            bench.send("lan", inner_packet(peer, numbered(b"out", key, i), inbound=False))
            bench.send("wan", sealed[key][i])
    for key, peer in bench.peers.items():
        mark = b"in-" + " ".join(key).encode()
        frames = bench.lan.count(lambda data, mark=mark: mark in data, count, f"inner packets of {key}")
        assert [f.data[f.data.index(mark) + len(mark) + 1:][:3] for f in frames] == [b"%03d" % i for i in range(count)]
        spi = peer.child.out_spi.to_bytes(4, "big")
        frames = bench.wan.count(lambda data, spi=spi: data[34:38] == spi, count, f"ESP of {key}")
        inner = [bytes(peer.open(Ether(f.data)[IP])) for f in frames]
        assert [int.from_bytes(f.data[38:42], "big") for f in frames] == list(range(2, count + 2))
        mark = b"out-" + " ".join(key).encode()
        assert [p[p.index(mark) + len(mark) + 1:][:3] for p in inner] == [b"%03d" % i for i in range(count)]
    assert bench.gateway.drops() == before


def test_two_workers_at_both_sites(make_sites, tmp_path):
    """Many flows over two workers, both families at once: nothing changed, nothing replayed, nothing in clear."""
    sites = make_sites().start_gateways(workers=2)
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=128)
    stream = traffic.UdpStream(sites.lab, "site-a", "site-b", Sites.B6, str(tmp_path), rate=2000, count=4000)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 20_000_000)
    traffic.tcp_transfer("site-b", "site-a", Sites.A6, 10_000_000)
    sent, got = stream.finish()
    assert got["missing"] <= 4 and got["repeated"] == 0, got
    capture.stop()
    assert_protected(capture)
    for gateway in (sites.gw_a, sites.gw_b):
        for row in gateway.show("sas"):
            assert row["integrity_failed"] == row["replayed"] == 0, row


def test_af_xdp(make_sites, tmp_path):
    """AF_XDP on veth, where it is asked for: without checksum and segmentation offloads, which it cannot carry."""
    sites = make_sites()
    off = [word for offload in ("tx", "rx", "tso", "gso", "gro") for word in (offload, "off")]
    for name, device in (("site-a", "eth0"), ("gw-a", "lan0"), ("gw-a", "wan0"), ("wan", "to-a"), ("wan", "to-b"),
                         ("gw-b", "wan0"), ("gw-b", "lan0"), ("site-b", "eth0")):
        run("ip", "netns", "exec", name, "ethtool", "-K", device, *off)
    sites.start_gateways(ports={"wan": {"driver": "af_xdp"}, "lan": {"driver": "af_xdp"}})
    assert {p["path"] for p in sites.gw_a.show("ports")} == {"af_xdp"}
    capture = Capture(sites.lab, "wan", "to-a", str(tmp_path / "wan.pcap"), snaplen=256)
    traffic.ping("site-a", Sites.B4)
    traffic.ping("site-a", Sites.B6)
    traffic.ping("wan", Sites.GW_A4)
    traffic.tcp_transfer("site-a", "site-b", Sites.B4, 10_000_000)
    traffic.tcp_transfer("site-b", "site-a", Sites.A6, 5_000_000)
    capture.stop()
    others = capture.fields(["_ws.col.info"], "not esp and not arp and not icmp and not icmpv6")
    assert not others and capture.marked() == 0


def test_pcap_port(make_bench, tmp_path):
    """Frames from a file come out as ESP on the other port, what is sent to the port is in a file; a cut-off frame is named."""
    bench = make_bench()
    tunnels = one_tunnel()
    peer = Peer(tunnels[0], tunnels[0].children[0])
    mac = "02:70:63:61:70:00"  # what the pcap driver gives its first port
    rx, tx = str(tmp_path / "rx.pcap"), str(tmp_path / "tx.pcap")
    sent = [inner_packet(peer, token(), inbound=False) for _ in range(20)]
    wrpcap(rx, [Ether(src=Bench.LAN_MAC, dst=mac) / p for p in sent] +
           [Ether(bytes.fromhex("ffffffffffff020000000110") + b"\x81\x00\x00")])
    bench.start(tunnels, ports={"lan": {"device": f"rx_pcap={rx},tx_pcap={tx}", "driver": "pcap"}})
    port = bench.gateway.port("lan")
    assert port["path"].startswith("pcap")
    assert port["mac"] == mac, "the test's frames are for another MAC"
    inner = [bytes(peer.open(bench.expect_esp(peer))) for _ in sent]
    assert inner == [forwarded(p) for p in sent]
    wait_until(lambda: bench.gateway.drops().get("frame_truncated", 0) == 1, "frame_truncated")
    bench.lab.ip("gw", "neighbour", "replace", Bench.HOST4, "lladdr", Bench.LAN_MAC, "dev", "tg-lan")
    mark = token()
    bench.send("wan", peer.seal(udp_packet("10.2.1.1", Bench.HOST4, mark)))
    wait_until(lambda: bench.gateway.port("lan")["tx_packets"] >= 1, "a packet was written")
    assert bench.gateway.stop() == 0
    assert any(mark in bytes(p) for p in rdpcap(tx))


def addresses(lab, device):
    text = lab.ip("gw", "-o", "address", "show", "dev", device).stdout
    return sorted(a for a in re.findall(r"inet6? (\S+)", text) if not a.startswith("fe80"))


def test_orderly_exit_gives_the_netdev_back(make_bench):
    """Addresses and routes of the netdev move to the TAP, and back at the end: the netdev is the kernel's again."""
    bench = make_bench()
    lab = bench.lab
    lab.address("gw", "wan0", f"{Bench.BOX4}/24", f"{Bench.BOX6}/64")
    lab.ip("gw", "route", "add", "198.51.100.0/24", "via", "203.0.113.77")
    before = addresses(lab, "wan0")
    bench.start(one_tunnel())
    bench.good_packet_passes(bench.peers["t", "lan"])
    assert addresses(lab, "wan0") == [] and addresses(lab, "tg-wan") == before
    assert "dev tg-wan" in lab.ip("gw", "route", "show", "198.51.100.0/24").stdout
    assert bench.gateway.stop() == 0
    assert addresses(lab, "wan0") == before
    assert "dev wan0" in lab.ip("gw", "route", "show", "198.51.100.0/24").stdout
    assert lab.ip("gw", "link", "show", "dev", "tg-wan", check=False).returncode != 0
    assert "drop" not in run("ip", "netns", "exec", "gw", "nft", "list", "ruleset").stdout
    bench.ask_arp()
    assert bench.wan.expect(lambda p: ARP in p and p[ARP].op == 2, "the kernel's own ARP reply").src == bench.mac["wan"]


def test_start_after_an_orderly_exit(make_bench):
    bench = make_bench().start(one_tunnel())
    peer = bench.peers["t", "lan"]
    bench.good_packet_passes(peer)
    assert bench.gateway.stop() == 0
    assert not os.path.exists(os.path.join(bench.gateway.run_dir, "dataplane.sock"))
    bench.gateway.start()
    peer.sequence = 0  # a new life: nothing was accepted yet
    bench.clear()
    bench.good_packet_passes(peer)


def test_missing_device_is_named(make_bench):
    """A port whose device is not there: the gateway runs, says which and why, and takes it when it comes."""
    bench = make_bench()
    bench.lab.ip("gw", "link", "set", "wan0", "down")
    bench.lab.ip("gw", "link", "set", "wan0", "name", "later0")
    bench.start(one_tunnel(), wait=False)
    bench.gateway.wait_ready(ports=["lan"])
    port = bench.gateway.port("wan")
    assert port["state"] == "down" and "wan0" in port["note"] + port["device"]
    bench.lab.ip("gw", "link", "set", "later0", "name", "wan0")
    bench.lab.ip("gw", "link", "set", "wan0", "up")
    bench.gateway.wait_ready()
    bench.good_packet_passes(bench.peers["t", "lan"])


