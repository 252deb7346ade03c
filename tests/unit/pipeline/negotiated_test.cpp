// Negotiated SAs over time: rekeyed, moved, kept when the configuration is replaced, and standing where their child
// stands.
#include <gtest/gtest.h>

#include "dataplane/main/sa_set.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class negotiated : public testing::Test {
 protected:
  static api::sa_record record(api::sa_direction direction, std::uint32_t spi, std::uint32_t pair) {
    auto out = sa_between(direction, esp_suite::aes256gcm16, spi);
    out.pair = pair;
    out.tunnel = api::name("branch");
    out.child = api::name("lan");
    out.key[0] = static_cast<std::uint8_t>(spi);
    return out;
  }
  static api::sa_record outbound(std::uint32_t pair) {
    return record(api::sa_direction::outbound, pair + 0x100000, pair);
  }
  static api::sa_record inbound(std::uint32_t pair) { return record(api::sa_direction::inbound, pair, pair); }

  struct batch {
    std::deque<api::sa_record> sas{};
    std::vector<api::sa_record> removed{};
    std::vector<api::move_record> moved{};
    std::optional<std::vector<api::port_record>> replaced_by{};
  };
  result<void> change(batch wanted) {
    auto prepared = sas_.prepare({.sas = wanted.sas,
                                  .removed = wanted.removed,
                                  .moved = wanted.moved,
                                  .replaced_by = wanted.replaced_by ? &*wanted.replaced_by : nullptr});
    if (!prepared) return std::unexpected(prepared.error());
    sas_.commit(**prepared);
    gateway_.rcu().reclaim();
    return {};
  }
  void remove(std::uint32_t pair, api::sa_direction direction) {
    api::sa_record gone;
    gone.pair = pair;
    gone.direction = direction;
    ASSERT_TRUE(change({.removed = {gone}}));
  }
  // What leaves for one packet of the inside.
  std::vector<bytes> send() {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.2.0.3"), 1, 2, filled(72)));
    gateway_.run();
    return gateway_.sent(outside);
  }
  std::uint64_t sequence_by(const api::sa_record& expected) {
    const auto out = send();
    return out.size() == 1 ? open_at_peer(expected, out[0]).sequence : 0;
  }
  bool receive(const api::sa_record& from, std::uint64_t sequence) {
    gateway_.receive(outside, esp_from_peer(from, udp_packet(between("10.2.0.3", "10.1.0.2"), 5, 6, filled(20)),
                                            {.sequence = sequence}));
    gateway_.run();
    return gateway_.sent(inside).size() == 1;
  }
  static api::trap_record trap_at(std::uint32_t order) {
    api::trap_record out;
    static_cast<api::selector_record&>(out) = outbound(0x1000);
    out.order = order;
    return out;
  }
  // As gateway::apply().
  void configure(const std::vector<api::trap_record>& children) {
    const auto orders = trap_set::orders_of(children).value();
    ASSERT_TRUE(change({.replaced_by = std::vector<api::port_record>{}}));
    sas_.follow_orders(orders, true);
    traps_.replace(children);
    sas_.follow_orders(orders, false);
  }
  std::vector<api::sa_use> uses(std::vector<std::uint32_t> pairs = {}) {
    std::vector<api::sa_use> found;
    sas_.use(pairs, [&](const api::sa_use& one) { found.push_back(one); });
    return found;
  }

  little_gateway gateway_;
  trap_set traps_{gateway_.tables(), [](std::string_view) { return no_port; }};
  sa_set sas_{gateway_.tables(),
              engines(),
              gateway_.store(),
              1,
              [](std::string_view name) { return name == "vpn" ? device_port_limit : no_port; },
              [](const api::event&) {},
              &traps_};
};

TEST_F(negotiated, the_newest_takes_the_packets_and_gives_them_back) {
  ASSERT_TRUE(change({.sas = {outbound(0x1000), inbound(0x1000)}}));
  EXPECT_EQ(sequence_by(outbound(0x1000)), 1u);
  ASSERT_TRUE(change({.sas = {outbound(0x2000), inbound(0x2000)}}));
  EXPECT_EQ(sequence_by(outbound(0x2000)), 1u);
  EXPECT_TRUE(receive(inbound(0x1000), 1)) << "the older stays usable";
  EXPECT_TRUE(receive(inbound(0x2000), 1));
  remove(0x2000, api::sa_direction::outbound);
  EXPECT_EQ(sequence_by(outbound(0x1000)), 2u);
  EXPECT_TRUE(receive(inbound(0x2000), 2));
}

TEST_F(negotiated, what_is_put_in_by_hand_is_replaced_and_what_was_negotiated_stays) {
  auto manual = outbound(0);
  manual.spi = 0x777;
  manual.pair = 0;
  manual.keying = api::sa_keying::manual;
  ASSERT_TRUE(change({.sas = {manual, outbound(0x1000), inbound(0x1000)}}));
  ASSERT_TRUE(change({.replaced_by = std::vector<api::port_record>{}}));
  EXPECT_EQ(sas_.find(api::sa_direction::outbound, 0x777), nullptr);
  EXPECT_EQ(sequence_by(outbound(0x1000)), 1u);
  EXPECT_EQ(uses().size(), 2u);
}

TEST_F(negotiated, without_its_interface_none_stays) {
  auto record = inbound(0x1000);
  record.interface = api::name("vpn");
  ASSERT_TRUE(change({.sas = {record}}));
  api::port_record port;
  port.port = api::name("vpn");
  ASSERT_TRUE(change({.replaced_by = std::vector{port}}));
  EXPECT_EQ(uses().size(), 1u);
  ASSERT_TRUE(change({.replaced_by = std::vector<api::port_record>{}}));
  EXPECT_TRUE(uses().empty());
}

TEST_F(negotiated, it_moves_with_its_numbers_window_and_counters) {
  ASSERT_TRUE(change({.sas = {outbound(0x1000), inbound(0x1000)}}));
  for (std::uint64_t n = 1; n <= 3; ++n) EXPECT_EQ(sequence_by(outbound(0x1000)), n);
  EXPECT_TRUE(receive(inbound(0x1000), 7));
  auto out = outbound(0x1000), in = inbound(0x1000);
  std::vector<api::move_record> moves;
  for (auto* record : {&out, &in}) {
    record->remote = address("192.0.2.3");
    record->udp_encapsulation = 1;
    record->remote_port = 7000;
    moves.push_back({.pair = 0x1000,
                     .direction = record->direction,
                     .udp_encapsulation = 1,
                     .remote_port = 7000,
                     .local = record->local,
                     .remote = record->remote});
  }
  ASSERT_TRUE(change({.moved = moves}));
  const auto packet = send();
  ASSERT_EQ(packet.size(), 1u);
  EXPECT_EQ(read_be(packet[0], 22, 2), 7000u);
  EXPECT_EQ(open_at_peer(out, packet[0]).sequence, 4u);
  EXPECT_FALSE(receive(in, 7)) << "seen before the move";
  EXPECT_TRUE(receive(in, 6)) << "and not everything before it counts as seen";
  EXPECT_TRUE(receive(in, 8));
  ASSERT_EQ(uses({0x1000}).size(), 2u);
  for (const auto& one : uses({0x1000})) EXPECT_EQ(one.packets, one.direction == api::sa_direction::outbound ? 4u : 3u);
}

TEST_F(negotiated, an_elder_that_moves_stays_the_elder) {
  ASSERT_TRUE(change({.sas = {outbound(0x1000)}}));
  ASSERT_TRUE(change({.sas = {outbound(0x2000)}}));
  ASSERT_TRUE(change({.moved = {{.pair = 0x1000, .local = address("192.0.2.1"), .remote = address("192.0.2.3")}}}));
  EXPECT_EQ(sequence_by(outbound(0x2000)), 1u);
}

TEST_F(negotiated, a_move_that_cannot_be_is_refused_and_changes_nothing) {
  ASSERT_TRUE(change({.sas = {outbound(0x1000)}}));
  auto there = outbound(0x2000);
  there.spi = outbound(0x1000).spi;  // another peer has chosen the same
  there.remote = address("192.0.2.3");
  ASSERT_TRUE(change({.sas = {there}}));
  const api::move_record move{.pair = 0x1000, .local = address("192.0.2.1"), .remote = address("192.0.2.3")};
  EXPECT_FALSE(change({.moved = {move}}));
  EXPECT_FALSE(change({.moved = {{.pair = 0x4711, .local = move.local, .remote = address("192.0.2.2")}}}));
  remove(0x2000, api::sa_direction::outbound);
  EXPECT_EQ(sequence_by(outbound(0x1000)), 1u);
}

TEST_F(negotiated, an_spi_that_is_in_use_is_refused) {
  ASSERT_TRUE(change({.sas = {inbound(0x1000)}}));
  auto thief = inbound(0x1000);
  thief.key[5] ^= 1;
  const auto refused = change({.sas = {thief}});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().reason.find("in use"), std::string::npos);
  EXPECT_TRUE(receive(inbound(0x1000), 1));
  ASSERT_TRUE(change({.sas = {inbound(0x1000)}})) << "the same again is nothing new";
  EXPECT_FALSE(receive(inbound(0x1000), 1));
}

// The number of a slot is the key's: an SA that has moved finds it again.
TEST_F(negotiated, numbers_follow_the_key_and_not_the_address) {
  auto moved = outbound(0x1000);
  moved.remote = address("192.0.2.3");
  EXPECT_EQ(identify(outbound(0x1000)), identify(moved));
  moved.keying = api::sa_keying::manual;
  auto manual = outbound(0x1000);
  manual.keying = api::sa_keying::manual;
  EXPECT_NE(identify(manual), identify(moved)) << "a key by hand may serve two peers";
}

TEST_F(negotiated, it_stands_where_its_child_stands) {
  configure({trap_at(5)});
  ASSERT_TRUE(change({.sas = {outbound(0x1000)}}));
  EXPECT_EQ(sas_.find(api::sa_direction::outbound, outbound(0x1000).spi)->order, 5u);
  EXPECT_EQ(sequence_by(outbound(0x1000)), 1u);
  std::uint64_t sequence = 1;
  for (const std::uint32_t order : {9u, 2u, 3u}) {
    configure({trap_at(order)});
    EXPECT_EQ(sequence_by(outbound(0x1000)), ++sequence) << "never behind its child's trap";
    EXPECT_EQ(sas_.find(api::sa_direction::outbound, outbound(0x1000).spi)->order, order);
  }
  EXPECT_EQ(gateway_.all_drops(), 0u);
  configure({});
  EXPECT_EQ(sequence_by(outbound(0x1000)), ++sequence) << "until the control plane takes it away";
}

#ifndef __SANITIZE_THREAD__  // of which one thread is nothing to see, and which would take 24 GB for it
TEST_F(negotiated, use_of_ten_thousand_pairs_takes_milliseconds) {
  batch all;
  std::vector<std::uint32_t> pairs;
  for (std::uint32_t n = 0; n < 10'000; ++n) {
    pairs.push_back(0x10000 + n);
    for (auto record : {outbound(pairs.back()), inbound(pairs.back())}) {
      record.key[1] = static_cast<std::uint8_t>(n >> 8);
      all.sas.push_back(record);
    }
  }
  ASSERT_TRUE(change(std::move(all)));
  const auto start = monotonic_ms();
  EXPECT_EQ(uses(pairs).size(), 20'000u);
  EXPECT_LT(monotonic_ms() - start, 200u) << "in a debug build";
}
#endif

}  // namespace
}  // namespace trunkgate
