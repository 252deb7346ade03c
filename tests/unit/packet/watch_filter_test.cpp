#include "dataplane/packet/watch_filter.hpp"

#include <gtest/gtest.h>

#include "tests/unit/packet/packets.hpp"

namespace trunkgate::test {
namespace {

bytes framed(const bytes& ip, std::uint16_t ethertype, bool tagged = false) {
  return join({filled(12), tagged ? join({be(0x8100, 2), be(7, 2)}) : bytes{}, be(ethertype, 2), ip});
}

watch_filter filter_of(std::initializer_list<std::pair<const char*, const char*>> pairs) {
  const auto prefix = [](const char* text) { return *text == '\0' ? ip_prefix{} : *parse_ip_prefix(text); };
  watch_filter filter;
  for (const auto& [one, other] : pairs) filter.pairs[filter.count++] = {.one = prefix(one), .other = prefix(other)};
  return filter;
}

bool matches(const watch_filter& filter, const char* source, const char* destination) {
  return filter.matches({.source = address(source), .destination = address(destination)});
}

TEST(WatchFilter, EitherWayRound) {
  const auto filter = filter_of({{"10.1.0.0/16", "10.2.0.0/16"}});
  EXPECT_TRUE(matches(filter, "10.1.9.9", "10.2.9.9"));
  EXPECT_TRUE(matches(filter, "10.2.9.9", "10.1.9.9"));
  EXPECT_FALSE(matches(filter, "10.1.9.9", "10.1.9.8"));
  EXPECT_FALSE(matches(filter, "10.3.0.1", "10.2.0.1"));
}

TEST(WatchFilter, AnEmptySideIsAnyAddress) {
  const auto filter = filter_of({{"fd00::1/128", ""}});
  EXPECT_TRUE(matches(filter, "fd00::1", "fd00::2"));
  EXPECT_TRUE(matches(filter, "fd00::2", "fd00::1"));
  EXPECT_FALSE(matches(filter, "fd00::2", "fd00::3"));
  EXPECT_FALSE(matches(filter, "10.0.0.1", "10.0.0.2"));
}

TEST(WatchFilter, OnePairIsEnough) {
  const auto filter = filter_of({{"10.1.0.0/16", "10.2.0.0/16"}, {"192.0.2.1/32", "192.0.2.2/32"}});
  EXPECT_TRUE(matches(filter, "192.0.2.2", "192.0.2.1"));
  EXPECT_FALSE(matches(filter, "192.0.2.2", "10.1.0.1"));
}

TEST(WatchFilter, AddressesOfFrames) {
  const auto four = udp_packet(between("10.0.0.1", "10.0.0.2"), 1, 2, {});
  const auto six = udp_packet(between("fd00::1", "fd00::2"), 1, 2, {});
  for (const bool tagged : {false, true}) {
    const auto got4 = addresses_of_frame(framed(four, 0x0800, tagged));
    ASSERT_TRUE(got4);
    EXPECT_EQ(got4->source, address("10.0.0.1"));
    EXPECT_EQ(got4->destination, address("10.0.0.2"));
    const auto got6 = addresses_of_frame(framed(six, 0x86dd, tagged));
    ASSERT_TRUE(got6);
    EXPECT_EQ(got6->source, address("fd00::1"));
  }
  EXPECT_FALSE(addresses_of_frame(framed(four, 0x0806)));  // ARP has no IP addresses of this kind
}

TEST(WatchFilter, CutFramesHaveNone) {
  for (const bool tagged : {false, true}) {
    const auto whole = framed(udp_packet(between("fd00::1", "fd00::2"), 1, 2, {}), 0x86dd, tagged);
    const std::size_t needed = 14 + (tagged ? 4 : 0) + 40;
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));  // a sanitizer sees its end
      EXPECT_EQ(addresses_of_frame(cut).has_value(), size >= needed) << size;
    }
  }
}

}  // namespace
}  // namespace trunkgate::test
