#include <gtest/gtest.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using test::to_bytes;

struct row {
  const char* text;
  id_type type;
  bytes data;
};

TEST(identity, is_read_as_what_it_looks_like) {
  const row rows[] = {
      {"hq.example", id_type::fqdn, to_bytes("hq.example")},
      {"hq", id_type::fqdn, to_bytes("hq")},
      {"a@b.example", id_type::rfc822, to_bytes("a@b.example")},
      {"203.0.113.2", id_type::ipv4, {203, 0, 113, 2}},
      {"2001:db8::1", id_type::ipv6, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
      {"keyid:0a0b", id_type::key_id, {0x0a, 0x0b}},
      // RFC 5280 A: countryName is a PrintableString, as is a common name that it can hold.
      {"C=DE, CN=hq", id_type::dn, {0x30, 0x1a, 0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x06, 0x13, 0x02, 'D',
                                    'E',  0x31, 0x0b, 0x30, 0x09, 0x06, 0x03, 0x55, 0x04, 0x03, 0x13, 0x02, 'h',  'q'}},
  };
  for (const auto& one : rows) {
    const auto id = parse_identity(one.text);
    ASSERT_TRUE(id) << one.text << ": " << id.error().reason;
    EXPECT_EQ(id->type, one.type) << one.text;
    EXPECT_EQ(id->data, one.data) << one.text;
    EXPECT_EQ(to_string(*id), one.text);
  }
}

TEST(identity, that_is_none_is_refused_with_a_reason) {
  for (const auto* text : {"", "*", "*.example", "203.0.113.300", "a@", "@b", "a@b@c", "a b", "keyid:", "keyid:0",
                           "keyid:xy", "FOO=bar", "CN=a+O=b", ".example", "a..b", "C=Deutschland", "CN=a\\"}) {
    const auto id = parse_identity(text);
    ASSERT_FALSE(id) << text;
    EXPECT_GT(id.error().reason.size(), 20u) << text;
  }
  EXPECT_FALSE(parse_identity(std::string(5000, 'a')));
}

TEST(identity, of_a_name_keeps_separators_by_escapes) {
  const auto id = parse_identity(R"(CN=Doe\, Jane , O=A\2bB, email=a@b)");
  ASSERT_TRUE(id) << id.error().reason;
  EXPECT_EQ(to_string(*id), R"(CN=Doe\, Jane, O=A\+B, emailAddress=a@b)");
  EXPECT_EQ(*parse_identity(to_string(*id)), *id);
}

TEST(identity, that_is_no_text_is_shown_as_bytes) {
  EXPECT_EQ(to_string({.type = id_type::fqdn, .data = {'a', 0x1b, '[', 0x00, 0xff}}), R"(a\x1b[\x00\xff)");
  EXPECT_EQ(to_string({.type = id_type::ipv4, .data = {1, 2}}), R"(id type 1 \x01\x02)");
  EXPECT_EQ(to_string({.type = id_type::dn, .data = {0x30, 0x05}}), R"(id type 9 0\x05)");
  EXPECT_EQ(to_string({.type = static_cast<id_type>(200), .data = {'x'}}), "id type 200 x");
  EXPECT_LT(to_string({.type = id_type::fqdn, .data = bytes(60000, 'a')}).size(), 300u);
  EXPECT_LT(to_string({.type = id_type::key_id, .data = bytes(60000, 'a')}).size(), 300u);
}

}  // namespace
}  // namespace trunkgate::ike
