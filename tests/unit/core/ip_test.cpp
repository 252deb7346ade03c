#include "dataplane/core/ip.hpp"

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

ip_prefix prefix(std::string_view text) { return parse_ip_prefix(text).value(); }
ip_address address(std::string_view text) { return parse_ip_address(text).value(); }

TEST(ip_address, reads_and_prints_both_families) {
  for (const char* text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "2001:db8::1", "fe80::1:2"})
    EXPECT_EQ(to_string(address(text)), text);
  EXPECT_EQ(to_string(ip_address{}), "none");
  EXPECT_EQ(address("10.1.2.3").v4_host(), 0x0a010203u);
  EXPECT_EQ(ip_address::v4(0x0a010203), address("10.1.2.3"));
}

TEST(ip_address, refuses_what_is_none) {
  for (const char* text :
       {"", "10.1.2", "10.1.2.256", "010.1.2.3", "1.2.3.4 ", "1.2.3.4/8", "2001:db8::g", "1::2::3", "localhost"}) {
    auto parsed = parse_ip_address(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().reason.find(text), std::string::npos) << "the reason does not name the text";
  }
}

TEST(ip_address, knows_multicast) {
  EXPECT_TRUE(address("224.0.0.1").is_multicast());
  EXPECT_TRUE(address("239.255.255.255").is_multicast());
  EXPECT_FALSE(address("223.255.255.255").is_multicast());
  EXPECT_FALSE(address("240.0.0.1").is_multicast());
  EXPECT_TRUE(address("ff02::1").is_multicast());
  EXPECT_FALSE(address("fe80::1").is_multicast());
  EXPECT_FALSE(ip_address{}.is_multicast());
}

TEST(ip_prefix, reads_lengths) {
  EXPECT_EQ(prefix("10.1.2.3").length, 32);
  EXPECT_EQ(prefix("2001:db8::1").length, 128);
  EXPECT_EQ(prefix("0.0.0.0/0").length, 0);
  EXPECT_EQ(to_string(prefix("10.1.0.1/16")), "10.1.0.1/16") << "interface addresses keep their host bits";
  for (const char* text : {"10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "::/129", "10.0.0.0/ 8", "/8"})
    EXPECT_FALSE(parse_ip_prefix(text)) << text;
}

TEST(ip_prefix, masks_inside_a_byte) {
  EXPECT_EQ(to_string(prefix("10.255.255.255/12").masked()), "10.240.0.0/12");
  EXPECT_EQ(to_string(prefix("10.1.2.3/32").masked()), "10.1.2.3/32");
  EXPECT_EQ(to_string(prefix("10.1.2.3/0").masked()), "0.0.0.0/0");
  EXPECT_EQ(to_string(prefix("2001:db8:ffff::1/33").masked()), "2001:db8:8000::/33");
}

TEST(ip_prefix, contains_its_addresses_only) {
  EXPECT_TRUE(prefix("10.1.0.0/16").contains(address("10.1.255.255")));
  EXPECT_FALSE(prefix("10.1.0.0/16").contains(address("10.2.0.0")));
  EXPECT_TRUE(prefix("10.1.0.1/16").contains(address("10.1.9.9"))) << "host bits do not count";
  EXPECT_TRUE(prefix("0.0.0.0/0").contains(address("1.2.3.4")));
  EXPECT_FALSE(prefix("0.0.0.0/0").contains(address("::1"))) << "the other family";
  EXPECT_FALSE(prefix("::/0").contains(address("0.0.0.0")));
  EXPECT_TRUE(prefix("2001:db8::/32").contains(address("2001:db8:ffff::")));
}

TEST(ip_prefix, overlaps_either_way_round) {
  EXPECT_TRUE(prefix("10.0.0.0/8").overlaps(prefix("10.1.0.0/16")));
  EXPECT_TRUE(prefix("10.1.0.0/16").overlaps(prefix("10.0.0.0/8")));
  EXPECT_FALSE(prefix("10.0.0.0/16").overlaps(prefix("10.1.0.0/16")));
  EXPECT_FALSE(prefix("0.0.0.0/0").overlaps(prefix("::/0")));
}

ip_range range(std::string_view text) { return parse_ip_range(text).value(); }

std::string prefixes_of(std::string_view text) {
  std::string out;
  for (const auto& part : range(text).prefixes()) out += (out.empty() ? "" : " ") + to_string(part);
  return out;
}

TEST(ip_range, reads_and_prints_prefixes_and_ranges) {
  for (const char* text :
       {"10.1.0.10-10.1.0.99", "10.1.0.0/16", "0.0.0.0/0", "::/0", "2001:db8::5-2001:db8::1:5", "10.1.2.3/32"})
    EXPECT_EQ(to_string(range(text)), text);
  EXPECT_EQ(to_string(range("10.1.2.3/16")), "10.1.0.0/16") << "host bits do not count";
  EXPECT_EQ(to_string(range("10.1.2.3-10.1.2.3")), "10.1.2.3/32");
  EXPECT_EQ(to_string(ip_range{}), "any");
  for (const char* text :
       {"10.1.0.9-10.1.0.8", "10.1.0.1-::1", "10.1.0.1-", "-10.1.0.1", "10.1.0.0/24-10.1.1.0", "a-b"})
    EXPECT_FALSE(parse_ip_range(text)) << text;
}

TEST(ip_range, holds_its_ends_and_what_is_between) {
  const auto one = range("10.1.0.10-10.1.1.3");
  for (const char* text : {"10.1.0.10", "10.1.0.255", "10.1.1.0", "10.1.1.3"}) EXPECT_TRUE(one.contains(address(text)));
  for (const char* text : {"10.1.0.9", "10.1.1.4", "::1"}) EXPECT_FALSE(one.contains(address(text)));
  EXPECT_TRUE(one.contains(range("10.1.0.128/25")));
  EXPECT_FALSE(one.contains(range("10.1.0.0/25")));
}

TEST(ip_range, is_covered_by_the_longest_prefix_around_it) {
  EXPECT_EQ(to_string(range("10.1.0.10-10.1.0.99").cover()), "10.1.0.0/25");
  EXPECT_EQ(to_string(range("127.255.255.255-128.0.0.0").cover()), "0.0.0.0/0");
  EXPECT_EQ(to_string(range("10.1.2.3").cover()), "10.1.2.3/32");
  EXPECT_EQ(to_string(range("2001:db8::1-2001:db8::2").cover()), "2001:db8::/126");
}

TEST(ip_range, takes_the_fewest_prefixes) {
  EXPECT_EQ(prefixes_of("10.1.0.10-10.1.0.20"), "10.1.0.10/31 10.1.0.12/30 10.1.0.16/30 10.1.0.20/32");
  EXPECT_EQ(prefixes_of("10.0.0.0/8"), "10.0.0.0/8");
  EXPECT_EQ(prefixes_of("0.0.0.0/0"), "0.0.0.0/0");
  EXPECT_EQ(prefixes_of("255.255.255.254-255.255.255.255"), "255.255.255.254/31");
  EXPECT_EQ(range("0.0.0.1-255.255.255.254").prefixes().size(), 62u);
  EXPECT_EQ(range("::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe").prefixes().size(), 254u);
}

// Against counting: every address of a small network is in exactly as many of the prefixes as it is in the range.
TEST(ip_range, its_prefixes_hold_each_address_once_and_no_other) {
  for (std::uint32_t first = 0; first < 64; ++first)
    for (std::uint32_t last = first; last < 64; ++last) {
      const auto parts = ip_range(ip_address::v4(first), ip_address::v4(last)).prefixes();
      for (std::uint32_t at = 0; at < 64; ++at) {
        std::size_t hits = 0;
        for (const auto& part : parts) hits += part.contains(ip_address::v4(at));
        ASSERT_EQ(hits, first <= at && at <= last ? 1u : 0u) << first << " " << last << " " << at;
      }
    }
}

}  // namespace
}  // namespace trunkgate
