"""A gateway's tunnels, one after the other, each with a peer of ours at its other end."""

from .ike_peer import IkePeer
from .ike_tunnel import IkeChild, IkeTunnel, put
from .netns import wait_until
from .topology import Bench

PEER = "203.0.113.50"  # the kernel's, in the bench's namespace "peer"; the stations there are not asked for it


class Meeting:
    def __init__(self, bench):
        self.bench, self.peer, self.tunnel = bench, None, None

    def begin(self, starter, ike="aes256gcm16-prfsha384-x25519-ke1_mlkem768", esp="aes256gcm16-x25519-ke1_mlkem768-esn",
              gateway_ppk=None, prepare=None, wait=True, child=None, settings=None, **peer):
        """A tunnel that the `starter` begins, the "gateway" or the "peer", with the same proposals at both ends; the peer
        when it is up, or at once. `prepare` sees the peer before anything is said."""
        self.peer = IkePeer("peer", PEER, Bench.BOX4, ike, esp, **peer)
        if prepare:
            prepare(self.peer)
        more = {"liveness": "off", **(settings or {})}
        if gateway_ppk:
            key = put(self.bench.directory, "ppk", gateway_ppk.key)
            more["post_quantum_key"] = {"id": gateway_ppk.identity, "key": key, "required": gateway_ppk.required}
        self.tunnel = IkeTunnel(PEER, start={"gateway": "always", "peer": "answer"}[starter], proposals=[ike], ike=more,
                                children=[IkeChild(esp=[esp], options=child or {})])
        self.bench.reload([self.tunnel])
        wait_until(lambda: set(self.bench.gateway.tunnels()) == {self.tunnel.name}, self.bench.gateway.log_tail)
        if starter == "peer":
            self.peer.initiate()
        elif wait:
            self.peer.wait_up()
        return self.peer

    def do(self, verb, *words):
        return self.bench.gateway.do(verb, self.tunnel.name, *words)

    def explain(self):
        return self.bench.gateway.explain(self.tunnel.name)

    def failure(self):
        """{trouble, text, ...} of the last attempt that failed, or None"""
        last = self.explain()["last_failure"]
        return last and last["failure"]

    def check_traffic(self, child):
        """A packet each way comes out at the other side, by scapy and by the keys that the peer computed."""
        # Who answers has the keys first: the gateway's packets, and its readiness for ours, come a moment later.
        wait_until(lambda: {child.in_spi, child.out_spi} <= {row["spi"] for row in self.sas()}, "its SAs are in use")
        self.bench.good_packet_passes(self.peer.end_of(child))

    def sas(self):
        """Of this tunnel, in the data plane."""
        rows = self.bench.gateway.show("sas")
        return [{**row, "spi": int(row["spi"], 16)} for row in rows if row["tunnel"] == self.tunnel.name]

    def end(self):
        """The gateway takes its tunnel away, and the peer with it."""
        try:
            if self.peer:
                self.bench.reload([])
                wait_until(lambda: not self.bench.gateway.tunnels(), self.bench.gateway.log_tail)
        finally:
            if self.peer:
                self.peer.close()
