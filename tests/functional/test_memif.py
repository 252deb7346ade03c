"""Two gateways on one machine whose WAN is shared memory: memif ports, no netdev at all between them."""

import os

from harness import config, traffic
from harness.config import Child, Tunnel
from harness.gateway import Gateway
from harness.netns import Lab

A, B = "203.0.113.2", "203.0.113.25"


def site(lab, number, role, socket, directory):
    """site-N - gw-N; the gateway's WAN is one end of the memif connection."""
    own, peer = (A, B) if number == 1 else (B, A)
    lab.namespace(f"site-{number}")
    lab.namespace(f"gw-{number}")
    lab.veth((f"site-{number}", "eth0"), (f"gw-{number}", "lan0"))
    lab.address(f"site-{number}", "eth0", f"10.{number}.1.10/16")
    lab.route(f"site-{number}", "default", f"10.{number}.0.1")
    ports = {"wan": {"device": f"role={role},socket={socket},socket-abstract=no", "driver": "memif", "addresses": [f"{own}/24"]},
             "lan": {"device": "lan0", "addresses": [f"10.{number}.0.1/16"]}}
    child = Child("lan", [f"10.{number}.0.0/16"], [f"10.{3 - number}.0.0/16"])
    own_directory = os.path.join(directory, f"gw-{number}")
    return own_directory, ports, Tunnel("t", own, peer, [child])


def test_memif(tmp_path):
    lab = Lab()
    try:
        gateways = []
        socket = tmp_path / "wan.memif"
        plans = [site(lab, 1, "server", socket, tmp_path), site(lab, 2, "client", socket, tmp_path)]
        mirrored = [plans[0][2], plans[0][2].mirrored()]
        for number, ((directory, ports, _), tunnel) in enumerate(zip(plans, mirrored), 1):
            file = config.write(directory, ports, [tunnel], (), (), f"gw-{number}")
            gateways.append(lab.closing(Gateway(lab, f"gw-{number}", file, directory)))
        for gateway in gateways:
            gateway.launch()
        for gateway in gateways:
            gateway.wait_ready()
        traffic.ping("site-1", "10.2.1.10", count=10)
        assert all(g.port("wan")["path"].startswith("memif") for g in gateways)
        assert gateways[0].port("wan")["tx_packets"] >= 10
        used = {(s["tunnel"], s["direction"]): s["packets"] for s in gateways[0].show("sas")}
        assert used["t", "out"] >= 10 and used["t", "in"] >= 10
    finally:
        lab.close()
