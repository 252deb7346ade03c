// Lifetimes: an SA tells at its soft limit, stops at its hard one, and nothing passes in clear in its place.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;
using api::event_kind, api::sa_limit;

class lifetime_of : public testing::TestWithParam<api::sa_direction> {
 protected:
  static constexpr std::size_t inner_size = 100;

  static bool outbound() { return GetParam() == api::sa_direction::outbound; }
  // `count` packets in one burst; how many went through.
  std::size_t carry(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      if (outbound())
        gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.2.0.3"), 1, 2, filled(inner_size - 28)));
      else
        gateway_.receive(
            outside, esp_from_peer(record_, udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, filled(inner_size - 28)),
                                   {.sequence = ++sequence_}));
    gateway_.run();
    const auto out = gateway_.sent(outbound() ? outside : inside);
    for (const auto& packet : out) EXPECT_EQ(packet[9], outbound() ? 50 : 17);
    return out.size();
  }
  void install() {
    if (outbound())
      out_ = &gateway_.add_outbound(record_);
    else
      in_ = &gateway_.add_inbound(record_);
  }
  [[nodiscard]] const sa_lifetime& lifetime() const { return out_ != nullptr ? out_->lifetime : in_->lifetime; }
  [[nodiscard]] const sa_counters& counters() const { return out_ != nullptr ? out_->counters : in_->counters; }
  std::vector<api::event> events() {
    std::vector<api::event> all;
    for (api::event event; gateway_.workers().next_event(event);) all.push_back(event);
    return all;
  }
  void expect_one(event_kind kind, sa_limit limit, std::uint64_t value) {
    const auto all = events();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].kind, kind);
    EXPECT_EQ(all[0].limit, limit);
    EXPECT_EQ(all[0].value, value);
    EXPECT_EQ(all[0].direction, GetParam());
    EXPECT_EQ(all[0].spi, record_.spi);
    EXPECT_EQ(all[0].tunnel, record_.tunnel);
    EXPECT_EQ(all[0].child, record_.child);
  }

  api::sa_record record_ = sa_between(GetParam(), esp_suite::aes256gcm16, 0x950);
  little_gateway gateway_;
  outbound_sa* out_ = nullptr;
  inbound_sa* in_ = nullptr;
  std::uint64_t sequence_ = 0;
};

TEST_P(lifetime_of, packets_stop_it_exactly_at_the_limit) {
  record_.soft.packets = 10;
  record_.hard.packets = 15;
  install();
  EXPECT_EQ(carry(9), 9u);
  EXPECT_TRUE(events().empty());
  EXPECT_EQ(carry(1), 1u);
  expect_one(event_kind::soft_expire, sa_limit::packets, 10);
  EXPECT_EQ(carry(20), 5u) << "within one burst";
  expect_one(event_kind::hard_expire, sa_limit::packets, 15);
  EXPECT_EQ(carry(3), 0u);
  EXPECT_TRUE(events().empty()) << "told once";
  EXPECT_EQ(gateway_.drops(drop_reason::sa_expired), 18u);
  EXPECT_EQ(counters().after_expiry.get(), 18u);
  EXPECT_EQ(counters().packets.get(), 15u);
  EXPECT_EQ(lifetime().expired(), sa_limit::packets);
  EXPECT_EQ(lifetime().softened(), sa_limit::packets);
}

TEST_P(lifetime_of, bytes_stop_it_with_the_packet_that_reaches_them) {
  record_.soft.bytes = 2 * inner_size;
  record_.hard.bytes = 3 * inner_size + 1;
  install();
  EXPECT_EQ(carry(2), 2u);
  expect_one(event_kind::soft_expire, sa_limit::bytes, 2 * inner_size);
  EXPECT_EQ(carry(5), 2u);
  expect_one(event_kind::hard_expire, sa_limit::bytes, 3 * inner_size + 1);
  EXPECT_EQ(counters().bytes.get(), 4 * inner_size);
}

TEST_P(lifetime_of, soft_is_told_once_whatever_comes_first) {
  record_.soft = {.packets = 5, .bytes = 2 * inner_size};
  install();
  EXPECT_EQ(carry(10), 10u);
  expect_one(event_kind::soft_expire, sa_limit::bytes, 2 * inner_size);
}

TEST_P(lifetime_of, without_limits_nothing_is_told) {
  install();
  EXPECT_EQ(carry(100), 100u);
  EXPECT_TRUE(events().empty());
}

// Seconds are the control thread's to see; the worker obeys.
TEST_P(lifetime_of, who_sees_the_time_stops_it_too) {
  install();
  EXPECT_EQ(carry(1), 1u);
  auto& own = out_ != nullptr ? out_->lifetime : in_->lifetime;
  EXPECT_TRUE(own.expire(sa_limit::seconds));
  EXPECT_FALSE(own.expire(sa_limit::packets));
  EXPECT_EQ(carry(2), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::sa_expired), 2u);
}

INSTANTIATE_TEST_SUITE_P(both_ways, lifetime_of,
                         testing::Values(api::sa_direction::outbound, api::sa_direction::inbound),
                         [](const auto& about) {
                           return about.param == api::sa_direction::outbound ? "outbound" : "inbound";
                         });

TEST(sequence_numbers, their_end_is_told_in_advance_and_when_it_is_there) {
  little_gateway gateway;
  auto record = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x960);
  auto& sa = gateway.add_outbound(record);
  std::vector<api::event> events;
  const auto send = [&](int count) {
    for (int i = 0; i < count; ++i) gateway.receive(inside, udp_packet(between("10.1.0.2", "10.2.0.3"), 1, 2, {}));
    gateway.run();
    for (api::event event; gateway.workers().next_event(event);) events.push_back(event);
    return gateway.sent(outside).size();
  };
  sa.sequence.set(sa.reserved = 0xf000'0000u - 3);
  EXPECT_EQ(send(2), 2u);
  EXPECT_TRUE(events.empty());
  EXPECT_EQ(send(3), 3u);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, event_kind::sequence_near_end);
  EXPECT_EQ(events[0].limit, sa_limit::sequence);
  EXPECT_EQ(sa.lifetime.softened(), sa_limit::sequence);
  sa.sequence.set(sa.reserved = 0xffff'ffffu - 2);
  EXPECT_EQ(send(6), 2u);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].kind, event_kind::sequence_exhausted);
  EXPECT_EQ(events[1].spi, 0x960u);
  EXPECT_EQ(gateway.drops(drop_reason::esp_sequence_exhausted), 4u);
  EXPECT_EQ(send(1), 0u);
  EXPECT_EQ(events.size(), 2u);
}

TEST(unknown_spi, is_told_with_its_source_once_a_second) {
  little_gateway gateway;
  auto nobodys = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x9999);
  for (int i = 0; i < 20; ++i)
    gateway.receive(outside, esp_from_peer(nobodys, udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, {}), {}));
  gateway.run();
  EXPECT_EQ(gateway.drops(drop_reason::esp_unknown_spi), 20u);
  api::event event;
  ASSERT_TRUE(gateway.workers().next_event(event));
  EXPECT_EQ(event.kind, event_kind::unknown_spi);
  EXPECT_EQ(event.spi, 0x9999u);
  EXPECT_EQ(event.source, address("192.0.2.2"));
  EXPECT_FALSE(gateway.workers().next_event(event));
}

}  // namespace
}  // namespace trunkgate
