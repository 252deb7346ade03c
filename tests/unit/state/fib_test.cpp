#include "dataplane/state/fib.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <tuple>

#include <gtest/gtest.h>

#include "dataplane/state/rcu.hpp"
#include "tests/unit/state/test_eal.hpp"

namespace trunkgate {
namespace {

constexpr std::array<std::uint8_t, 6> some_mac{2, 1, 2, 3, 4, 5};

ip_address address(const char* text) { return parse_ip_address(text).value(); }
ip_prefix prefix(const char* text) { return parse_ip_prefix(text).value(); }

class fib_test : public testing::Test {
 protected:
  static void SetUpTestSuite() { test::start_eal(); }
  void SetUp() override {
    rcu_ = rcu_domain::make(2).value();
    auto made = fib::make(*rcu_, generation_);
    ASSERT_TRUE(made) << made.error().reason;
    fib_ = std::move(*made);
  }
  void add(const char* destination, std::uint16_t port, const char* gateway = nullptr, std::uint32_t metric = 0) {
    const fib::next_hop hop{port, gateway != nullptr ? address(gateway) : ip_address{}};
    ASSERT_TRUE(fib_->add_route(prefix(destination), route_verdict::forward, metric, {&hop, 1}));
  }
  void remove(const char* destination, std::uint32_t metric = 0) {
    fib_->remove_route(prefix(destination), route_verdict::forward, metric);
  }
  std::uint16_t port_to(const char* destination) { return fib_->lookup(address(destination), 0).port; }
  route_verdict verdict_of(const char* destination) { return fib_->lookup(address(destination), 0).verdict; }

  std::atomic<std::uint32_t> generation_{1};
  std::unique_ptr<rcu_domain> rcu_;
  std::unique_ptr<fib> fib_;
};

TEST_F(fib_test, without_routes_there_is_none) {
  EXPECT_EQ(verdict_of("10.0.0.1"), route_verdict::none);
  EXPECT_EQ(verdict_of("2001:db8::1"), route_verdict::none);
  EXPECT_EQ(fib_->lookup({}, 0).verdict, route_verdict::none);
}

TEST_F(fib_test, multicast_and_broadcast_need_no_route) {
  add("0.0.0.0/0", 1);
  add("::/0", 1);
  fib_->commit();
  for (const char* text : {"224.0.0.5", "239.1.1.1", "255.255.255.255", "ff02::1"})
    EXPECT_EQ(verdict_of(text), route_verdict::multicast) << text;
}

TEST_F(fib_test, the_longest_prefix_wins_in_both_families) {
  add("0.0.0.0/0", 1);
  add("10.0.0.0/8", 2);
  add("10.1.2.0/25", 3);
  add("10.1.2.3/32", 4);
  add("::/0", 5);
  add("2001:db8::/32", 6);
  add("2001:db8::1/128", 7);
  fib_->commit();
  EXPECT_EQ(port_to("11.0.0.1"), 1);
  EXPECT_EQ(port_to("10.1.2.200"), 2);
  EXPECT_EQ(port_to("10.1.2.4"), 3);
  EXPECT_EQ(port_to("10.1.2.3"), 4);
  EXPECT_EQ(port_to("2002::1"), 5);
  EXPECT_EQ(port_to("2001:db8::2"), 6);
  EXPECT_EQ(port_to("2001:db8::1"), 7);
}

TEST_F(fib_test, the_lowest_metric_counts_and_its_removal_uncovers_the_next) {
  for (const auto& [destination, inside] : {std::pair{"10.0.0.0/8", "10.0.0.1"}, {"2001:db8::/32", "2001:db8::1"}}) {
    add(destination, 2, nullptr, 20);
    add(destination, 1, nullptr, 10);
    add(destination, 3, nullptr, 30);
    fib_->commit();
    EXPECT_EQ(port_to(inside), 1);
    remove(destination, 10);
    remove(destination, 11);  // was never there
    fib_->commit();
    EXPECT_EQ(port_to(inside), 2);
    add(destination, 4, nullptr, 20);  // the same route with another next hop
    fib_->commit();
    EXPECT_EQ(port_to(inside), 4);
    remove(destination, 20);
    remove(destination, 30);
    fib_->commit();
    EXPECT_EQ(verdict_of(inside), route_verdict::none);
  }
}

TEST_F(fib_test, verdicts_come_back) {
  ASSERT_TRUE(fib_->add_route(prefix("10.1.0.1/32"), route_verdict::local, 0, {}));
  ASSERT_TRUE(fib_->add_route(prefix("10.1.255.255/32"), route_verdict::multicast, 0, {}));
  ASSERT_TRUE(fib_->add_route(prefix("10.9.0.0/16"), route_verdict::unreachable, 0, {}));
  ASSERT_TRUE(fib_->add_route(prefix("2001:db8::1/128"), route_verdict::local, 0, {}));
  add("10.9.0.0/16", 1);  // of the same metric: a way out counts more than none
  fib_->commit();
  EXPECT_EQ(verdict_of("10.1.0.1"), route_verdict::local);
  EXPECT_EQ(verdict_of("10.1.255.255"), route_verdict::multicast);
  EXPECT_EQ(verdict_of("2001:db8::1"), route_verdict::local);
  EXPECT_EQ(verdict_of("10.9.0.1"), route_verdict::unresolved);
  remove("10.9.0.0/16");
  fib_->commit();
  EXPECT_EQ(verdict_of("10.9.0.1"), route_verdict::unreachable);
}

TEST_F(fib_test, refuses_routes_that_make_no_sense) {
  const fib::next_hop hop{1, {}};
  EXPECT_FALSE(fib_->add_route(prefix("10.0.0.0/8"), route_verdict::forward, 0, {}));
  EXPECT_FALSE(fib_->add_route(prefix("10.0.0.0/8"), route_verdict::local, 0, {&hop, 1}));
  EXPECT_FALSE(fib_->add_route({}, route_verdict::forward, 0, {&hop, 1}));
  EXPECT_FALSE(fib_->add_route({address("10.0.0.0"), 33}, route_verdict::forward, 0, {&hop, 1}));
}

TEST_F(fib_test, a_gateway_is_one_object_for_all_routes_and_is_updated_in_place) {
  add("0.0.0.0/0", 1, "192.0.2.1");
  add("10.0.0.0/8", 1, "192.0.2.1", 5);
  fib_->commit();
  const auto before = fib_->lookup(address("8.8.8.8"), 0);
  ASSERT_EQ(before.verdict, route_verdict::forward);
  ASSERT_NE(before.next_hop, nullptr);
  EXPECT_FALSE(before.next_hop->usable());
  EXPECT_EQ(fib_->lookup(address("10.0.0.1"), 0).next_hop, before.next_hop);
  const auto generation = generation_.load();
  EXPECT_EQ(fib_->set_neighbour(1, address("192.0.2.1"), some_mac, true, false), before.next_hop);
  EXPECT_EQ(generation_.load(), generation);  // no flow is to be looked up again
  EXPECT_TRUE(before.next_hop->usable());
  EXPECT_EQ(before.next_hop->mac_and_state.load() & 0xffffffffffff, 0x050403020102u);
  fib_->set_neighbour(1, address("192.0.2.1"), some_mac, false, true);
  EXPECT_FALSE(before.next_hop->usable());
  EXPECT_NE(before.next_hop->mac_and_state.load() & adjacency::failed_bit, 0u);
}

TEST_F(fib_test, a_connected_destination_is_unresolved_until_its_neighbour_is_known) {
  add("192.0.2.0/24", 3);
  fib_->commit();
  const auto before = fib_->lookup(address("192.0.2.9"), 0);
  EXPECT_EQ(before.verdict, route_verdict::unresolved);
  EXPECT_EQ(before.port, 3);
  const auto generation = generation_.load();
  fib_->set_neighbour(4, address("192.0.2.9"), some_mac, true, false);  // on another port
  EXPECT_EQ(verdict_of("192.0.2.9"), route_verdict::unresolved);
  auto* made = fib_->set_neighbour(3, address("192.0.2.9"), some_mac, true, false);
  EXPECT_GT(generation_.load(), generation);
  EXPECT_EQ(fib_->lookup(address("192.0.2.9"), 0).next_hop, made);
  EXPECT_EQ(verdict_of("192.0.2.9"), route_verdict::forward);
}

TEST_F(fib_test, equal_cost_next_hops_share_by_hash_and_each_hash_stays) {
  const fib::next_hop hops[] = {{1, address("192.0.2.1")}, {2, address("192.0.3.1")}, {3, address("192.0.4.1")}};
  ASSERT_TRUE(fib_->add_route(prefix("10.0.0.0/8"), route_verdict::forward, 0, hops));
  fib_->commit();
  std::mt19937 random(5);
  std::map<std::uint16_t, unsigned> count;
  for (int i = 0; i < 3000; ++i) {
    const auto hash = static_cast<std::uint32_t>(random());
    const auto one = fib_->lookup(address("10.0.0.1"), hash);
    EXPECT_EQ(one.next_hop, fib_->lookup(address("10.0.0.2"), hash).next_hop);
    ++count[one.port];
  }
  for (std::uint16_t port : {1, 2, 3}) EXPECT_NEAR(count[port], 1000, 200);
  EXPECT_EQ(fib_->lookup(address("10.0.0.1"), 0xffffffff).port, 3);
}

TEST_F(fib_test, a_removed_port_takes_its_routes_and_neighbours_along) {
  const fib::next_hop hops[] = {{1, address("192.0.2.1")}, {2, address("192.0.3.1")}};
  ASSERT_TRUE(fib_->add_route(prefix("10.0.0.0/8"), route_verdict::forward, 0, hops));
  add("192.0.3.0/24", 2);
  add("2001:db8::/64", 2);
  add("172.16.0.0/12", 2, "192.0.3.1", 1);
  add("172.16.0.0/12", 1, "192.0.2.1", 9);
  auto* gone = fib_->set_neighbour(2, address("192.0.3.1"), some_mac, true, false);
  fib_->commit();
  const auto generation = generation_.load();
  fib_->remove_port(2);
  EXPECT_GT(generation_.load(), generation);
  EXPECT_FALSE(gone->usable());
  for (std::uint32_t hash : {0u, 0xffffffffu}) EXPECT_EQ(fib_->lookup(address("10.0.0.1"), hash).port, 1);
  EXPECT_EQ(verdict_of("192.0.3.1"), route_verdict::none);
  EXPECT_EQ(verdict_of("2001:db8::1"), route_verdict::none);
  EXPECT_EQ(port_to("172.16.0.1"), 1);
  fib_->each_adjacency([](adjacency& at) { EXPECT_EQ(at.port, 1); });
  EXPECT_EQ(fib_->set_neighbour(2, address("192.0.3.1"), some_mac, true, false), gone);  // the port is back
}

TEST_F(fib_test, shows_the_routes_in_use) {
  add("10.0.0.0/8", 1, "192.0.2.1", 5);
  add("10.0.0.0/8", 2, "192.0.3.1", 9);
  ASSERT_TRUE(fib_->add_route(prefix("192.0.2.7/32"), route_verdict::local, 0, {}));
  fib_->set_neighbour(1, address("192.0.2.1"), some_mac, true, false);
  fib_->commit();
  std::map<std::string, api::route_status> seen;
  fib_->each_route([&](const api::route_status& r) { seen[to_string(r.destination)] = r; },
                   [](std::uint16_t port) { return "port" + std::to_string(port); });
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen["10.0.0.0/8"].port.view(), "port1");
  EXPECT_EQ(seen["10.0.0.0/8"].via, address("192.0.2.1"));
  EXPECT_EQ(seen["10.0.0.0/8"].resolved, 1);
  EXPECT_EQ(seen["10.0.0.0/8"].neighbour_mac, some_mac);
  EXPECT_EQ(seen["192.0.2.7/32"].kind, api::route_kind::local);
}

TEST_F(fib_test, answers_as_a_scan_over_all_routes_would) {
  using identity = std::tuple<ip_prefix, std::uint32_t>;  // with the metric
  std::map<identity, std::uint16_t> model;                // to the port
  std::mt19937 random(31);
  auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  auto some_address = [&](bool v6) {
    ip_address out;
    out.family = v6 ? ip_family::v6 : ip_family::v4;
    for (unsigned i = 0; i < out.size(); ++i) out.bytes[i] = below(5) == 0 ? static_cast<std::uint8_t>(below(4)) : 0;
    return out;
  };
  auto expected = [&](const ip_address& destination) {
    const std::pair<const identity, std::uint16_t>* best = nullptr;
    for (const auto& at : model) {
      const auto& [where, metric] = at.first;
      if (!where.contains(destination)) continue;
      if (best == nullptr || where.length > std::get<0>(best->first).length ||
          (where.length == std::get<0>(best->first).length && metric < std::get<1>(best->first)))
        best = &at;
    }
    return best == nullptr ? std::uint16_t{0xffff} : best->second;
  };
  unsigned hits = 0;
  for (int round = 0; round < 150; ++round) {
    for (int i = 0; i < 20; ++i) {
      const bool v6 = below(2) != 0;
      const ip_prefix where = ip_prefix{some_address(v6), static_cast<std::uint8_t>(below(v6 ? 129 : 33))}.masked();
      const std::uint32_t metric = below(3);
      if (model.size() > 200 || below(3) == 0) {
        if (model.empty()) continue;
        auto victim = model.begin();
        std::advance(victim, below(static_cast<std::uint32_t>(model.size())));
        const auto [old, old_metric] = victim->first;
        fib_->remove_route(old, route_verdict::forward, old_metric);
        model.erase(victim);
      } else {
        const fib::next_hop hop{static_cast<std::uint16_t>(below(300)), {}};
        ASSERT_TRUE(fib_->add_route(where, route_verdict::forward, metric, {&hop, 1}));
        model[{where, metric}] = hop.port;
      }
    }
    fib_->commit();
    for (int i = 0; i < 200; ++i) {
      const ip_address destination = some_address(below(2) != 0);
      const auto answer = fib_->lookup(destination, 0);
      ASSERT_EQ(answer.port, expected(destination)) << to_string(destination) << " in round " << round;
      hits += answer.verdict == route_verdict::unresolved;
    }
  }
  EXPECT_GT(hits, 5000u);
}

TEST_F(fib_test, numbers_of_next_hop_groups_come_back) {
  for (std::uint32_t port = 0; port < 40000; ++port) {  // more than the tables can number at once
    const fib::next_hop hop{static_cast<std::uint16_t>(port), {}};
    ASSERT_TRUE(fib_->add_route(prefix("10.0.0.0/24"), route_verdict::forward, 0, {&hop, 1})) << port;
    if (port % 100 == 0) fib_->commit();
  }
  fib_->commit();
  EXPECT_EQ(port_to("10.0.0.1"), 39999);
}

// A reader always gets an answer that was right at some time, while routes and whole tables change under it.
TEST_F(fib_test, changes_never_disturb_a_reader) {
  add("0.0.0.0/0", 1);
  add("::/0", 1);
  fib_->commit();
  std::atomic<bool> stop{false}, online{false};
  std::size_t wrong = 0;
  std::thread reader([&] {
    const ip_address v4 = address("10.1.2.3"), v6 = address("2001:db8::1");
    rcu_->online(0);
    online = true;
    while (!stop.load(std::memory_order_relaxed)) {
      for (const ip_address& destination : {v4, v6}) {
        const auto answer = fib_->lookup(destination, 0);
        if (answer.verdict != route_verdict::unresolved || answer.port < 1 || answer.port > 3) ++wrong;
      }
      rcu_->quiescent(0);
    }
    rcu_->offline(0);
  });
  while (!online) std::this_thread::yield();
  for (int step = 0; step < 1000; ++step) {
    add("10.1.2.0/25", 2);
    add("2001:db8::/32", 2);
    fib_->commit();
    add("10.1.2.0/28", 3);
    add("2001:db8::/64", 3);
    remove("10.1.2.0/25");
    remove("2001:db8::/32");
    fib_->commit();
    remove("10.1.2.0/28");
    remove("2001:db8::/64");
    fib_->commit();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace trunkgate
