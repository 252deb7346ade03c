// The rules of RFC 7296 3 and RFC 7383 2.5 for one payload at a time: what is refused, and what must be taken.
#include <gtest/gtest.h>

#include "controlplane/ike/wire/codec.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

constexpr const char* address4 = "c0000201 c0000201";

std::string ts_body(std::string_view selectors, std::string_view count = "01") {
  return std::string(count) + " 000000 " + std::string(selectors);
}
std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  while (times-- > 0) out += text;
  return out;
}
std::string hex16(std::size_t value) { return std::format("{:04x}", value); }

// One ESP proposal with these transforms.
std::string esp(std::string_view transforms, std::size_t count, std::string_view number = "01",
                std::string_view marker = "00") {
  return std::format("{} 00 {} {} 03 04 {:02x} 01020304 {}", marker, hex16(12 + from_hex(transforms).size()), number,
                     count, transforms);
}
constexpr const char* gcm = "00 00 000c 01 00 0014 800e 0100";

struct rule {
  const char* what;
  payload_type type;
  std::string octets;
};
using enum payload_type;

class refused : public testing::TestWithParam<rule> {};
TEST_P(refused, as_invalid_syntax) {
  const auto& [what, type, octets] = GetParam();
  const auto read = wire::parse_body(type, false, from_hex(octets));
  ASSERT_FALSE(read) << what;
  EXPECT_EQ(read.error().notify, notify::invalid_syntax) << what;
  EXPECT_FALSE(read.error().reason.empty()) << what;
}
INSTANTIATE_TEST_SUITE_P(
    sa, refused,
    testing::Values(
        rule{"no proposal", sa, ""}, rule{"no transform", sa, esp("", 0)},
        rule{"fewer transforms than said", sa, esp(gcm, 2)}, rule{"more than said", sa, esp(gcm, 0)},
        rule{"proposal marked as not the last", sa, esp(gcm, 1, "01", "02")},
        rule{"proposal with an unknown marker", sa, esp(gcm, 1, "01", "01")},
        rule{"first of two marked as the last", sa, esp(gcm, 1) + esp(gcm, 1, "02")},
        rule{"transform marked as not the last", sa, esp("03 00 0008 05 00 0001", 1)},
        rule{"transform with a proposal's marker", sa, esp("02 00 0008 05 00 0001 00 00 0008 05 00 0000", 2)},
        rule{"number 0", sa, esp(gcm, 1, "00")},
        rule{"offer that begins with 2", sa, esp(gcm, 1, "02", "02") + esp(gcm, 1, "03")},
        rule{"offer with a gap", sa, esp(gcm, 1, "01", "02") + esp(gcm, 1, "03")},
        rule{"offer with one number twice", sa, esp(gcm, 1, "01", "02") + esp(gcm, 1, "01")},
        rule{"ESP with an SPI of 8", sa, "00 00 0018 01 03 08 01 0102030405060708 00 00 0008 05 00 0001"},
        rule{"ESP without SPI", sa, "00 00 0010 01 03 00 01 00 00 0008 05 00 0001"},
        rule{"IKE with an SPI of 4", sa, "00 00 0014 01 01 04 01 01020304 00 00 0008 02 00 0005"},
        rule{"SPI beyond the proposal", sa, "00 00 0010 01 09 ff 01 00 00 0008 05 00 0001"},
        rule{"transform of 4 octets", sa, esp("00 00 0004", 1)}, rule{"of 7", sa, esp("00 00 0007 05 00 00", 1)},
        rule{"an attribute of 2 octets", sa, esp("00 00 000a 01 00 0014 800e", 1)},
        rule{"a long attribute beyond the transform", sa, esp("00 00 000d 01 00 0014 0010 0002 01", 1)},
        rule{"129 transforms", sa, esp(repeat("03 00 0008 05 00 0001", 128) + "00 00 0008 05 00 0001", 129)},
        rule{"65 proposals", sa, [] {
               std::string all;
               for (int i = 1; i <= 65; ++i) all += esp(gcm, 1, std::format("{:02x}", i), i < 65 ? "02" : "00");
               return all;
             }()}));
INSTANTIATE_TEST_SUITE_P(
    others, refused,
    testing::Values(
        rule{"KE without data", key_exchange, "001f 0000"}, rule{"IPv4 id of 5", id_initiator, "01 000000 c000020101"},
        rule{"IPv4 id of 0", id_responder, "01 000000"}, rule{"IPv6 id of 4", id_initiator, "05 000000 c0000201"},
        rule{"CERT without data", certificate, "04"}, rule{"CERTREQ of nothing", certificate_request, ""},
        rule{"CERTREQ of 19", certificate_request, "04" + repeat("aa", 19)},
        rule{"AUTH without data", authentication, "02 000000"}, rule{"nonce of 15", nonce, repeat("aa", 15)},
        rule{"nonce of 257", nonce, repeat("aa", 257)},
        rule{"N with an SPI for IKE", notify, "01 08 4001 0102030405060708 00000001"},
        rule{"N with an SPI of no protocol", notify, "00 04 2ee0 01020304"},
        rule{"N with an SPI of 8 for ESP", notify, "03 08 4009 0102030405060708"},
        rule{"REKEY_SA of nothing", notify, "03 00 4009"}, rule{"N whose SPI is cut off", notify, "03 04 4009 010203"},
        rule{"cookie of 0", notify, "00 00 4006"}, rule{"cookie of 65", notify, "00 00 4006" + repeat("aa", 65)},
        rule{"NAT detection of 19", notify, "00 00 4004" + repeat("aa", 19)},
        rule{"INVALID_KE_PAYLOAD of 3", notify, "00 00 0011 00001f"}, rule{"window of 3", notify, "00 00 4001 000001"},
        rule{"half a hash", notify, "00 00 402f 000200"}));
INSTANTIATE_TEST_SUITE_P(
    remove, refused,
    testing::Values(rule{"the IKE SA with an SPI", payload_type::remove, "01 08 0001 0102030405060708"},
                    rule{"the IKE SA with a count", payload_type::remove, "01 00 0001"},
                    rule{"children, none", payload_type::remove, "03 04 0000"},
                    rule{"children, SPIs of 0", payload_type::remove, "03 00 0000"},
                    rule{"children, many SPIs of 0", payload_type::remove, "03 00 ffff"},
                    rule{"children, SPIs of 8", payload_type::remove, "03 08 0001 0102030405060708"},
                    rule{"fewer than said", payload_type::remove, "03 04 0002 01020304"},
                    rule{"more than said", payload_type::remove, "03 04 0001 01020304 05060708"},
                    rule{"of no protocol", payload_type::remove, "00 00 0000"},
                    rule{"of protocol 4", payload_type::remove, "04 04 0001 01020304"},
                    rule{"1025 SPIs", payload_type::remove, "03 04 0401" + repeat("01020304", 1025)}));
INSTANTIATE_TEST_SUITE_P(
    ts, refused,
    testing::Values(
        rule{"IPv4 of 40 octets", ts_initiator, ts_body("07 00 0028 0000 ffff" + repeat("00", 32))},
        rule{"IPv6 of 16 octets", ts_initiator, ts_body(std::string("08 00 0010 0000 ffff") + address4)},
        rule{"IPv4 of 15 octets", ts_responder, ts_body("07 00 000f 0000 ffff c0000201 c00002")},
        rule{"a length of 3", ts_responder, ts_body("63 00 0003")},
        rule{"a length beyond the payload", ts_responder, ts_body("63 00 0005")},
        rule{"addresses backwards", ts_responder, ts_body("07 00 0010 0000 ffff c0000202 c0000201")},
        rule{"ports backwards", ts_responder, ts_body(std::string("07 06 0010 0051 0050") + address4)},
        rule{"nearly opaque", ts_responder, ts_body(std::string("07 06 0010 ffff 0001") + address4)},
        rule{"fewer than said", ts_responder, ts_body(std::string("07 00 0010 0000 ffff") + address4, "02")},
        rule{"more than said", ts_responder, ts_body(std::string("07 00 0010 0000 ffff") + address4, "00")},
        rule{"65 of them", ts_responder, ts_body(repeat(std::string("07 00 0010 0000 ffff") + address4, 65), "41")}));

template <class Kind>
Kind taken(payload_type type, std::string_view octets) {
  const auto read = wire::parse_body(type, false, from_hex(octets));
  EXPECT_TRUE(read) << octets << ": " << (read ? "" : read.error().reason);
  return read ? std::get<Kind>(*read) : Kind{};
}
transform_choice transform_of(std::string_view octets) {
  return taken<sa_payload>(sa, esp(octets, 1)).proposals.at(0).transforms.at(0);
}

// RFC 7296 3.3.6: "the responder [...] MUST NOT" choose it, and the message stays good.
TEST(taken, a_transform_with_an_unknown_attribute_is_kept_and_unusable) {
  const transform_choice gcm256{transform_type::encryption, 20, 256};
  EXPECT_EQ(transform_of(gcm), gcm256);
  for (const auto* odd : {"00 00 000c 01 00 0014 8010 0100",            // another attribute
                          "00 00 0010 01 00 0014 800e 0100 8010 0001",  // Key Length, then another
                          "00 00 0010 01 00 0014 8010 0001 800e 0100",  // another, then Key Length
                          "00 00 000c 01 00 0014 0010 0000",            // another of the long form, empty
                          "00 00 000e 01 00 0014 000e 0002 0100",       // Key Length of the long form
                          "00 00 0010 01 00 0014 800e 0100 800e 0080",  // two Key Lengths
                          "00 00 000c 01 00 0014 800e 0000"}) {         // Key Length 0
    const auto transform = transform_of(odd);
    EXPECT_EQ(transform.id, 20) << odd;
    EXPECT_EQ(transform.key_bits, unusable_transform) << odd;
    EXPECT_NE(transform, gcm256) << odd;
  }
}

TEST(taken, unknown_numbers_stay_for_the_record) {
  EXPECT_EQ(transform_of("00 00 0008 f1 00 0401"), (transform_choice{transform_type{0xf1}, 0x401, 0}));
  const auto protocol9 = taken<sa_payload>(sa, "00 00 0012 01 09 02 01 0102 00 00 0008 01 00 03e9").proposals.at(0);
  EXPECT_EQ(protocol9.protocol, protocol_id{9});
  EXPECT_EQ(protocol9.spi, (bytes{1, 2}));
  EXPECT_EQ(taken<notify_payload>(notify, "09 03 ffff 010203 04").spi, (bytes{1, 2, 3}));
  EXPECT_EQ(taken<id_of>(id_initiator, "0d 000000").id.type, id_type{13});  // ID_NULL (RFC 7619)
}

TEST(taken, the_answer_has_the_number_of_the_proposal_that_it_takes) {
  EXPECT_EQ(taken<sa_payload>(sa, esp(gcm, 1, "07")).proposals.at(0).number, 7);
}

// Every reserved octet of the SA, KE, AUTH and TS payloads set (RFC 7296 2.5: "must be ignored").
TEST(taken, reserved_fields_mean_nothing) {
  EXPECT_EQ(taken<sa_payload>(sa, "00 ff 0018 01 03 04 01 01020304 00 ff 000c 01 ff 0014 800e 0100"),
            taken<sa_payload>(sa, esp(gcm, 1)));
  EXPECT_EQ(taken<key_exchange_payload>(key_exchange, "001f ffff aa").method, 31);
  EXPECT_EQ(taken<authentication_payload>(authentication, "02 ffffff aa").data, bytes{0xaa});
  EXPECT_EQ(taken<ts_payload>(ts_initiator, std::string("01 ffffff 07 00 0010 0000 ffff") + address4).selectors.size(),
            1U);
}

// RFC 8784 3: with which the responder says that it used the PPK.
TEST(taken, a_ppk_identity_may_be_empty) {
  EXPECT_EQ(taken<notify_payload>(notify, "00 00 4034").type, notify::ppk_identity);
  EXPECT_EQ(taken<notify_payload>(notify, "00 00 4034 02 68").data.size(), 2U);
}

// RFC 7296 3.10: without an SPI the protocol is ignored.
TEST(taken, a_notify_without_spi_is_of_no_protocol) {
  EXPECT_EQ(taken<notify_payload>(notify, "01 00 4000").protocol, protocol_id::none);
}

TEST(taken, limits_are_inside) {
  EXPECT_EQ(taken<nonce_payload>(nonce, repeat("aa", 16)).data.size(), 16U);
  EXPECT_EQ(taken<nonce_payload>(nonce, repeat("aa", 256)).data.size(), 256U);
  EXPECT_EQ(taken<delete_payload>(payload_type::remove, "03 04 0400" + repeat("01020304", 1024)).spis.size(), 1024U);
  const auto selectors = ts_body(repeat(std::string("07 00 0010 0000 ffff") + address4, 64), "40");
  EXPECT_EQ(taken<ts_payload>(ts_initiator, selectors).selectors.size(), 64U);
  const auto transforms = esp(repeat("03 00 0008 05 00 0001", 127) + "00 00 0008 05 00 0001", 128);
  EXPECT_EQ(taken<sa_payload>(sa, transforms).proposals.at(0).transforms.size(), 128U);
}

// Of RFC 9478's labels, for instance: nothing that we could install, and the others still count.
TEST(taken, selectors_of_other_types_are_left_out) {
  const auto label = std::string("0a 00 0006 abcd"), range = std::string("07 00 0010 0000 ffff") + address4;
  EXPECT_EQ(taken<ts_payload>(ts_initiator, ts_body(label + range, "02")).selectors.size(), 1U);
  EXPECT_TRUE(taken<ts_payload>(ts_initiator, ts_body(label)).selectors.empty());
}

}  // namespace
}  // namespace trunkgate::test
