// Headers, chains and the fronts of SK and SKF.
#include <gtest/gtest.h>

#include "controlplane/ike/wire/codec.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

bytes message_of(std::uint8_t first, std::string_view payloads_hex,
                 std::string_view version_exchange_flags = "202208") {
  const auto rest = from_hex(payloads_hex);
  auto out = from_hex(std::format("1122334455667788 99aabbccddeeff01 {:02x} {} 01020304 {:08x}", first,
                                  version_exchange_flags, 28 + rest.size()));
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}
constexpr const char* sixteen = "000102030405060708090a0b0c0d0e0f";
std::string nonce_then(std::uint8_t next, std::uint8_t flags = 0) {
  return std::format("{:02x} {:02x} 0014 {}", next, flags, sixteen);
}

TEST(header, is_written_and_read_as_the_rfc_draws_it) {
  auto head = rich_header();
  const auto octets = "1122334455667788 99aabbccddeeff01 00 20 24 08 01020304 0000001c";
  EXPECT_EQ(to_hex(encode_message(head, {})), to_hex(from_hex(octets)));
  for (const auto& [flags, response, initiator, higher] : {std::tuple{"00", false, false, false},
                                                           {"20", true, false, false},
                                                           {"08", false, true, false},
                                                           {"10", false, false, true},
                                                           {"ff", true, true, true},
                                                           {"c7", false, false, false}}) {
    const auto read = parse_header(message_of(0, "", std::string("2f23") + flags));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->initiator_spi, 0x1122334455667788U);
    EXPECT_EQ(read->responder_spi, 0x99aabbccddeeff01U);
    EXPECT_EQ(read->minor_version, 15);  // RFC 7296 2.5: ignored
    EXPECT_EQ(read->exchange, exchange_type::ike_auth);
    EXPECT_EQ(read->message_id, 0x01020304U);
    EXPECT_EQ(std::tuple(read->response, read->from_initiator, read->higher_version),
              std::tuple(response, initiator, higher));
    EXPECT_EQ(parse_header(encode_message(*read, {}))->higher_version, higher);
    EXPECT_EQ(parse_header(encode_message(*read, {}))->response, response);
  }
}

TEST(header, of_another_length_than_the_datagram_is_met_with_silence) {
  auto good = message_of(40, nonce_then(0));
  ASSERT_TRUE(parse_message(good));
  auto longer = good;
  longer.push_back(0);
  for (const auto& bad :
       {bytes(good.begin(), good.end() - 1), longer, bytes(good.begin(), good.begin() + 27), bytes{}}) {
    const auto read = parse_message(bad);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().notify, 0);
    EXPECT_FALSE(parse_header(bad));
  }
}

TEST(header, of_another_major_version_asks_for_ours) {
  for (const auto* version : {"102208", "302208", "002208"}) {
    const auto read = parse_message(message_of(40, nonce_then(0), version));
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().notify, notify::invalid_major_version);
  }
}

TEST(chain, keeps_order_and_everything_in_it) {
  const auto all = rich_payloads();
  const auto read = parse_message(encode_message(rich_header(), all));
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(read->clear, all);
  EXPECT_EQ(read->body_offset, 0U);
  const auto chain = encode_payloads(all);
  const auto again = parse_payloads(chain.first, chain.data);
  ASSERT_TRUE(again) << again.error().reason;
  EXPECT_EQ(*again, all);
}

TEST(chain, may_be_empty) {
  EXPECT_TRUE(parse_message(message_of(0, ""))->clear.empty());
  EXPECT_TRUE(parse_payloads(payload_type::none, {})->empty());
  EXPECT_EQ(encode_payloads({}).first, payload_type::none);
  EXPECT_FALSE(parse_payloads(payload_type::none, bytes{0}));
  EXPECT_FALSE(parse_payloads(payload_type::nonce, {}));
}

TEST(chain, ends_where_the_message_ends) {
  EXPECT_FALSE(parse_message(message_of(40, nonce_then(0) + "00")));
  EXPECT_FALSE(parse_message(message_of(40, nonce_then(43))));           // another is announced
  EXPECT_FALSE(parse_message(message_of(40, nonce_then(43) + "0000")));  // and cut off
}

TEST(chain, skips_what_is_unknown_and_refuses_what_is_unknown_and_critical) {
  const auto read = parse_message(message_of(200, "28 7f 0006 abcd" + nonce_then(0)));
  ASSERT_TRUE(read) << read.error().reason;
  ASSERT_EQ(read->clear.size(), 2U);
  EXPECT_EQ(std::get<unknown_payload>(read->clear[0]), (unknown_payload{payload_type{200}, false}));
  const auto critical = parse_message(message_of(200, "28 80 0006 abcd" + nonce_then(0)));
  ASSERT_FALSE(critical);
  EXPECT_EQ(critical.error().notify, notify::unsupported_critical_payload);
  EXPECT_EQ(critical.error().critical_type, 200);
}

// RFC 7296 3.2: the critical bit "MUST be ignored by the recipient if the recipient understands the payload type".
TEST(chain, takes_known_payloads_with_the_critical_bit) {
  EXPECT_TRUE(parse_message(message_of(40, nonce_then(0, 0x80))));
  for (const std::uint8_t type : {47, 48}) {
    const auto read = parse_message(message_of(type, "00 80 0006 abcd"));
    ASSERT_TRUE(read) << read.error().reason;
    EXPECT_EQ(std::get<unknown_payload>(read->clear.at(0)), (unknown_payload{payload_type{type}, true}));
    EXPECT_EQ(parse_message(encode_message(read->head, read->clear))->clear, read->clear);
  }
}

TEST(chain, has_64_payloads_at_most) {
  EXPECT_TRUE(parse_payloads(payload_type::vendor_id, encode_payloads(payloads(64, vendor_id_payload{})).data));
  auto data = encode_payloads(payloads(64, vendor_id_payload{})).data;
  for (auto next : {payload_type::vendor_id, payload_type{200}}) {
    data[63 * std::size_t{4}] = static_cast<std::uint8_t>(next);
    auto longer = data;
    longer.insert(longer.end(), {0, 0, 0, 4});
    EXPECT_FALSE(parse_payloads(payload_type::vendor_id, longer));
  }
}

TEST(sealed, says_where_its_body_begins) {
  const auto read = parse_message(message_of(46, "23 00 0006 abcd"));
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(read->body_offset, 32U);
  EXPECT_EQ(read->first_inside, payload_type::id_initiator);
  EXPECT_EQ(read->fragments, 0);
  const auto behind = parse_message(message_of(40, nonce_then(46) + "00 80 0005 ab"));
  ASSERT_TRUE(behind) << behind.error().reason;
  EXPECT_EQ(behind->body_offset, 28U + 20 + 4);
  EXPECT_EQ(behind->clear.size(), 1U);
  EXPECT_EQ(behind->first_inside, payload_type::none);  // RFC 7296 2.4: an empty INFORMATIONAL
}

TEST(sealed, is_the_last_payload_and_has_something_inside) {
  EXPECT_FALSE(parse_message(message_of(46, "28 00 0006 abcd" + nonce_then(0))));
  EXPECT_FALSE(parse_message(message_of(46, "28 00 0007 abcd")));
  EXPECT_FALSE(parse_message(message_of(46, "28 00 0004")));
  EXPECT_FALSE(parse_payloads(payload_type::encrypted, from_hex("28 00 0006 abcd")));
  EXPECT_FALSE(parse_payloads(payload_type::encrypted_fragment, from_hex("28 00 000a 0001 0001 abcd")));
}

// RFC 7383 2.5
TEST(sealed, fragments_are_numbered_from_1_to_their_total) {
  const auto read = parse_message(message_of(53, "23 00 000a 0001 0003 abcd"));
  ASSERT_TRUE(read) << read.error().reason;
  EXPECT_EQ(std::tuple(read->fragment, read->fragments, read->body_offset, read->first_inside),
            std::tuple(1, 3, 36U, payload_type::id_initiator));
  EXPECT_TRUE(parse_message(message_of(53, "00 00 000a 0003 0003 abcd")));
  EXPECT_TRUE(parse_message(message_of(53, "23 00 000a 0001 0001 abcd")));
  for (const auto* bad :
       {"23 00 000a 0000 0003 abcd", "00 00 000a 0004 0003 abcd", "23 00 000a 0000 0000 abcd",
        "23 00 000a 0001 0000 abcd", "23 00 000a 0002 0003 abcd", "23 00 0008 0001 0003", "23 00 0007 0001 00"})
    EXPECT_FALSE(parse_message(message_of(53, bad))) << bad;
}

TEST(sealed, fronts_carry_the_final_lengths) {
  const auto head = rich_header();
  auto front = encode_encrypted_front(head, payload_type::sa, 100);
  EXPECT_EQ(to_hex(front), to_hex(from_hex("1122334455667788 99aabbccddeeff01 2e 20 24 08 01020304 00000084"
                                           "21 00 0068")));
  front.resize(front.size() + 100);
  EXPECT_EQ(parse_message(front)->body_offset, 32U);
  auto second = encode_encrypted_front(head, payload_type::sa, 100, 2, 3);
  EXPECT_EQ(to_hex(second), to_hex(from_hex("1122334455667788 99aabbccddeeff01 35 20 24 08 01020304 00000088"
                                            "00 00 006c 0002 0003")));
  second.resize(second.size() + 100);
  EXPECT_EQ(parse_message(second)->fragments, 3);
  auto first = encode_encrypted_front(head, payload_type::sa, 100, 1, 3);
  first.resize(first.size() + 100);
  EXPECT_EQ(parse_message(first)->first_inside, payload_type::sa);
}

}  // namespace
}  // namespace trunkgate::test
