"""What the tests of every ESP suite share: the suites, the lengths, and what must be true of a burst."""

import collections
import json

from harness import config, oracle
from harness.config import Child
from harness.gateway import TRUNKGATE
from harness.netns import run

BURST = 257
# The largest fits every suite and every outer header: 40 + 8 + 8 + 16 + 32 bytes around an IPv6 packet.
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 14, 15, 16, 17, 18, 29, 30, 31, 32, 33, 63, 64, 65, 127, 255, 500, 1024, 1300,
           1337, 1338, 1339, 1340]


def suites():
    """What the configuration's schema lists, without the ending for extended sequence numbers."""
    def found(node):
        if isinstance(node, dict):
            if "aes128gcm16" in node.get("enum", ()):
                yield node["enum"]
            node = list(node.values())
        for inner in node if isinstance(node, list) else ():
            yield from found(inner)
    lists = list(found(json.loads(run(TRUNKGATE, "schema", "--json").stdout)))
    assert lists, "trunkgate schema --json names no ESP suite"
    return [name for name in lists[0] if not name.endswith("-esn")]


SUITES = suites()
class MatrixChild(Child):
    """Key lengths from the oracle, which knows them by the RFCs."""

    @property
    def out_key(self):
        return config.test_key(self.out_spi, oracle.algorithm(self.suite).key_material)

    @property
    def in_key(self):
        return config.test_key(self.in_spi, oracle.algorithm(self.suite).key_material)


def known(name):
    try:
        return bool(oracle.algorithm(name))
    except LookupError:
        return False


def pieces(data):
    return {data[at:at + 8] for at in range(len(data) - 7)}


def assert_unreadable(inner, esp):
    upper = inner[20:] if inner[0] >> 4 == 4 else inner[40:]
    assert not pieces(upper) & pieces(esp), "eight bytes of the payload stand on the wire in clear"


def assert_each_once(got, wanted, what):
    got, wanted = collections.Counter(got), collections.Counter(wanted)
    assert not wanted - got, f"{sum((wanted - got).values())} of {sum(wanted.values())} {what} are missing"
    assert not got - wanted, f"{sum((got - wanted).values())} {what} came that should not, or twice, or changed"
