"""A NAT in a namespace of its own between two links: masquerading, whose mappings can be made to change or to end."""

import os
import socket
import struct

from .netns import inside, run

_FLUSH = (1 << 8) | 2  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE: without a tuple, of all
_REQUEST_AND_ACK, _NLMSG_ERROR, NETLINK_NETFILTER = 5, 2, 12


def flush_mappings(netns):
    """The NAT forgets every mapping, as after a restart or a long silence: what comes next gets a new one."""
    with inside(netns):
        s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    with s:
        s.bind((0, 0))
        s.send(struct.pack("=IHHII", 20, _FLUSH, _REQUEST_AND_ACK, 1, 0) + struct.pack("!BBH", socket.AF_INET, 0, 0))
        _, kind, _, _, _, error = struct.unpack_from("=IHHIIi", s.recv(4096))
    if kind == _NLMSG_ERROR and error:
        raise OSError(-error, f"flushing the mappings of {netns}: {os.strerror(-error)}")


class Nat:
    """`inside` and `outside` are devices of the namespace; their addresses and the routes are the caller's."""

    def __init__(self, lab, netns, inside_device, outside_device):
        self.lab, self.netns, self.inside, self.outside = lab, netns, inside_device, outside_device
        self.ports, self.forwarded = {}, None

    def _load(self):
        chosen = "".join(f'oifname "{self.outside}" udp sport {inner} masquerade to :{outer}; '
                         for inner, outer in self.ports.items())
        forward = ""
        if self.forwarded:
            forward = (f'chain in {{ type nat hook prerouting priority -100; iifname "{self.outside}" udp dport '
                       f'{{ 500, 4500 }} dnat to {self.forwarded}; }};')
        self.lab.nft(self.netns, f"""table ip nat; delete table ip nat; table ip nat {{
            chain out {{ type nat hook postrouting priority 100; {chosen} oifname "{self.outside}" masquerade; }}
            {forward} }}""")

    def masquerade(self, **ports):
        """`p4500=40000`: datagrams from port 4500 leave from port 40000; others keep theirs where they can."""
        self.ports = {int(inner[1:]): outer for inner, outer in ports.items()}
        self._load()
        return self

    def forward_ike_to(self, address):
        """Port forwarding: who is behind the NAT can be called from outside."""
        self.forwarded = address
        self._load()
        return self

    def rebind(self, **ports):
        """Old mappings are gone, and new ones have these ports."""
        self.masquerade(**ports)
        flush_mappings(self.netns)

    def mappings(self):
        """The kernel's own table as text, for a test that failed."""
        return run("ip", "netns", "exec", self.netns, "cat", "/proc/net/nf_conntrack", check=False).stdout
