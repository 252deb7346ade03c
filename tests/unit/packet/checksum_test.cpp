// The checksum helpers against a sum that is plainly RFC 1071.
#include <algorithm>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/packet/headers.hpp"
#include "tests/unit/packet/packets.hpp"

namespace trunkgate {
namespace {

using test::bytes;

TEST(checksum, is_that_of_rfc_1071) {
  // RFC 1071 3: the words 0001 f203 f4f5 f6f7 sum to ddf2.
  const bytes data{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(checksum_fold(checksum_add(0, data.data(), data.size())), static_cast<std::uint16_t>(~0xddf2));
}

TEST(checksum, equals_the_slow_sum_for_every_size) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size < 300; ++size) {
    bytes data(size);
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
    EXPECT_EQ(checksum_fold(checksum_add(0, data.data(), size)), test::slow_checksum(data)) << size;
    const std::size_t cut = size / 4 * 2;  // even: only the last part may be odd
    const auto first = checksum_add(0, data.data(), cut);
    EXPECT_EQ(checksum_fold(checksum_add(first, data.data() + cut, size - cut)), test::slow_checksum(data)) << size;
  }
}

TEST(checksum, carries_of_a_large_sum_are_folded) {
  const bytes ones(65534, 0xff);
  EXPECT_EQ(checksum_fold(checksum_add(0, ones.data(), ones.size())), 0);
  EXPECT_EQ(checksum_fold(0xffff'ffff'ffffull), 0);
}

TEST(checksum, update_is_the_checksum_of_the_changed_data) {
  std::mt19937 random(2);
  for (int round = 0; round < 20'000; ++round) {
    bytes data(40);
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
    if (round % 7 == 0) data.assign(40, round % 2 == 0 ? 0xff : 0x00);
    data[10] = data[11] = 0;
    const auto checksum = test::slow_checksum(data);
    const std::size_t at = random() % 5 * 2;
    const auto before = static_cast<std::uint16_t>(test::read_be(data, at, 2));
    const auto after = static_cast<std::uint16_t>(round % 5 == 0 ? 0xffff * (round & 1) : random());
    const auto updated = checksum_update(be16(checksum), before, after).host();
    data[at] = static_cast<std::uint8_t>(after >> 8);
    data[at + 1] = static_cast<std::uint8_t>(after);
    // With the checksum in its place, whoever verifies must find 0 (0 and ffff are the same number there).
    data[10] = static_cast<std::uint8_t>(updated >> 8);
    data[11] = static_cast<std::uint8_t>(updated);
    const auto verified = test::slow_checksum(data);
    EXPECT_TRUE(verified == 0 || verified == 0xffff) << round;
    const bool all_zero = std::all_of(data.begin(), data.end(), [](auto byte) { return byte == 0; });
    if (!all_zero) {
      EXPECT_EQ(verified, 0) << round;
    }
  }
}

TEST(checksum, of_a_header_without_options_is_right_or_not) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    bytes data(sizeof(ipv4_header));
    for (auto& byte : data) byte = static_cast<std::uint8_t>(random());
    if (round % 7 == 0) data.assign(data.size(), 0xff);
    data[10] = data[11] = 0;
    const auto checksum = test::slow_checksum(data);
    data[10] = static_cast<std::uint8_t>(checksum >> 8);
    data[11] = static_cast<std::uint8_t>(checksum);
    ipv4_header header;
    std::memcpy(&header, data.data(), sizeof header);
    EXPECT_TRUE(checksum_is_right(header)) << round;
    data[random() % data.size()] ^= static_cast<std::uint8_t>(1u << random() % 8);
    std::memcpy(&header, data.data(), sizeof header);
    EXPECT_FALSE(checksum_is_right(header)) << round;
  }
}

TEST(checksum, one_hop_later_is_that_of_a_hop_limit_one_lower) {
  for (std::uint32_t checksum = 0; checksum < 0xffff; ++checksum)
    for (const std::uint16_t hops : {0x02'11, 0x40'06, 0xff'32}) {
      const auto updated =
          checksum_update(be16(static_cast<std::uint16_t>(checksum)), hops, static_cast<std::uint16_t>(hops - 0x100));
      ASSERT_EQ(checksum_one_hop_later(be16(static_cast<std::uint16_t>(checksum))), updated) << checksum;
    }
}

}  // namespace
}  // namespace trunkgate
