"""Three sites: the spokes reach each other through the hub, from one tunnel into the other, whatever kind these are."""

import itertools

import pytest

from harness import traffic
from harness.capture import Capture, assert_protected
from harness.config import Child, Tunnel
from harness.netns import wait_until
from harness.topology import Hub


def policy_based(spoke, other):
    """The hub's tunnel to `spoke`: for what is behind the hub, which the other spoke's networks are too."""
    return Tunnel(f"spoke{spoke}", Hub.WAN4["h"], Hub.WAN4[spoke], [
        Child("four", [Hub.LAN4["h"], Hub.LAN4[other]], [Hub.LAN4[spoke]]),
        Child("six", [Hub.LAN6["h"], Hub.LAN6[other]], [Hub.LAN6[spoke]])])


def route_based(spoke):
    return Tunnel(f"spoke{spoke}", Hub.WAN4["h"], Hub.WAN4[spoke], [Child("all", [], [])], interface=f"s{spoke}",
                  addresses=(f"169.254.{spoke}.1/30", f"fd00:ff:{spoke}::1/64"),
                  peer_addresses=(f"169.254.{spoke}.2/30", f"fd00:ff:{spoke}::2/64"))


def start(hub, kinds):
    tunnels, routes = {"h": []}, {"h": []}
    for spoke, other in (("1", "2"), ("2", "1")):
        routed = kinds[spoke] == "route"
        tunnel = route_based(spoke) if routed else policy_based(spoke, other)
        tunnels["h"].append(tunnel)
        tunnels[spoke] = [tunnel.mirrored()]
        if not routed:
            continue
        routes["h"] += [(Hub.LAN4[spoke], f"169.254.{spoke}.2", f"s{spoke}"),
                        (Hub.LAN6[spoke], f"fd00:ff:{spoke}::2", f"s{spoke}")]
        routes[spoke] = [(prefix, None, f"s{spoke}") for key in ("h", other) for prefix in (Hub.LAN4[key], Hub.LAN6[key])]
    return hub.start(tunnels, routes)


@pytest.fixture(scope="module", params=["policy-policy", "route-route", "policy-route"])
def hub(make_hub, request):
    return start(make_hub(), dict(zip("12", request.param.split("-"))))


@pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
def test_every_site_reaches_every_other(hub, family, tmp_path):
    captures = [Capture(hub.lab, "wan", f"to-{key}", str(tmp_path / f"{key}.pcap"), snaplen=256) for key in Hub.KEYS]
    hosts = Hub.HOST4 if family == 4 else Hub.HOST6
    for here, there in itertools.permutations(Hub.KEYS, 2):
        traffic.ping(f"site-{here}", hosts[there], count=3)
    traffic.tcp_transfer("site-1", "site-2", hosts["2"], 3_000_000)
    for capture in captures:
        assert_protected(capture.stop(), at_least=24)


def test_hub_is_one_hop_on_the_way(hub):
    """Two gateways and the hub: three hops, whatever the WAN between them (RFC 4301 5.1.2.1)."""
    assert traffic.ping("site-1", Hub.HOST4["2"], count=1, extra=("-t", 4)) == (1, 1)
    before = hub.gateways["h"].drops().get("hop_limit_expired", 0)
    sent, received = traffic.ping("site-1", Hub.HOST4["2"], count=1, deadline=1, check=False, extra=("-t", 2))
    assert received == 0
    wait_until(lambda: hub.gateways["h"].drops()["hop_limit_expired"] == before + sent, "each expires at the hub")


def test_large_packets_fit_both_tunnels(hub):
    traffic.ping("site-1", Hub.HOST4["2"], count=3, size=3000)
