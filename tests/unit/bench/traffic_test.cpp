// The checker must notice whatever is not the packet that was sent.
#include "perf/bench/traffic.hpp"

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

TEST(traffic, every_flow_has_its_turn) {
  for (const std::uint32_t count : {1u, 2u, 1000u, 1024u}) {
    std::set<std::uint32_t> seen;
    for (std::uint64_t number = 5; number < 5 + count; ++number) seen.insert(flow_of(number, count));
    EXPECT_EQ(seen.size(), count);
    EXPECT_LT(*seen.rbegin(), count);
  }
}

}  // namespace
}  // namespace trunkgate::bench
