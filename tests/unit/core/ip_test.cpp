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

}  // namespace
}  // namespace trunkgate
