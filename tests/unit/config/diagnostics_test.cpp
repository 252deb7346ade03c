// One wrong value each: what the table and the YAML reader say to it.
#include <algorithm>

#include "tests/unit/config/base.hpp"

namespace trunkgate {

namespace {

using test::base;
using test::edited;
using test::lines_of;

struct edit {
  const char* name;
  const char* from;
  const char* to;
  std::vector<std::string> diagnostics;
};

const edit edits[] = {
    {"unknown key",
     "name: hq",
     "name: hq, wrokers: 2",
     {"1:22: error: gateway.wrokers: unknown key [did you mean \"workers\"?]"}},
    {"unknown section", "routes:", "rutes:", {"5:1: error: rutes: unknown key [did you mean \"routes\"?]"}},
    {"no near key",
     "name: hq",
     "name: hq, colour: red",
     {"1:22: error: gateway.colour: unknown key [known here: name, workers, busy_poll, hugepages, buffers, "
      "flow_entries, lab, legacy]"}},
    {"missing key",
     "device: eth0, ",
     "",
     {"3:3: error: ports.wan.device: is missing [The network interface (eth0), a PCI address (0000:03:00.0), or the "
      "arguments of a test driver.]"}},
    {"missing section", "gateway: { name: hq }\n", "\n", {"2:1: error: gateway: is missing"}},
    {"duplicate key",
     "    peer: 203.0.113.25",
     "    peer: 203.0.113.25\n    peer: 203.0.113.26",
     {"11:5: error: tunnels.branch.peer: stands twice; first in line 10"}},
    {"duplicate tunnel",
     "policies:",
     "  branch: { local: { address: 203.0.113.2 }, peer: 203.0.113.25, children: {} }\npolicies:",
     {"11:5: error: tunnels.branch.children: needs at least one child",
      "19:3: error: tunnels.branch: stands twice; first in line 8"}},
    {"unknown suite",
     "aes256cbc-sha256-esn",
     "aes256cbc-sha26-esn",
     {"16:16: error: tunnels.branch.children.net.manual.esp: unknown value \"aes256cbc-sha26-esn\" [did you mean "
      "\"aes256cbc-sha256-esn\"?]"}},
    {"no boolean", "name: hq", "name: hq, lab: no", {"1:27: error: gateway.lab: \"no\" is not true or false"}},
    {"not a number",
     "mtu: 1500",
     "mtu: large",
     {"4:55: error: ports.lan.mtu: \"large\" is not a number from 576 to 9000"}},
    {"negative number",
     "mtu: 1500",
     "mtu: -5",
     {"4:55: error: ports.lan.mtu: \"-5\" is not a number from 576 to 9000"}},
    {"mtu too large",
     "mtu: 1500",
     "mtu: 9001",
     {"4:55: error: ports.lan.mtu: 9001 is out of range: a number from 576 to 9000"}},
    {"word or number",
     "name: hq",
     "name: hq, workers: aut",
     {"1:31: error: gateway.workers: \"aut\" is not auto, or a number from 1 to 64 [did you mean \"auto\"?]"}},
    {"worker range",
     "name: hq",
     "name: hq, workers: 65",
     {"1:31: error: gateway.workers: 65 is out of range: auto, or a number from 1 to 64"}},
    {"bad address",
     "peer: 203.0.113.25",
     "peer: 203.0.113.256",
     {"10:11: error: tunnels.branch.peer: \"203.0.113.256\" is not an IPv4 or IPv6 address"}},
    {"address with length",
     "peer: 203.0.113.25",
     "peer: 203.0.113.25/24",
     {"10:11: error: tunnels.branch.peer: \"203.0.113.25/24\" is not an IPv4 or IPv6 address [without a prefix "
      "length]"}},
    {"bad prefix",
     "10.2.0.0/16",
     "10.2.0.0/33",
     {"14:18: error: tunnels.branch.children.net.remote[0]: \"10.2.0.0/33\" has no prefix length between 0 and 32"}},
    {"scalar for list",
     "remote: [10.2.0.0/16]",
     "remote: 10.2.0.0/16",
     {"14:17: error: tunnels.branch.children.net.remote: must be a list [[10.2.0.0/16]]"}},
    {"list for scalar",
     "peer: 203.0.113.25",
     "peer: [203.0.113.25]",
     {"10:5: error: tunnels.branch.peer: must be a single value"}},
    {"list for map",
     "{ name: hq }",
     "[hq]",
     {"1:1: error: gateway: must be a map: name, workers, busy_poll, hugepages, buffers, flow_entries, lab, legacy"}},
    {"no value", "device: eth0", "device: ", {"3:10: error: ports.wan.device: has no value"}},
    {"bad name",
     "name: partner",
     "name: to partner",
     {"20:13: error: policies[0].name: \"to partner\" is no name [letters, digits, - and _ are possible]"}},
    {"name with a dot",
     "  branch:",
     "  branch.hq:",
     {"8:3: error: tunnels.branch.hq: the name \"branch.hq\" is no name [letters, digits, - and _ are possible]"}},
    {"long port name",
     "  wan:",
     "  wan-to-the-world:",
     {"3:3: error: ports.wan-to-the-world: the name has 16 characters, at most 12 are possible",
      "20:37: error: policies[0].to: there is no port \"wan\" [did you mean \"lan\"?]"}},
    {"nine addresses",
     "[10.1.0.1/16]",
     "[10.1.0.1,10.1.0.2,10.1.0.3,10.1.0.4,10.1.0.5,10.1.0.6,10.1.0.7,10.1.0.8,10.1.0.9]",
     {"4:24: error: ports.lan.addresses: has 9 entries, at most 8 are possible"}},
    {"vlan range",
     "device: eth1",
     "vlan: 4095, device: eth1",
     {"4:16: error: ports.lan.vlan: 4095 is out of range: a number from 1 to 4094"}},
    {"driver",
     "device: eth1",
     "driver: dpdk, device: eth1",
     {"4:18: error: ports.lan.driver: \"dpdk\" is not auto, af_packet, af_xdp, vfio, pcap, ring, null, memif or tap"}},
    {"encapsulation",
     "    peer: 203.0.113.25",
     "    peer: 203.0.113.25\n    udp_encapsulation: yes",
     {"11:24: error: tunnels.branch.udp_encapsulation: \"yes\" is not true or false"}},
    {"encapsulation port",
     "    peer: 203.0.113.25",
     "    peer: 203.0.113.25\n    udp_encapsulation: { local_port: 0 }",
     {"11:38: error: tunnels.branch.udp_encapsulation.local_port: 0 is out of range: a number from 1 to 65535"}},
    {"nine prefixes",
     "[10.2.0.0/16]",
     "[10.2.0.0/24,10.2.1.0/24,10.2.2.0/24,10.2.3.0/24,10.2.4.0/24,10.2.5.0/24,10.2.6.0/24,10.2.7.0/24,10.2.8.0/24]",
     {"14:9: error: tunnels.branch.children.net.remote: has 9 entries, at most 8 are possible"}},
    {"unknown protocol",
     "        manual:",
     "        protocol: tpc\n        manual:",
     {"15:19: error: tunnels.branch.children.net.protocol: \"tpc\" is not any, tcp, udp, icmp, ipv6-icmp or sctp, or a "
      "number from 0 to 255 [did you mean \"tcp\"?]"}},
    {"window too small",
     "        manual:",
     "        replay_window: 32\n        manual:",
     {"15:24: error: tunnels.branch.children.net.replay_window: 32 is out of range: a number from 64 to 65536"}},
    {"reserved SPI",
     "spi: 0x1001",
     "spi: 255",
     {"17:23: error: tunnels.branch.children.net.manual.out.spi: 255 is out of range: a number from 256 to 4294967295 "
      "[0 to 255 are reserved (RFC 4303 2.1)]"}},
    {"SPI too large",
     "spi: 0x1001",
     "spi: 0x100000000",
     {"17:23: error: tunnels.branch.children.net.manual.out.spi: 0x100000000 is out of range: a number from 256 to "
      "4294967295 [0 to 255 are reserved (RFC 4303 2.1)]"}},
    {"two kinds of key reference",
     "file: in.key",
     "file: in.key, env: KEY",
     {"18:30: error: tunnels.branch.children.net.manual.in.key: needs exactly one of file, env, credential"}},
    {"key in the file",
     "key: { file: in.key }",
     "key: 000102030405060708090a0b0c0d0e0f",
     {"18:35: error: tunnels.branch.children.net.manual.in.key: must say where the key is: a key itself never stands "
      "in the configuration [{file: NAME}, {env: NAME}, or {credential: NAME}]"}},
    {"key in the file under a name of its own",
     "{ file: in.key }",
     "{ hex: 000102030405060708090a0b0c0d0e0f }",
     {"18:42: error: tunnels.branch.children.net.manual.in.key.hex: must say where the key is: a key itself never "
      "stands in the configuration [{file: NAME}, {env: NAME}, or {credential: NAME}]"}},
    {"empty key reference",
     "{ file: in.key }",
     "{ }",
     {"18:30: error: tunnels.branch.children.net.manual.in.key: needs exactly one of file, env, credential"}},
    {"rule port range",
     "action: bypass",
     "protocol: tcp, destination_ports: 443-80, action: bypass",
     {"20:124: error: policies[0].destination_ports: \"443-80\" is no port or range of ports [443, or 1024-65535]"}},
    {"action",
     "action: bypass",
     "action: pass",
     {"20:98: error: policies[0].action: \"pass\" is not bypass, discard or protect [did you mean \"bypass\"?]"}},
    {"anchor", "name: hq", "name: &n hq", {"1:18: error: anchors and aliases are not allowed [write the value out]"}},
    {"alias", "policies:", "x: *n\npolicies:", {"19:4: error: the referenced anchor is not defined: n"}},
    {"merge key", "name: hq", "<<: {}, name: hq", {"1:12: error: merge keys are not allowed [write the values out]"}},
    {"tag", "name: hq", "name: !!str hq", {"1:18: error: tags are not allowed [leave it out]"}},
    {"second document", "policies:", "---\npolicies:", {"20:1: error: several documents in one file [keep one]"}},
    {"list as a key", "name: hq", "[a]: b, name: hq", {"1:12: error: a key must be a name"}},
    {"unclosed", "name: hq }", "name: hq", {"2:6: error: end of map flow not found"}},
    {"too deep", "name: hq", "name: [[[[[[[[[[[[[x]]]]]]]]]]]]]", {"1:28: error: nested more than 12 deep"}},
    {"control character",
     "name: hq",
     "name: \"h\\x07q\"",
     {"1:18: error: line breaks and control characters are not allowed here"}},
};

TEST(diagnostics, name_the_place_and_the_remedy) {
  for (const auto& e : edits) {
    auto result = load_configuration_text("/nonexistent/trunkgate.yaml", edited(base, e.from, e.to));
    EXPECT_EQ(lines_of(result), e.diagnostics) << e.name;
    bool error = std::ranges::any_of(result.diagnostics, [](const diagnostic& d) { return !d.warning; });
    EXPECT_EQ(result.config.has_value(), !error) << e.name;
  }
}

}  // namespace

}  // namespace trunkgate
