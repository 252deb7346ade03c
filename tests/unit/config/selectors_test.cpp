// What a selector may say: ranges of addresses and ports, types of ICMP messages, classes of service.
#include <algorithm>

#include "config/selector_words.hpp"
#include "tests/unit/config/base.hpp"

namespace trunkgate {
namespace {

using test::base;
using test::edited;
using test::lines_of;
using strings = std::vector<std::string>;

loaded load(const std::string& text) { return load_configuration_text("/nonexistent/test.yaml", text); }

std::string with_child(const std::string& lines) { return edited(base, "        manual:", lines + "        manual:"); }
std::string with_rule(const std::string& fields) { return edited(base, "action: bypass", fields + ", action: bypass"); }

// A second tunnel, to another peer, whose child is that of the first but for an edit.
std::string with_sibling(const std::string& first, const std::string& second) {
  std::string text = with_child(first);
  return edited(text, "policies:", R"(  other:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.26
    children:
      net:
        local: [10.1.0.0/16]
        remote: [10.2.0.0/16]
)" + second + R"(        manual:
          esp: aes256cbc-sha256-esn
          out: { spi: 0x1002, key: { file: out2.key } }
          in: { spi: 0x2002, key: { file: in2.key } }
policies:)");
}

TEST(icmp_words, are_numbers_of_either_protocol) {
  EXPECT_EQ(find_icmp("echo-request", 1), (number_range{0x0800, 0x08ff}));
  EXPECT_EQ(find_icmp("echo-request", 58), (number_range{0x8000, 0x80ff}));
  EXPECT_EQ(find_icmp("port-unreachable", 1), (number_range{0x0303, 0x0303}));
  EXPECT_EQ(find_icmp("port-unreachable", 58), (number_range{0x0104, 0x0104}));
  EXPECT_EQ(find_icmp("8", 1), find_icmp("echo-request", 1));
  EXPECT_EQ(find_icmp("3/4", 1), find_icmp("fragmentation-needed", 1));
  EXPECT_FALSE(find_icmp("fragmentation-needed", 58));
  EXPECT_FALSE(find_icmp("neighbour-solicitation", 1));
  EXPECT_FALSE(find_icmp("echo-request", 17));
  for (const char* text : {"256", "3/256", "3/", "/4", "ping", "", "-1"}) EXPECT_FALSE(find_icmp(text, 1)) << text;
}

TEST(icmp_words, come_back_as_they_went_in) {
  for (const std::int16_t protocol : {1, 58})
    for (const auto word : icmp_words())
      if (const auto range = find_icmp(word, protocol)) {
        EXPECT_EQ(icmp_text(protocol, *range), word);
      }
  EXPECT_EQ(icmp_text(1, {200 << 8, 200 << 8 | 255}), "200");
  EXPECT_EQ(icmp_text(1, {3 << 8 | 13, 3 << 8 | 13}), "3/13");
  EXPECT_EQ(icmp_text(1, {}), "");
}

TEST(dscp_words, come_back_by_name) {
  EXPECT_EQ(dscp_text(1ull << 46 | 1ull << 0 | 1ull << 34 | 1ull << 63), "cs0 af41 ef 63");
  EXPECT_EQ(dscp_text(0), "");
}

TEST(selectors, arrive_in_the_model) {
  auto text = with_child("        protocol: udp\n        local_port: 5060-5080\n        dscp: [ef, cs5, 3]\n");
  text = edited(text, "local: [10.1.0.0/16]", "local: [10.1.0.10-10.1.0.99, fd00::5-fd00::9]");
  text = edited(text, "remote: [10.2.0.0/16]", "remote: [10.2.0.0/16, fd01::/64]");
  text = edited(text, "source: 10.1.0.0/16", "source: 10.1.0.1-10.1.0.9, protocol: icmp, icmp: 3/4, dscp: af41");
  const auto got = load(text);
  ASSERT_TRUE(got.config) << lines_of(got).front();
  const auto& child = got.config->tunnels[0].children[0];
  EXPECT_EQ(to_string(child.local.at(0)), "10.1.0.10-10.1.0.99");
  EXPECT_EQ(to_string(child.local.at(1)), "fd00::5-fd00::9");
  EXPECT_EQ(child.local_ports, (number_range{5060, 5080}));
  EXPECT_EQ(child.dscp, 1ull << 46 | 1ull << 40 | 1ull << 3);
  const auto& rule = got.config->policies[0];
  EXPECT_EQ(to_string(rule.source), "10.1.0.1-10.1.0.9");
  EXPECT_EQ(rule.icmp, "3/4");
  EXPECT_EQ(rule.dscp, 1ull << 34);
}

struct mistake {
  std::string text;
  strings diagnostics;
};

TEST(selectors, mistakes_are_named) {
  const mistake mistakes[] = {
      {edited(base, "local: [10.1.0.0/16]", "local: [10.1.0.9-10.1.0.1]"),
       {"13:17: error: tunnels.branch.children.net.local[0]: \"10.1.0.9-10.1.0.1\" does not go from a lower address to "
        "a "
        "higher one of the same IP version"}},
      {with_rule("icmp: echo-request"), {"20:96: error: policies[0].icmp: needs protocol icmp or ipv6-icmp"}},
      {with_rule("protocol: icmp, icmp: echo-requst"),
       {"20:112: error: policies[0].icmp: \"echo-requst\" is no type of ICMP message [did you mean "
        "\"echo-request\"?]"}},
      {with_rule("protocol: icmp, icmp: packet-too-big"),
       {"20:112: error: policies[0].icmp: there is no packet-too-big in ICMP"}},
      {with_rule("protocol: ipv6-icmp, icmp: redirect"), {}},
      {with_rule("dscp: [ef, best]"),
       {"20:101: error: policies[0].dscp[1]: \"best\" is no DSCP [ef, af31, cs5, or 0 to 63]"}},
      {with_rule("dscp: 64"), {"20:96: error: policies[0].dscp: \"64\" is no DSCP [ef, af31, cs5, or 0 to 63]"}},
      {with_child("        icmp: echo-reply\n"),
       {"15:15: error: tunnels.branch.children.net.icmp: needs protocol icmp or ipv6-icmp"}},
      {with_child("        protocol: tcp\n        local_port: 90-80\n"),
       {"16:21: error: tunnels.branch.children.net.local_port: \"90-80\" is no port or range of ports [443, or "
        "1024-65535]"}},
  };
  for (const auto& [text, diagnostics] : mistakes) EXPECT_EQ(lines_of(load(text)), diagnostics);
}

// RFC 4301 4.4.1: what two tunnels claim alike would go to one of them by chance of order; so it is refused.
TEST(selectors, two_peers_can_not_have_the_same) {
  const auto collides = [](const std::string& first, const std::string& second) {
    const auto lines = lines_of(load(with_sibling(first, second)));
    return std::ranges::any_of(lines, [](const auto& line) { return line.contains("but another peer"); });
  };
  EXPECT_TRUE(collides("", ""));
  EXPECT_TRUE(
      collides("        protocol: icmp\n        icmp: 8\n", "        protocol: icmp\n        icmp: echo-request\n"));
  EXPECT_TRUE(collides("        dscp: ef\n", "        dscp: [46]\n"));
  EXPECT_TRUE(
      collides("        protocol: udp\n        local_port: 5-5\n", "        protocol: udp\n        local_port: 5\n"));
  // These only overlap: the one that stands first has the packet.
  EXPECT_FALSE(collides("        dscp: ef\n", ""));
  EXPECT_FALSE(collides("        protocol: icmp\n        icmp: 8\n", "        protocol: icmp\n        icmp: 8/0\n"));
  EXPECT_FALSE(
      collides("        protocol: udp\n        local_port: 5-9\n", "        protocol: udp\n        local_port: 5-8\n"));
  auto ranges = edited(with_sibling("", ""), "local: [10.1.0.0/16]", "local: [10.1.0.0-10.1.255.255]");
  EXPECT_NE(lines_of(load(ranges)), strings{}) << "the same range, said as one";
  ranges = edited(with_sibling("", ""), "local: [10.1.0.0/16]", "local: [10.1.0.0-10.1.255.254]");
  EXPECT_EQ(lines_of(load(ranges)), strings{});
}

TEST(selectors, a_rule_that_covers_a_child_is_told_from_one_that_covers_a_part) {
  const auto warns = [](const std::string& child, const std::string& rule) {
    auto text = edited(with_child(child), "destination: 192.0.2.0/24", "destination: 10.2.0.0/16" + rule);
    return !lines_of(load(text)).empty();
  };
  EXPECT_TRUE(warns("", ""));
  EXPECT_FALSE(warns("", ", dscp: ef"));
  EXPECT_TRUE(warns("        dscp: ef\n", ", dscp: [ef, cs5]"));
  EXPECT_FALSE(warns("        dscp: [ef, af41]\n", ", dscp: [ef, cs5]"));
  EXPECT_FALSE(warns("        protocol: icmp\n", ", protocol: icmp, icmp: 8"));
  EXPECT_TRUE(warns("        protocol: icmp\n        icmp: 8/0\n", ", protocol: icmp, icmp: 8"));
  EXPECT_TRUE(warns("        protocol: udp\n        local_port: 10-20\n", ", protocol: udp, source_ports: 5-20"));
  EXPECT_FALSE(warns("        protocol: udp\n        local_port: 10-20\n", ", protocol: udp, source_ports: 5-19"));
}

}  // namespace
}  // namespace trunkgate
