// The operator's rules are built and swapped while packets flow: no worker waits for it, and each packet meets the old
// rules or the new ones.
#include <atomic>
#include <set>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/pipeline/traffic.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::size_t packets_per_swap = 5000, rule_count = 2000;
constexpr unsigned wanted_swaps = 6;

// UDP from 10.1.0.2 to 10.5.x.y passes by one of many rules, all but the last of them for other networks; `round`
// changes them all. What goes to port 9 is refused by the first one.
std::vector<operator_rules::rule> rules_of(unsigned round, counter* flows) {
  std::vector<operator_rules::rule> out;
  const auto add = [&](const api::policy_record& record) {
    out.push_back({.record = record, .from = no_port, .to = no_port, .flows = flows});
  };
  api::policy_record record;
  record.policy = api::name("first");
  record.protocol = 17;
  record.destination_ports = {9, 9};
  add(record);
  record = {};
  for (std::uint32_t i = 0; out.size() + 1 < rule_count; ++i) {
    record.policy = api::name("rule" + std::to_string(i));
    record.source = ip_prefix{ip_address::v4(0xac100000 + (i + round % 7) * 64), 26};
    record.destination = ip_range(ip_address::v4(0x0a300000 + i * 16), ip_address::v4(0x0a30000b + i * 16));
    record.destination_ports = {static_cast<std::uint16_t>(i), static_cast<std::uint16_t>(i + round % 5)};
    record.protocol = 6;
    add(record);
  }
  record = {};
  record.policy = api::name("last");
  record.source = parse_ip_range("10.1.0.0/16").value();
  record.destination = parse_ip_range("10.5.0.0/16").value();
  record.action = api::policy_action::bypass;
  add(record);
  return out;
}

TEST(rules_churn, no_packet_is_lost_or_judged_wrongly) {
  little_gateway gateway({.workers = 2});
  counter flows;
  auto current = operator_rules::build(rules_of(0, &flows)).value();
  gateway.tables().rules.store(current.get());
  ++gateway.tables().generation;
  gateway.workers().start();
  std::atomic<unsigned> swaps{0};
  std::thread control([&] {  // as the control thread does it
    while (swaps < wanted_swaps) {
      auto next = operator_rules::build(rules_of(swaps, &flows)).value();
      gateway.tables().rules.store(next.get(), std::memory_order_release);
      gateway.tables().generation.fetch_add(1, std::memory_order_release);
      gateway.rcu().retire(std::move(current));
      current = std::move(next);
      gateway.rcu().reclaim();
      ++swaps;
    }
  });
  const auto send = [&](std::size_t n) {
    const bool refused = n % 10 == 0;
    auto ip = between("10.1.0.2", "10.5.0.3");
    ip.destination = ip_address::v4(0x0a050000 + static_cast<std::uint32_t>(n % 5000));
    gateway.receive(inside, udp_packet(ip, 5000, refused ? 9 : 6000, be(n, 8)), n % 2);
  };
  std::set<std::uint64_t> numbers;
  const auto arrived = [&](const bytes& frame) {
    const auto number = read_be(frame, 14 + 28, 8);
    EXPECT_NE(number % 10, 0u) << "passed, though a rule refuses it";
    EXPECT_TRUE(numbers.insert(number).second);
  };
  std::size_t packets = 0, out = 0;
  while (swaps < wanted_swaps || packets == 0) {
    out += run_through(gateway, outside, packets_per_swap, [&](std::size_t n) { send(packets + n); }, arrived);
    packets += packets_per_swap;
  }
  control.join();
  gateway.workers().stop();
  EXPECT_EQ(out, packets - packets / 10);
  EXPECT_EQ(numbers.size(), out);
  EXPECT_EQ(gateway.drops(drop_reason::policy_discard), packets / 10);
  EXPECT_EQ(gateway.all_drops(), packets / 10);
  gateway.tables().rules.store(nullptr);
}

}  // namespace
}  // namespace trunkgate
