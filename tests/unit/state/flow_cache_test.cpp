#include "dataplane/state/flow_cache.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

flow_key key_of(std::uint32_t number) {
  flow_key key;
  key.family = ip_family::v4;
  key.protocol = 17;
  key.has_ports = 1;
  key.source = {10, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)};
  key.destination_port = static_cast<std::uint16_t>(number >> 16);
  return key;
}

flow_verdict verdict_of(std::uint16_t egress) { return {.egress = egress}; }

TEST(flow_cache, remembers_and_replaces_a_flow) {
  auto cache = flow_cache::make(64);
  const flow_key key = key_of(1);
  const auto hash = flow_cache::hash(key);
  EXPECT_EQ(cache.find(key, hash, 7), nullptr);
  cache.store(key, hash, 7, verdict_of(3));
  ASSERT_NE(cache.find(key, hash, 7), nullptr);
  EXPECT_EQ(cache.find(key, hash, 7)->egress, 3);
  cache.store(key, hash, 7, verdict_of(4));
  EXPECT_EQ(cache.find(key, hash, 7)->egress, 4);
}

TEST(flow_cache, another_generation_is_a_miss) {
  auto cache = flow_cache::make(64);
  const flow_key key = key_of(1);
  cache.store(key, flow_cache::hash(key), 7, verdict_of(3));
  EXPECT_EQ(cache.find(key, flow_cache::hash(key), 8), nullptr);
  EXPECT_EQ(cache.find(key, flow_cache::hash(key), 6), nullptr);
}

TEST(flow_cache, an_equal_hash_of_another_flow_is_a_miss) {
  auto cache = flow_cache::make(64);
  cache.store(key_of(1), 42, 1, verdict_of(3));
  EXPECT_EQ(cache.find(key_of(2), 42, 1), nullptr);
}

TEST(flow_cache, every_field_is_part_of_the_flow) {
  const flow_key base = key_of(1);
  flow_key decrypted = base, later = base, ingress = base, protocol = base;
  decrypted.decrypted = 1;
  later.has_ports = 0;
  ingress.ingress = 5;
  protocol.protocol = 6;
  for (const flow_key& other : {decrypted, later, ingress, protocol, base.reversed()})
    EXPECT_NE(flow_cache::hash(other), flow_cache::hash(base));
  EXPECT_NE(flow_cache::hash(flow_key{}), 0u);  // 0 means an empty entry
}

TEST(flow_cache, the_least_recently_used_of_a_set_goes) {
  auto cache = flow_cache::make(64);
  constexpr std::uint32_t hash = 5;  // all in one set
  for (std::uint32_t n = 0; n < 4; ++n) cache.store(key_of(n), hash, 1, verdict_of(static_cast<std::uint16_t>(n)));
  ASSERT_NE(cache.find(key_of(0), hash, 1), nullptr);  // 1 is the oldest now
  cache.store(key_of(9), hash, 1, verdict_of(9));
  EXPECT_EQ(cache.find(key_of(1), hash, 1), nullptr);
  for (std::uint32_t n : {0u, 2u, 3u, 9u}) EXPECT_NE(cache.find(key_of(n), hash, 1), nullptr) << n;
}

TEST(flow_cache, a_stale_entry_goes_before_a_live_one) {
  auto cache = flow_cache::make(64);
  constexpr std::uint32_t hash = 5;
  for (std::uint32_t n = 10; n < 14; ++n) cache.store(key_of(n), hash, 1, verdict_of(1));
  for (std::uint32_t n = 0; n < 3; ++n) cache.store(key_of(n), hash, 2, verdict_of(1));
  unsigned stale = 0;  // used last, but of an older generation
  for (std::uint32_t n = 10; n < 14; ++n) stale += cache.find(key_of(n), hash, 1) != nullptr;
  ASSERT_EQ(stale, 1u);
  cache.store(key_of(3), hash, 2, verdict_of(1));
  for (std::uint32_t n : {0u, 1u, 2u, 3u}) EXPECT_NE(cache.find(key_of(n), hash, 2), nullptr) << n;
}

TEST(flow_cache, fills_a_set_from_the_way_that_is_fetched_ahead) {
  auto cache = flow_cache::make(64);
  cache.store(key_of(1), 5, 1, verdict_of(1));
  const auto* first = cache.find(key_of(1), 5, 1);
  cache.store(key_of(2), 5, 1, verdict_of(2));
  EXPECT_LT(first, cache.find(key_of(2), 5, 1));
}

TEST(flow_cache, holds_what_it_was_made_for) {
  auto cache = flow_cache::make(4000);  // becomes 4096
  unsigned kept = 0;
  for (std::uint32_t n = 0; n < 2000; ++n) cache.store(key_of(n), flow_cache::hash(key_of(n)), 1, verdict_of(1));
  for (std::uint32_t n = 0; n < 2000; ++n) kept += cache.find(key_of(n), flow_cache::hash(key_of(n)), 1) != nullptr;
  EXPECT_GT(kept, 1800u);  // half full: only crowded sets lose any
}

}  // namespace
}  // namespace trunkgate
