#include <atomic>
#include <chrono>
#include <cstdio>
#include <deque>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "dataplane/state/rcu.hpp"
#include "dataplane/state/spd.hpp"

namespace trunkgate {
namespace {

// The table never looks into an SA.
outbound_sa* fake_sa(std::uintptr_t number) { return reinterpret_cast<outbound_sa*>(number * 64); }

ip_prefix prefix(const char* text) { return parse_ip_prefix(text).value(); }

api::sa_record record_of(const char* local, const char* remote, std::uint32_t order = 0) {
  api::sa_record record;
  record.local_count = record.remote_count = 1;
  record.local_ranges[0] = prefix(local);
  record.remote_ranges[0] = prefix(remote);
  record.order = order;
  return record;
}

flow_key flow(const char* source, const char* destination, std::uint8_t protocol = 17, std::uint16_t source_port = 1000,
              std::uint16_t destination_port = 2000) {
  const ip_address from = parse_ip_address(source).value(), to = parse_ip_address(destination).value();
  flow_key key;
  key.source = from.bytes;
  key.destination = to.bytes;
  key.family = from.family;
  key.protocol = protocol;
  key.has_ports = 1;
  key.source_port = source_port;
  key.destination_port = destination_port;
  return key;
}

// The straightforward reading of a selector, as RFC 4301 4.4.1.1 puts it.
bool covers(const api::sa_record& record, const flow_key& key) {
  const auto source = ip_address::from_bytes(key.family, key.source.data());
  const auto destination = ip_address::from_bytes(key.family, key.destination.data());
  bool inside = false;
  for (unsigned l = 0; l < record.local_count; ++l)
    for (unsigned r = 0; r < record.remote_count; ++r)
      inside |= record.local_ranges[l].contains(source) && record.remote_ranges[r].contains(destination);
  if (!inside || (record.protocol >= 0 && record.protocol != key.protocol)) return false;
  if (record.dscp != 0 && key.dscp != any_dscp && (record.dscp >> key.dscp & 1) == 0) return false;
  if (record.local_ports.any() && record.remote_ports.any()) return true;
  return key.has_ports != 0 && key.source_port >= record.local_ports.first &&
         key.source_port <= record.local_ports.last && key.destination_port >= record.remote_ports.first &&
         key.destination_port <= record.remote_ports.last;
}

struct randomness {
  std::mt19937 engine;
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(engine() % n); }

  ip_address address(bool v6) {  // few different ones, so that things meet
    ip_address out;
    out.family = v6 ? ip_family::v6 : ip_family::v4;
    out.bytes[0] = v6 ? 0x20 : 10;
    for (unsigned i = 1; i < out.size(); ++i) out.bytes[i] = below(6) == 0 ? static_cast<std::uint8_t>(below(3)) : 0;
    return out;
  }
  ip_prefix prefix(bool v6) {
    static constexpr std::uint8_t lengths[] = {0, 8, 16, 17, 24, 31, 32, 48, 64, 127, 128};
    return {address(v6), lengths[below(v6 ? 11 : 7)]};
  }
  ip_range range(bool v6) {
    if (below(2) != 0) return prefix(v6);
    const auto one = address(v6), other = address(v6);
    return {std::min(one, other), std::max(one, other)};
  }
  api::port_range ports() {
    const auto first = static_cast<std::uint16_t>(below(5));
    switch (below(4)) {
      case 0: return {first, first};
      case 1: return {first, static_cast<std::uint16_t>(first + below(4))};
      default: return {};
    }
  }
  api::sa_record record() {
    api::sa_record out;
    out.local_count = static_cast<std::uint16_t>(1 + below(2));
    out.remote_count = static_cast<std::uint16_t>(1 + below(2));
    for (unsigned i = 0; i < out.local_count; ++i) out.local_ranges[i] = range(below(2) != 0);
    for (unsigned i = 0; i < out.remote_count; ++i) out.remote_ranges[i] = range(below(2) != 0);
    out.protocol = below(2) != 0 ? static_cast<std::int16_t>(below(3)) : std::int16_t{-1};
    out.local_ports = ports();
    out.remote_ports = ports();
    out.order = below(4);
    if (below(3) == 0) out.dscp = 1ull << below(3) | 1ull << 63;
    return out;
  }
  flow_key key() {
    flow_key out;
    const bool v6 = below(2) != 0;
    out.source = address(v6).bytes;
    out.destination = address(v6).bytes;
    out.family = v6 ? ip_family::v6 : ip_family::v4;
    out.protocol = static_cast<std::uint8_t>(below(3));
    out.has_ports = below(4) != 0;
    out.dscp = static_cast<std::uint8_t>(below(3));
    if (out.has_ports != 0) {
      out.source_port = static_cast<std::uint16_t>(below(8));
      out.destination_port = static_cast<std::uint16_t>(below(8));
    }
    return out;
  }
};

TEST(selector_table, answers_as_a_scan_over_all_selectors_would) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  struct entry {
    api::sa_record record;
    outbound_sa* sa;
  };
  std::deque<entry> model;  // newest last
  randomness random{std::mt19937(11)};
  std::uintptr_t next = 1;
  unsigned hits = 0;
  for (int step = 0; step < 3000; ++step) {
    if (model.size() < 40 || (model.size() < 120 && random.below(2) != 0)) {
      model.push_back({random.record(), fake_sa(next++)});
      table->add(model.back().record, model.back().sa);
    } else {
      const auto victim = model.begin() + random.below(static_cast<std::uint32_t>(model.size()));
      table->remove(victim->record, victim->sa);
      model.erase(victim);
    }
    for (int i = 0; i < 20; ++i) {
      const flow_key key = random.key();
      const entry* best = nullptr;
      for (const entry& at : model)
        if (covers(at.record, key) && (best == nullptr || at.record.order <= best->record.order)) best = &at;
      ASSERT_EQ(table->match(key), best == nullptr ? nullptr : best->sa) << "step " << step;
      hits += best != nullptr;
    }
    if (step % 50 == 0) rcu->reclaim();
  }
  EXPECT_GT(hits, 1000u);
  for (const entry& at : model) table->remove(at.record, at.sa);
  EXPECT_EQ(table->size(), 0u);
  EXPECT_EQ(table->match(random.key()), nullptr);
}

TEST(selector_table, the_rekeyed_sa_replaces_its_elder_and_goes_alone) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  const auto record = record_of("10.1.0.0/16", "10.2.0.0/16");
  const flow_key key = flow("10.1.0.1", "10.2.0.1");
  table->add(record, fake_sa(1));
  table->add(record, fake_sa(2));
  EXPECT_EQ(table->match(key), fake_sa(2));
  table->remove(record, fake_sa(3));  // was never there
  EXPECT_EQ(table->size(), 2u);
  table->remove(record, fake_sa(2));
  EXPECT_EQ(table->match(key), fake_sa(1));
  table->add(record, fake_sa(4));
  table->remove(record, fake_sa(1));
  EXPECT_EQ(table->match(key), fake_sa(4));
}

TEST(selector_table, order_beats_age_and_length) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  table->add(record_of("10.0.0.0/8", "0.0.0.0/0", 1), fake_sa(1));
  table->add(record_of("10.1.0.0/16", "10.2.0.0/16", 2), fake_sa(2));
  EXPECT_EQ(table->match(flow("10.1.0.1", "10.2.0.1")), fake_sa(1));
  EXPECT_EQ(table->match(flow("11.1.0.1", "10.2.0.1")), nullptr);
}

TEST(selector_table, the_class_picks_among_siblings_and_order_decides) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  auto voice = record_of("10.1.0.0/16", "10.2.0.0/16", 1);
  voice.dscp = 1ull << 46;
  table->add(voice, fake_sa(1));
  table->add(record_of("10.1.0.0/16", "10.2.0.0/16", 2), fake_sa(2));
  flow_key key = flow("10.1.0.1", "10.2.0.1");
  EXPECT_EQ(table->match(key), fake_sa(2));
  key.dscp = 46;
  EXPECT_EQ(table->match(key), fake_sa(1));
  auto first = voice;
  first.order = 0;
  first.dscp = 0;
  table->add(first, fake_sa(3));
  EXPECT_EQ(table->match(key), fake_sa(3)) << "the sibling without a class stands first";
  // Seen from the other end, a flow is of no known class.
  EXPECT_EQ(flow("10.2.0.1", "10.1.0.1").reversed().dscp, any_dscp);
}

TEST(selector_table, a_later_fragment_meets_no_port) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  auto record = record_of("10.1.0.0/16", "10.2.0.0/16");
  record.remote_ports = {0, 0};  // port 0 is what such a key carries
  table->add(record, fake_sa(1));
  flow_key key = flow("10.1.0.1", "10.2.0.1", 17, 0, 0);
  EXPECT_EQ(table->match(key), fake_sa(1));
  key.has_ports = 0;
  EXPECT_EQ(table->match(key), nullptr);
}

TEST(selector_table, one_more_at_100000_is_cheap) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  auto numbered = [](std::uint32_t n) {
    auto record = record_of("10.0.0.0/8", "0.0.0.0/0", n);
    record.remote_ranges[0] = ip_prefix{ip_address::v4(0xac000000u + n * 256), 24};
    return record;
  };
  constexpr std::uint32_t present = 100000, more = 1000;
  for (std::uint32_t n = 0; n < present; ++n) table->add(numbered(n), fake_sa(n + 1));
  rcu->reclaim();
  std::vector<api::sa_record> records;
  for (std::uint32_t n = 0; n < more; ++n) records.push_back(numbered(present + n));
  const auto start = std::chrono::steady_clock::now();
  for (std::uint32_t n = 0; n < more; ++n) table->add(records[n], fake_sa(present + n + 1));
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
  std::printf("             adding one selector among %u took %.2f us\n", present, took.count() / more);
  EXPECT_LT(took.count() / more, 500);  // 50 at most on a machine of one's own
  EXPECT_EQ(table->size(), present + more);
  flow_key key = flow("10.0.0.1", "172.0.0.1");
  EXPECT_EQ(table->match(key), fake_sa(1));
}

// A reader always finds the selector that stays, whichever of its rivals come and go.
TEST(selector_table, changes_never_disturb_a_reader) {
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  const auto stays = record_of("10.1.0.0/16", "10.2.0.0/16", 0);
  table->add(stays, fake_sa(1));
  std::atomic<bool> stop{false}, online{false};
  std::size_t wrong = 0, strange = 0;
  std::thread reader([&] {
    const flow_key fixed = flow("10.1.0.1", "10.2.0.1"), changing = flow("10.3.0.1", "10.2.0.1");
    rcu->online(0);
    online = true;
    while (!stop.load(std::memory_order_relaxed)) {
      if (table->match(fixed) != fake_sa(1)) ++wrong;
      outbound_sa* other = table->match(changing);
      if (other != nullptr && other != fake_sa(2) && other != fake_sa(3)) ++strange;
      rcu->quiescent(0);
    }
    rcu->offline(0);
  });
  while (!online) std::this_thread::yield();
  const auto same_key = record_of("10.1.0.0/16", "10.2.0.0/16", 5);
  const auto comes = record_of("10.3.0.0/16", "10.2.0.0/16", 1);
  const auto tuple = record_of("10.3.0.0/17", "10.2.0.0/16", 2);
  for (int step = 0; step < 20000; ++step) {
    table->add(same_key, fake_sa(9));
    table->add(comes, fake_sa(2));
    table->add(tuple, fake_sa(3));
    table->remove(comes, fake_sa(2));
    table->remove(same_key, fake_sa(9));
    table->remove(tuple, fake_sa(3));
    if (step % 8 == 0) rcu->reclaim();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(strange, 0u);
}

TEST(selectors_allow, agrees_with_the_straightforward_reading) {
  randomness random{std::mt19937(12)};
  unsigned allowed = 0;
  for (int i = 0; i < 50000; ++i) {
    const auto record = random.record();
    const flow_key key = random.key();
    // The SA's inner packet comes from the remote side: seen from here it is the reverse of a packet that we protect.
    ASSERT_EQ(selectors_allow(record, key), covers(record, key.reversed()));  // of any class
    allowed += selectors_allow(record, key);
  }
  EXPECT_GT(allowed, 1000u);
}

TEST(selectors_allow, a_later_fragment_only_where_ports_are_any) {
  auto record = record_of("10.1.0.0/16", "10.2.0.0/16");
  flow_key key = flow("10.2.0.1", "10.1.0.1", 17, 0, 0);
  key.has_ports = 0;
  EXPECT_TRUE(selectors_allow(record, key));
  record.local_ports = {0, 100};
  EXPECT_FALSE(selectors_allow(record, key));
}

// The table never looks into a trap.
trap* fake_trap(std::uintptr_t number) { return reinterpret_cast<trap*>(number * 64); }

TEST(selector_table, a_trap_takes_what_no_sa_of_its_order_does) {
  auto rcu = rcu_domain::make(1).value();
  const auto table = selector_table::make(*rcu);
  const auto child = record_of("10.1.0.0/16", "10.2.0.0/16", 3);
  const auto packet = flow("10.1.0.1", "10.2.0.1");
  table->add(child, fake_trap(1));
  EXPECT_EQ(table->find(packet), protection{.demanded = fake_trap(1)});
  EXPECT_EQ(table->match(packet), nullptr);
  table->add(child, fake_sa(1));
  EXPECT_EQ(table->find(packet), protection{.sa = fake_sa(1)});
  // One that was negotiated for less leaves the rest to the trap.
  table->remove(child, fake_sa(1));
  table->add(record_of("10.1.0.0/16", "10.2.0.0/24", 3), fake_sa(2));
  EXPECT_EQ(table->find(packet).sa, fake_sa(2));
  EXPECT_EQ(table->find(flow("10.1.0.1", "10.2.1.1")).demanded, fake_trap(1));
  // An SA of a child behind it does not stand in for it; the child in front does.
  table->add(record_of("10.1.0.0/16", "10.2.0.0/15", 4), fake_sa(4));
  EXPECT_EQ(table->find(flow("10.1.0.1", "10.2.1.1")).demanded, fake_trap(1));
  EXPECT_EQ(table->find(flow("10.1.0.1", "10.3.1.1")).sa, fake_sa(4));
  table->add(record_of("10.1.0.0/16", "10.2.0.0/15", 2), fake_sa(5));
  EXPECT_EQ(table->find(flow("10.1.0.1", "10.2.1.1")).sa, fake_sa(5));
  table->remove(child, fake_trap(1));
  table->remove(record_of("10.1.0.0/16", "10.2.0.0/15", 2), fake_sa(5));
  EXPECT_EQ(table->find(flow("10.1.0.1", "10.2.1.1")).sa, fake_sa(4));
  EXPECT_EQ(table->size(), 2u);
}

TEST(selector_table, an_sa_keeps_its_age_where_it_is_put_again) {
  auto rcu = rcu_domain::make(1).value();
  const auto table = selector_table::make(*rcu);
  const auto child = record_of("10.1.0.0/16", "10.2.0.0/16");
  const auto packet = flow("10.1.0.1", "10.2.0.1");
  table->add(child, fake_sa(1), {.age = 10});
  table->add(child, fake_sa(2), {.age = 11});
  EXPECT_EQ(table->match(packet), fake_sa(2));
  table->remove(child, fake_sa(1));
  table->add(child, fake_sa(1), {.age = 10});
  EXPECT_EQ(table->match(packet), fake_sa(2)) << "it has moved, and is still the elder";
  table->add(child, fake_sa(3));
  EXPECT_EQ(table->match(packet), fake_sa(3)) << "without an age it is the youngest";
  table->remove(child, fake_sa(3));
  table->remove(child, fake_sa(2));
  EXPECT_EQ(table->match(packet), fake_sa(1));
}

// RFC 9611: its own, then anybody's, then any other.
TEST(selector_table, a_worker_takes_its_own_sa_first) {
  auto rcu = rcu_domain::make(1).value();
  const auto table = selector_table::make(*rcu);
  const auto child = record_of("10.1.0.0/16", "10.2.0.0/16");
  const auto packet = flow("10.1.0.1", "10.2.0.1");
  table->add(child, fake_trap(1));
  table->add(child, fake_sa(1), {.worker = 1});
  EXPECT_EQ(table->find(packet, 0).sa, fake_sa(1));
  table->add(child, fake_sa(2));
  table->add(child, fake_sa(3), {.worker = 0});
  EXPECT_EQ(table->find(packet, 0).sa, fake_sa(3));
  EXPECT_EQ(table->find(packet, 1).sa, fake_sa(1));
  EXPECT_EQ(table->find(packet, 2).sa, fake_sa(2));
  table->add(child, fake_sa(4), {.worker = 1});
  EXPECT_EQ(table->find(packet, 1).sa, fake_sa(4)) << "rekeyed";
  table->add(record_of("10.1.0.0/16", "10.2.0.0/16", 1), fake_sa(5), {.worker = 2});
  EXPECT_EQ(table->find(packet, 2).sa, fake_sa(2)) << "the order comes first";
}

}  // namespace
}  // namespace trunkgate
