// Values that are right alone and wrong together.
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
    {"mtu too small for IPv6",
     "[10.1.0.1/16], mtu: 1500",
     "[2001:db8::1/64], mtu: 1279",
     {"4:58: error: ports.lan.mtu: 1279 is too small: IPv6 is used here and needs 1280 (RFC 8200 5)"}},
    {"mtu too small for an IPv6 route",
     "mtu: 1500 }\nroutes:",
     "mtu: 1000 }\nroutes:\n  - { to: 2001:db8::/32, port: lan }",
     {"4:55: error: ports.lan.mtu: 1000 is too small: IPv6 is used here and needs 1280 (RFC 8200 5)"}},
    {"reserved port name",
     "  wan: {",
     "  box: {",
     {"3:3: error: ports.box: the name \"box\" is reserved: rules use it [another name]",
      "20:37: error: policies[0].to: there is no port \"wan\" [did you mean \"lan\"?]"}},
    {"address twice",
     "10.1.0.1/16",
     "203.0.113.2/16",
     {"4:36: error: ports.lan.addresses[0]: address 203.0.113.2 is also that of ports.wan.addresses[0], line 3"}},
    {"multicast port address",
     "10.1.0.1/16",
     "224.0.0.1/16",
     {"4:36: error: ports.lan.addresses[0]: 224.0.0.1 is no address that a port can have"}},
    {"device twice",
     "device: eth1",
     "device: eth0",
     {"4:18: error: ports.lan.device: device eth0 without vlan is also that of ports.wan.device, line 3"}},
    {"device twice with another vlan", "device: eth1", "vlan: 7, device: eth0", {}},
    {"route to nowhere", ", via: 203.0.113.1", "", {"6:5: error: routes[0]: needs via, port, or both"}},
    {"route to an unknown port",
     "via: 203.0.113.1",
     "port: wam",
     {"6:28: error: routes[0].port: there is no port \"wam\" [did you mean \"wan\"?]"}},
    {"route over another family",
     "via: 203.0.113.1",
     "via: 2001:db8::1",
     {"6:27: error: routes[0].via: 2001:db8::1 is of another IP version than 0.0.0.0/0"}},
    {"families of outer addresses",
     "peer: 203.0.113.25",
     "peer: 2001:db8::1",
     {"10:11: error: tunnels.branch.peer: 2001:db8::1 is of another IP version than local.address, 203.0.113.2"}},
    {"peer is local",
     "peer: 203.0.113.25",
     "peer: 203.0.113.2",
     {"10:11: error: tunnels.branch.peer: is the gateway's own address, local.address"}},
    {"multicast peer",
     "peer: 203.0.113.25",
     "peer: 239.0.0.1",
     {"10:11: error: tunnels.branch.peer: 239.0.0.1 is no address of one machine"}},
    {"local on no port",
     "    local: { address: 203.0.113.2 }",
     "    local: { address: 203.0.113.3 }",
     {"9:23: warning: tunnels.branch.local.address: 203.0.113.3 is none of the ports' addresses"}},
    {"selector families",
     "remote: [10.2.0.0/16]",
     "remote: [\"2001:db8:2::/48\"]",
     {"14:9: error: tunnels.branch.children.net.remote: has no prefix of the same IP version as one of local"}},
    {"empty selector",
     "remote: [10.2.0.0/16]",
     "remote: []",
     {"14:9: error: tunnels.branch.children.net.remote: needs at least one prefix"}},
    {"port without protocol",
     "        manual:",
     "        local_port: 53\n        manual:",
     {"15:21: error: tunnels.branch.children.net.local_port: needs protocol tcp, udp, or sctp"}},
    {"port with icmp",
     "        manual:",
     "        protocol: icmp\n        remote_port: 53\n        manual:",
     {"16:22: error: tunnels.branch.children.net.remote_port: needs protocol tcp, udp, or sctp"}},
    {"odd window",
     "        manual:",
     "        replay_window: 100\n        manual:",
     {"15:24: error: tunnels.branch.children.net.replay_window: 100 is no multiple of 64 [128 is the next]"}},
    {"GCM without lab",
     "aes256cbc-sha256-esn",
     "aes256gcm16",
     {"16:16: error: tunnels.branch.children.net.manual.esp: aes256gcm16 with keys by hand is for labs only (RFC 8221 "
      "3) "
      "[a cbc suite, or gateway.lab: true]"}},
    {"CTR without lab",
     "aes256cbc-sha256-esn",
     "aes128ctr-sha256",
     {"16:16: error: tunnels.branch.children.net.manual.esp: aes128ctr-sha256 with keys by hand is for labs only "
      "(RFC 8221 3) [a cbc suite, or gateway.lab: true]"}},
    {"3DES without legacy",
     "aes256cbc-sha256-esn",
     "3descbc-sha256",
     {"16:16: error: tunnels.branch.children.net.manual.esp: 3descbc-sha256 is broken by now (RFC 8221 5) [a suite "
      "with aes, or gateway.legacy: true]"}},
    {"SHA-1",
     "aes256cbc-sha256-esn",
     "aes256cbc-sha1",
     {"16:16: warning: tunnels.branch.children.net.manual.esp: SHA-1 is outdated [a suite with sha256]"}},
    {"one key for both directions",
     "file: in.key",
     "file: out.key",
     {"18:30: error: tunnels.branch.children.net.manual.in.key: is the key of the other direction too: one key must "
      "not serve both directions"}},
    {"no children",
     "    children:\n      net:",
     "    children: {}\n    chidlren:\n      net:",
     {"11:5: error: tunnels.branch.children: needs at least one child",
      "12:5: error: tunnels.branch.chidlren: unknown key [did you mean \"children\"?]"}},
    {"rule names twice",
     "policies:",
     "policies:\n  - { name: partner, action: discard, from: wan }",
     {"21:13: error: policies[1].name: the name \"partner\" stands twice; first in line 20"}},
    {"rule from an unknown port",
     "from: lan",
     "from: lam",
     {"20:28: error: policies[0].from: there is no port \"lam\" [did you mean \"lan\"?]"}},
    {"rule families",
     "192.0.2.0/24",
     "2001:db8::/32",
     {"20:76: error: policies[0].destination: 2001:db8::/32 is of another IP version than source, 10.1.0.0/16"}},
    {"rule ports without protocol",
     "action: bypass",
     "destination_ports: 443, action: bypass",
     {"20:109: error: policies[0].destination_ports: needs protocol tcp, udp, or sctp"}},
    {"shadowing rule",
     "destination: 192.0.2.0/24",
     "destination: 10.0.0.0/8",
     {"20:5: warning: policies[0]: covers all that tunnels.branch.children.net protects: rules come first, so it is "
      "sent in clear"}},
    {"shadowing rule of the other way",
     "policies:",
     "policies:\n  - { name: in, to: lan, source: 10.0.0.0/8, destination: 10.0.0.0/8, action: discard, both_ways: "
     "true }",
     {"20:5: warning: policies[0]: covers all that tunnels.branch.children.net protects: rules come first, so it is "
      "dropped"}},
    {"rule from the peer's side shadows nothing",
     "policies:",
     "policies:\n  - { name: spoofed, from: wan, source: 10.1.0.0/16, action: discard }",
     {}},
    {"never reached",
     "policies:",
     "policies:\n  - { name: all, action: protect }",
     {"21:5: warning: policies[1]: is never reached: rule all in line 20 catches everything [move it up]"}},
};

TEST(validate, finds_what_contradicts) {
  for (const auto& e : edits) {
    auto result = load_configuration_text("/nonexistent/trunkgate.yaml", edited(base, e.from, e.to));
    EXPECT_EQ(lines_of(result), e.diagnostics) << e.name;
    bool error = std::ranges::any_of(result.diagnostics, [](const diagnostic& d) { return !d.warning; });
    EXPECT_EQ(result.config.has_value(), !error) << e.name;
  }
}

// A second tunnel beside the base's.
std::string with_second(const std::string& from = "other", const std::string& to = "other") {
  static constexpr const char* second = R"(  other:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.40
    children:
      net:
        local: [10.1.0.0/16]
        remote: [10.3.0.0/16]
        manual:
          esp: aes256cbc-sha256
          out: { spi: 0x1002, key: { env: O } }
          in: { spi: 0x2002, key: { env: I } }
policies:)";
  return edited(base, "policies:", edited(second, from, to));
}

std::vector<std::string> lines_with_second(const std::string& from, const std::string& to) {
  return lines_of(load_configuration_text("/nonexistent/trunkgate.yaml", with_second(from, to)));
}

using strings = std::vector<std::string>;
const std::string other = "tunnels.other.children.net", branch = "tunnels.branch.children.net";

TEST(validate, two_tunnels_get_along) { EXPECT_EQ(lines_with_second("other", "other"), strings{}); }

TEST(validate, an_inbound_spi_is_used_once) {
  EXPECT_EQ(lines_with_second("0x2002", "0x2001"),
            strings{"29:22: error: " + other + ".manual.in.spi: inbound SPI 0x2001 is also that of " + branch +
                    ".manual.in.spi, line 18"});
}

TEST(validate, an_outbound_spi_is_used_once_per_peer) {
  EXPECT_EQ(lines_with_second("0x1002", "0x1001"), strings{});
  auto text = edited(with_second("0x1002", "0x1001"), "203.0.113.40", "203.0.113.25");
  EXPECT_EQ(lines_of(load_configuration_text("x.yaml", text)),
            strings{"28:23: error: " + other + ".manual.out.spi: SPI 0x1001 to 203.0.113.25 is also that of " + branch +
                    ".manual.out.spi, line 17"});
}

TEST(validate, the_same_selectors_lead_to_one_peer) {
  EXPECT_EQ(lines_with_second("10.3.", "10.2."),
            strings{"23:7: error: " + other + ": has the same selectors as " + branch + ", line 12, but another peer"});
  auto text = edited(with_second("10.3.", "10.2."), "203.0.113.40", "203.0.113.25");
  EXPECT_EQ(lines_of(load_configuration_text("x.yaml", text)),
            strings{"23:7: warning: " + other + ": has the same selectors as " + branch +
                    ", line 12, which sends everything"});
}

TEST(validate, a_key_shared_by_two_sas_is_warned_of) {
  EXPECT_EQ(lines_with_second("env: O", "file: out.key"),
            strings{"28:31: warning: " + other + ".manual.out.key: is also the key of " + branch +
                    ".manual.out.key [every SA needs a key of its own]"});
}

TEST(validate, legacy_suites_are_to_be_had_by_asking) {
  auto text = edited(edited(base, "aes256cbc-sha256-esn", "3descbc-sha256"), "name: hq", "name: hq, legacy: true");
  EXPECT_EQ(lines_of(load_configuration_text("/nonexistent/trunkgate.yaml", text)), strings{});
}

TEST(validate, gcm_by_hand_is_for_labs) {
  auto text = edited(edited(base, "aes256cbc-sha256-esn", "aes256gcm16-esn"), "name: hq", "name: hq, lab: true");
  auto result = load_configuration_text("/nonexistent/trunkgate.yaml", text);
  EXPECT_EQ(lines_of(result),
            strings{"16:16: warning: " + branch +
                    ".manual.esp: aes256gcm16 with keys by hand: never use these keys outside of a lab (RFC 8221 3)"});
  EXPECT_TRUE(result.config.has_value());
}

}  // namespace

}  // namespace trunkgate
