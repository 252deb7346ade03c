// Sequence numbers and IVs: never twice, not even over a restart, and an end when they are used up.
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

bytes inner() { return udp_packet(between("10.1.0.2", "10.2.0.3"), 5000, 6000, filled(20)); }

class sequence_of : public testing::TestWithParam<bool> {};

TEST_P(sequence_of, an_sa_ends_with_its_last_number) {
  const bool esn = GetParam();
  const std::uint64_t last = esn ? ~0ull : 0xffff'ffffull;
  little_gateway gateway;
  auto record = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 400);
  record.esn = esn;
  auto& sa = gateway.add_outbound(record);
  sa.sequence.set(last - 3);
  for (int i = 0; i < 5; ++i) gateway.receive(inside, inner());
  gateway.run();
  const auto out = gateway.sent(outside);
  ASSERT_EQ(out.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_EQ(open_at_peer(record, out[i], static_cast<std::uint32_t>(last >> 32)).sequence, last - 2 + i);
  EXPECT_EQ(gateway.drops(drop_reason::esp_sequence_exhausted), 2u);
  EXPECT_EQ(sa.counters.other_drops.get(), 2u);
  EXPECT_EQ(sa.slot->reserved.load(), last);
}

TEST_P(sequence_of, no_number_is_used_that_was_not_reserved_before) {
  little_gateway gateway;
  auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128cbc_sha256, 400);
  record.esn = GetParam();
  auto& sa = gateway.add_outbound(record);
  for (std::uint64_t n = 1; n < 3 * sequence_reservation; ++n) {
    ASSERT_EQ(sa.next_sequence(), n);
    ASSERT_GE(sa.slot->reserved.load(), n);
  }
}

INSTANTIATE_TEST_SUITE_P(with_and_without, sequence_of, testing::Bool(),
                         [](const auto& about) { return about.param ? "esn" : "short"; });

// A process takes over the slot of another that was killed, again and again.
TEST(sequence_resume, numbers_only_rise_and_no_iv_comes_twice) {
  little_gateway gateway;
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 401);
  std::set<bytes> ivs;
  std::uint64_t before = 0;
  for (int life = 0; life < 5; ++life) {
    auto& sa = gateway.add_outbound(record);  // among equals the last one added counts
    for (int i = 0; i < 50; ++i) gateway.receive(inside, inner());
    gateway.run();
    const auto out = gateway.sent(outside);
    ASSERT_EQ(out.size(), 50u);
    for (const auto& packet : out) {
      const auto got = open_at_peer(record, packet);
      EXPECT_GT(got.sequence, before);
      before = got.sequence;
      EXPECT_TRUE(ivs.insert(got.iv).second) << "an IV was used twice under one key";
    }
    EXPECT_EQ(sa.counters.packets.get(), 50u);
  }
}

TEST(sequence_resume, cbc_ivs_are_all_different) {
  little_gateway gateway;
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes256cbc_sha256, 402);
  gateway.add_outbound(record);
  std::set<bytes> ivs;
  for (int i = 0; i < 200; ++i) gateway.receive(inside, inner());
  gateway.run();
  for (const auto& packet : gateway.sent(outside)) ivs.insert(open_at_peer(record, packet).iv);
  EXPECT_EQ(ivs.size(), 200u);
}

TEST(sequence_resume, what_was_accepted_before_is_refused_after) {
  little_gateway gateway;
  const auto record = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 403);
  const auto packet = udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, {});
  gateway.add_inbound(record);
  gateway.receive(outside, esp_from_peer(record, packet, {.sequence = 100}));
  gateway.run();
  EXPECT_EQ(gateway.sent(inside).size(), 1u);
  gateway.tables().inbound.erase(403);
  gateway.add_inbound(record);
  for (const std::uint64_t sequence : {100, 99, 1})
    gateway.receive(outside, esp_from_peer(record, packet, {.sequence = sequence}));
  gateway.receive(outside, esp_from_peer(record, packet, {.sequence = 101}));
  gateway.run();
  EXPECT_EQ(gateway.drops(drop_reason::esp_replayed), 3u);
  EXPECT_EQ(gateway.sent(inside).size(), 1u);
}

}  // namespace
}  // namespace trunkgate
