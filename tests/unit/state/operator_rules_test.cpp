#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "dataplane/state/spd.hpp"
#include "tests/unit/state/test_eal.hpp"

namespace trunkgate {
namespace {

constexpr std::uint16_t any_index = 0xffff;
using rule = operator_rules::rule;

ip_address address_of(const flow_key& key, const std::array<std::uint8_t, 16>& bytes) {
  return ip_address::from_bytes(key.family, bytes.data());
}

// What a rule says, read field by field.
bool matches(const rule& r, const flow_key& key, std::uint16_t egress) {
  auto inside = [&](const ip_range& range, const ip_address& address) {
    return range.any() || range.contains(address);
  };
  const auto& record = r.record;
  if (r.from != any_index && r.from != key.ingress) return false;
  if (r.to != any_index && r.to != egress) return false;
  if (!inside(record.source, address_of(key, key.source))) return false;
  if (!inside(record.destination, address_of(key, key.destination))) return false;
  if (record.protocol >= 0 && record.protocol != key.protocol) return false;
  if (record.dscp != 0 && (record.dscp >> key.dscp & 1) == 0) return false;
  if (record.source_ports.any() && record.destination_ports.any()) return true;
  return key.has_ports != 0 && key.source_port >= record.source_ports.first &&
         key.source_port <= record.source_ports.last && key.destination_port >= record.destination_ports.first &&
         key.destination_port <= record.destination_ports.last;
}

struct randomness {
  std::mt19937 engine;
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(engine() % n); }
  ip_address address(bool v6) {
    ip_address out;
    out.family = v6 ? ip_family::v6 : ip_family::v4;
    for (unsigned i = 0; i < out.size(); ++i)
      out.bytes[i] = below(5) == 0 ? static_cast<std::uint8_t>(below(3) * 100) : 0;
    return out;
  }
  ip_range range(bool v6) {
    static constexpr std::uint8_t lengths[] = {0, 1, 8, 12, 16, 24, 32, 33, 48, 64, 96, 120, 127, 128};
    switch (below(3)) {
      case 0: return {};
      case 1: return ip_prefix{address(v6), lengths[below(v6 ? 14 : 7)]};
      default: break;
    }
    const auto one = address(v6), other = address(v6);
    return {std::min(one, other), std::max(one, other)};
  }
  std::uint64_t classes() { return below(3) != 0 ? 0 : std::uint64_t{engine()} << 32 | engine(); }
  api::port_range ports() {
    if (below(2) != 0) return {};
    const auto first = static_cast<std::uint16_t>(below(2) != 0 ? below(6) : 65530 + below(6));
    return {first, static_cast<std::uint16_t>(std::min(65535u, first + below(300)))};
  }
  std::uint16_t index() {
    const std::uint16_t indices[] = {0, 1, 2, 0xfffe};
    return indices[below(4)];
  }
  rule any_rule(std::size_t number) {
    rule out{};
    out.record.policy = api::name("rule" + std::to_string(number));
    const bool v6 = below(2) != 0;
    out.record.source = range(v6);
    out.record.destination = range(below(8) == 0 ? !v6 : v6);
    // Two ranges between far ends of IPv6 take more lines than one rule may.
    if (out.record.source.valid() && out.record.destination.valid() &&
        out.record.source.prefixes().size() * out.record.destination.prefixes().size() > 64)
      out.record.source = {};
    out.record.dscp = classes();
    out.record.protocol = below(2) != 0 ? static_cast<std::int16_t>(below(4)) : std::int16_t{-1};
    out.record.source_ports = ports();
    out.record.destination_ports = ports();
    out.from = below(2) != 0 ? any_index : index();
    out.to = below(2) != 0 ? any_index : index();
    return out;
  }
  flow_key key() {
    flow_key out;
    const bool v6 = below(2) != 0;
    out.source = address(v6).bytes;
    out.destination = address(v6).bytes;
    out.family = v6 ? ip_family::v6 : ip_family::v4;
    out.protocol = static_cast<std::uint8_t>(below(4));
    out.ingress = index();
    out.dscp = static_cast<std::uint8_t>(below(64));
    out.has_ports = below(4) != 0;
    if (out.has_ports != 0) {
      out.source_port = static_cast<std::uint16_t>(below(2) != 0 ? below(8) : 65528 + below(8));
      out.destination_port = static_cast<std::uint16_t>(below(2) != 0 ? below(8) : 65528 + below(8));
    }
    return out;
  }
};

class operator_rules_test : public testing::Test {
 protected:
  static void SetUpTestSuite() { test::start_eal(); }
};

TEST_F(operator_rules_test, an_empty_set_matches_nothing) {
  auto rules = operator_rules::build({}).value();
  randomness random{std::mt19937(1)};
  EXPECT_EQ(rules->match(random.key(), 0), nullptr);
}

TEST_F(operator_rules_test, answers_as_a_scan_from_the_first_rule_would) {
  randomness random{std::mt19937(21)};
  unsigned hits = 0, misses = 0;
  for (std::uint32_t round = 0; round < 60; ++round) {
    std::vector<rule> list;
    for (std::uint32_t i = 0; i < 1 + round; ++i) list.push_back(random.any_rule(i));
    auto built = operator_rules::build(list);
    ASSERT_TRUE(built) << built.error().reason;
    for (int i = 0; i < 500; ++i) {
      const flow_key key = random.key();
      const std::uint16_t egress = random.below(5) == 0 ? any_index : random.index();
      const auto wanted = std::ranges::find_if(list, [&](const rule& r) { return matches(r, key, egress); });
      const rule* found = (*built)->match(key, egress);
      ASSERT_EQ(found != nullptr, wanted != list.end()) << "round " << round;
      if (found != nullptr) {
        ASSERT_EQ(found->record.policy.view(), wanted->record.policy.view()) << "round " << round;
      }
      ++(found != nullptr ? hits : misses);
    }
  }
  EXPECT_GT(hits, 5000u);
  EXPECT_GT(misses, 1000u);
}

TEST_F(operator_rules_test, a_rule_with_ports_passes_later_fragments_by) {
  rule with_port{}, blind{};
  with_port.from = with_port.to = blind.from = blind.to = any_index;
  with_port.record.destination_ports = {0, 10};
  with_port.record.policy = api::name("with_port");
  blind.record.policy = api::name("blind");
  const rule list[] = {with_port, blind};
  auto rules = operator_rules::build(list).value();
  flow_key key;
  key.family = ip_family::v4;
  key.has_ports = 1;
  EXPECT_EQ(rules->match(key, 0)->record.policy.view(), "with_port");
  key.has_ports = 0;
  EXPECT_EQ(rules->match(key, 0)->record.policy.view(), "blind");
  key.family = ip_family::v6;  // a rule without addresses is for both families
  EXPECT_EQ(rules->match(key, 0)->record.policy.view(), "blind");
}

TEST_F(operator_rules_test, bits_behind_the_prefix_length_do_not_count) {
  rule r{};
  r.from = r.to = any_index;
  r.record.source = ip_range(parse_ip_prefix("10.1.2.3/16").value());
  auto rules = operator_rules::build({&r, 1}).value();
  flow_key key;
  key.family = ip_family::v4;
  key.source = {10, 1, 9, 9};
  EXPECT_NE(rules->match(key, any_index), nullptr);
  key.source = {10, 2, 2, 3};
  EXPECT_EQ(rules->match(key, any_index), nullptr);
}

TEST_F(operator_rules_test, a_set_is_built_while_another_is_in_use) {
  rule r{};
  r.from = r.to = any_index;
  auto first = operator_rules::build({&r, 1}).value();
  auto second = operator_rules::build({&r, 1}).value();
  flow_key key;
  key.family = ip_family::v4;
  first.reset();
  EXPECT_NE(second->match(key, any_index), nullptr);
}

TEST_F(operator_rules_test, names_the_rule_whose_ranges_take_too_many_lines) {
  rule list[2]{};
  list[0].from = list[0].to = list[1].from = list[1].to = any_index;
  list[1].record.policy = api::name("ragged");
  list[1].record.source = list[1].record.destination =
      parse_ip_range("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").value();
  auto built = operator_rules::build(list);
  ASSERT_FALSE(built);
  EXPECT_NE(built.error().reason.find("ragged: its ranges"), std::string::npos) << built.error().reason;
}

TEST_F(operator_rules_test, knows_whether_a_rule_names_ports) {
  rule r{};
  r.from = r.to = any_index;
  EXPECT_FALSE(operator_rules::build({&r, 1}).value()->names_ports());
  r.record.destination_ports = {80, 80};
  EXPECT_TRUE(operator_rules::build({&r, 1}).value()->names_ports());
}

TEST_F(operator_rules_test, names_the_rule_that_can_not_be_compiled) {
  rule list[2]{};
  list[0].from = list[0].to = list[1].from = list[1].to = any_index;
  list[1].record.policy = api::name("upside-down");
  list[1].record.source_ports = {200, 100};
  auto built = operator_rules::build(list);
  ASSERT_FALSE(built);
  EXPECT_NE(built.error().reason.find("upside-down"), std::string::npos) << built.error().reason;
}

}  // namespace
}  // namespace trunkgate
