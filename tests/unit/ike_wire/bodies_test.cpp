// Each payload's body against octets that were written down by hand from RFC 7296 3.3 to 3.13.
#include <gtest/gtest.h>

#include "controlplane/ike/wire/codec.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

struct body_case {
  const char* what;
  payload value;
  const char* octets;
};

const std::vector<body_case>& cases() {
  using enum transform_type;
  static const std::vector<body_case> all = {
      {"SA of two proposals",
       sa_payload{{{1, protocol_id::ike, {}, {{encryption, 20, 256}, {prf, 6, 0}, {key_exchange, 31, 0}}},
                   {2, protocol_id::esp, {1, 2, 3, 4}, {{sequence_numbers, 1, 0}}}}},
       "02 00 0024 01 01 00 03"           // more, length 8 + 12 + 8 + 8, number, IKE, no SPI, 3 transforms
       "03 00 000c 01 00 0014 800e 0100"  // more, length, ENCR, AES-GCM-16, Key Length 256
       "03 00 0008 02 00 0006"            // more, PRF_HMAC_SHA2_384
       "00 00 0008 04 00 001f"            // last, Curve25519
       "00 00 0014 02 03 04 01 01020304"  // last, length 8 + 4 + 8, number, ESP, SPI of 4, 1 transform
       "00 00 0008 05 00 0001"},          // last, ESN
      {"KE", key_exchange_payload{19, {0xaa, 0xbb}}, "0013 0000 aabb"},
      {"IDi", id_of{true, {id_type::ipv4, {192, 0, 2, 1}}}, "01 000000 c0000201"},
      {"IDr with reserved octets", id_of{false, {id_type::key_id, {7}}, {1, 2, 3}}, "0b 010203 07"},
      {"IDr without data", id_of{false, {id_type::fqdn, {}}}, "02 000000"},
      {"CERT", certificate_payload{cert_x509, {0x30, 0x00}}, "04 3000"},
      {"CERTREQ for any", certificate_request_payload{cert_x509, {}}, "04"},
      {"CERTREQ", certificate_request_payload{cert_x509, filled(20, 1)}, "04 0102030405060708090a0b0c0d0e0f1011121314"},
      {"AUTH", authentication_payload{auth_psk, {0xee}}, "02 000000 ee"},
      {"Nonce", nonce_payload{filled(16, 0)}, "000102030405060708090a0b0c0d0e0f"},
      {"N without SPI", notify_payload{notify::cookie, {0xcc}}, "00 00 4006 cc"},
      {"N with SPI", notify_payload{notify::rekey_sa, {}, protocol_id::esp, {1, 2, 3, 4}}, "03 04 4009 01020304"},
      {"D of the IKE SA", delete_payload{protocol_id::ike, {}}, "01 00 0000"},
      {"D of children", delete_payload{protocol_id::esp, {{1, 2, 3, 4}, {5, 6, 7, 8}}}, "03 04 0002 01020304 05060708"},
      {"V", vendor_id_payload{{1, 2}}, "0102"},
      {"TSi", ts_payload{true, {{6, 80, 443, parse_ip_range("192.0.2.0/24").value()}}},
       "01 000000  07 06 0010 0050 01bb c0000200 c00002ff"},
      {"TSr of IPv6, opaque", ts_payload{false, {{17, 65535, 0, parse_ip_range("2001:db8::1").value()}}},
       "01 000000  08 11 0028 ffff 0000 20010db8000000000000000000000001 20010db8000000000000000000000001"},
  };
  return all;
}

TEST(bodies, are_written_as_the_rfc_draws_them) {
  for (const auto& one : cases()) EXPECT_EQ(to_hex(encode_body(one.value)), to_hex(from_hex(one.octets))) << one.what;
}

TEST(bodies, are_read_as_the_rfc_draws_them) {
  for (const auto& one : cases()) {
    const auto read = wire::parse_body(wire::type_of(one.value), false, from_hex(one.octets));
    ASSERT_TRUE(read) << one.what << ": " << read.error().reason;
    EXPECT_EQ(*read, one.value) << one.what;
  }
}

// Each in memory of exactly its size, so that the sanitizers see a read beyond it.
TEST(bodies, may_be_cut_anywhere) {
  for (const auto& one : cases()) {
    const auto whole = from_hex(one.octets);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto read = wire::parse_body(wire::type_of(one.value), false, cut);
      EXPECT_TRUE(!read || *read != one.value) << one.what << " cut to " << size;
      EXPECT_TRUE(read || !read.error().reason.empty());
    }
  }
}

TEST(bodies, of_every_payload_survive_being_written_and_read) {
  for (const auto& one : rich_payloads()) {
    const auto read = wire::parse_body(wire::type_of(one), false, encode_body(one));
    ASSERT_TRUE(read) << read.error().reason;
    EXPECT_EQ(*read, one);
  }
}

}  // namespace
}  // namespace trunkgate::test
