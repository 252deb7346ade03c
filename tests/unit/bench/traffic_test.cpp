// The checker must notice whatever is not the packet that was sent.
#include "perf/bench/traffic.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace trunkgate::bench {
namespace {

constexpr std::uint16_t size = 100;
constexpr std::uint32_t flows = 3, packets = 8;
constexpr std::uint64_t first = 1000;

std::vector<std::uint8_t> packet(std::uint64_t number, std::uint8_t hops) {
  std::vector<std::uint8_t> bytes(size);
  numbered_packet{number, flow_of(number, flows), size}.write(bytes.data(), hops);
  return bytes;
}

// A round in which `change` may alter the packet in its middle before it arrives.
template <class Change>
checker round_with(Change&& change) {
  checker checked(size, flows);
  checked.begin_round(first, packets);
  for (std::uint64_t number = first; number < first + packets; ++number) {
    auto bytes = packet(number, 2);
    if (number == first + packets / 2) change(bytes);
    checked.arrived(bytes, 2);
  }
  checked.end_round();
  return checked;
}

TEST(checker, finds_all_right_when_it_is) {
  const auto checked = round_with([](auto&) {});
  EXPECT_EQ(checked.verified(), packets);
  EXPECT_EQ(checked.wrong(), 0u);
}

TEST(checker, notices_a_changed_bit_in_every_byte) {
  for (std::size_t at = 0; at < size; ++at) {
    const auto checked = round_with([at](auto& bytes) { bytes[at] ^= 0x10; });
    EXPECT_EQ(checked.verified(), packets - 1) << "byte " << at;
    EXPECT_EQ(checked.wrong(), 1u) << "byte " << at;
  }
}

TEST(checker, notices_a_lost_cut_repeated_or_foreign_packet) {
  checker lost(size, flows);
  lost.begin_round(first, packets);
  for (std::uint64_t number = first + 1; number < first + packets; ++number) lost.arrived(packet(number, 2), 2);
  lost.end_round();
  EXPECT_EQ(lost.wrong(), 1u);
  EXPECT_EQ(round_with([](auto& bytes) { bytes.pop_back(); }).wrong(), 1u);
  EXPECT_EQ(round_with([](auto& bytes) { bytes = packet(first, 2); }).wrong(), 2u);  // one twice, one never
  EXPECT_EQ(round_with([](auto& bytes) { bytes = packet(first + packets, 2); }).wrong(), 1u);
  EXPECT_EQ(round_with([](auto& bytes) { bytes = packet(first + packets / 2, 1); }).wrong(), 1u);  // one hop too few
}

TEST(checker, knows_the_size_of_each_packet_of_a_mix) {
  const auto sizes = packet_sizes::imix();
  for (const bool cut : {false, true}) {
    checker checked(sizes, 1);
    checked.begin_round(first, 12);
    for (std::uint64_t number = first; number < first + 12; ++number) {
      std::vector<std::uint8_t> bytes(sizes.of(number));
      numbered_packet{number, 0, sizes.of(number)}.write(bytes.data(), 2);
      if (cut && number == first + 3) bytes.pop_back();
      checked.arrived(bytes, 2);
    }
    checked.end_round();
    EXPECT_EQ(checked.verified(), cut ? 11u : 12u);
    EXPECT_EQ(checked.wrong(), cut ? 1u : 0u);
  }
}

TEST(packet_sizes, the_mix_is_seven_four_one) {
  const auto sizes = packet_sizes::imix();
  std::map<std::uint16_t, int> seen;
  for (std::uint64_t number = 100; number < 112; ++number) ++seen[sizes.of(number)];
  EXPECT_EQ(seen, (std::map<std::uint16_t, int>{{64, 7}, {570, 4}, {1420, 1}}));
  EXPECT_NEAR(sizes.mean(), (7 * 64 + 4 * 570 + 1420) / 12.0, 1e-9);
  EXPECT_EQ(sizes.largest(), 1420);
  EXPECT_EQ(sizes.name(), "imix");
  const packet_sizes same(350);
  EXPECT_EQ(same.of(5), 350);
  EXPECT_EQ(same.mean(), 350);
  EXPECT_EQ(same.name(), "350");
}

TEST(traffic, flows_have_networks_of_their_own) {
  std::set<std::uint32_t> seen;
  for (std::uint32_t flow = 0; flow < flow_limit; ++flow) seen.insert(flow_network(flow) >> (32 - flow_prefix_length));
  EXPECT_EQ(seen.size(), flow_limit);
  EXPECT_EQ(flow_network(flow_limit - 1) >> 24, 10u);
}

TEST(traffic, every_flow_has_its_turn) {
  for (const std::uint32_t count : {1u, 2u, 1000u, 1024u, flow_limit}) {
    std::set<std::uint32_t> seen;
    for (std::uint64_t number = 5; number < 5 + count; ++number) seen.insert(flow_of(number, count));
    EXPECT_EQ(seen.size(), count);
    EXPECT_LT(*seen.rbegin(), count);
  }
}

}  // namespace
}  // namespace trunkgate::bench
