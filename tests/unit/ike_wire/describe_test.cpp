#include "controlplane/ike/wire/describe.hpp"

#include <gtest/gtest.h>

#include "controlplane/ike/wire/notify.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

TEST(describe, has_one_line_for_each_payload) {
  std::string lines;
  for (const auto& one : rich_payloads()) lines += describe(one) + "\n";
  lines += describe(payload(unknown_payload{payload_type{200}, true})) + "\n";
  lines += describe(payload(unknown_payload{payload_type::eap, false})) + "\n";
  EXPECT_EQ(lines,
            "SA 1 IKE 1112131415161718: encryption aes256gcm16, encryption aes128gcm16, prf prfsha384, "
            "key exchange x25519, additional key exchange 1 mlkem768, additional key exchange 1 none; "
            "2 ESP c0ffee01: encryption aes256cbc, integrity sha256, sequence numbers esn, sequence numbers noesn; "
            "3 AH c0ffee02: integrity sha512\n"
            "KE x25519, 32 octets\n"
            "Nonce 32 octets\n"
            "IDi hq.example\n"
            "IDr 2021:2223:2425:2627:2829:2a2b:2c2d:2e2f\n"
            "CERT 12, 45 octets\n"
            "CERTREQ 4, 40 octets\n"
            "AUTH 14, 64 octets\n"
            "N REKEY_SA, ESP c0ffee03\n"
            "N COOKIE, 64 octets\n"
            "N NAT_DETECTION_SOURCE_IP, 20 octets\n"
            "N SIGNATURE_HASH_ALGORITHMS, hashes 2, 3, 4\n"
            "N MOBIKE_SUPPORTED\n"
            "D IKE\n"
            "D ESP 01020304, 05060708, 090a0b0c\n"
            "V a0a1a2a3a4a5a6a7a8a9aaabacadaeaf\n"
            "TSi 10.1.0.0/16, 10.1.2.3-10.1.2.99 protocol 6 ports 5060-5061, 192.0.2.1/32 protocol 17 ports opaque, "
            "2001:db8::/32 protocol 58 ports 32768-33279\n"
            "TSr 10.1.0.0/16, 10.1.2.3-10.1.2.99 protocol 6 ports 5060-5061, 192.0.2.1/32 protocol 17 ports opaque, "
            "2001:db8::/32 protocol 58 ports 32768-33279\n"
            "payload 200, critical\n"
            "EAP\n");
}

TEST(describe, tells_a_message_by_its_header) {
  auto head = rich_header();
  EXPECT_EQ(describe(head), "CREATE_CHILD_SA request 16909060, 1122334455667788 > 99aabbccddeeff01");
  head.from_initiator = false;
  head.response = true;
  head.exchange = exchange_type{99};
  EXPECT_EQ(describe(head), "exchange 99 response 16909060, 99aabbccddeeff01 > 1122334455667788");
}

// Key exchange data, nonces, cookies and AUTH are made so that their octets would be seen as text or as hex.
TEST(describe, shows_no_octet_that_is_or_proves_a_secret) {
  const bytes marked = from_hex("4d41524b4552206d61726b6572204d41524b4552");  // "MARKER marker MARKER", 20 octets
  const payloads all = {
      key_exchange_payload{31, marked},         nonce_payload{marked},
      authentication_payload{auth_psk, marked}, notify_payload{notify::cookie, marked},
      notify_payload{notify::cookie2, marked},  notify_payload{notify::ppk_identity, marked},
      certificate_payload{cert_x509, marked},   notify_payload{notify::nat_detection_source_ip, marked}};
  for (const auto& one : all) {
    const auto line = describe(one);
    EXPECT_EQ(line.find("MARKER"), std::string::npos) << line;
    EXPECT_EQ(line.find("4d41524b"), std::string::npos) << line;
    EXPECT_NE(line.find("20 octets"), std::string::npos) << line;
  }
}

TEST(describe, lets_no_peer_write_into_a_log) {
  const bytes evil = from_hex("680a1b5b326d5c000dff");  // h, newline, escape sequence, backslash, NUL, CR, 0xff
  EXPECT_EQ(describe(payload(id_of{true, {id_type::fqdn, evil}})), "IDi h\\x0a\\x1b[2m\\x5c\\x00\\x0d\\xff");
  EXPECT_EQ(describe(payload(vendor_id_payload{evil})), "V 680a1b5b326d5c000dff");
  EXPECT_EQ(describe(payload(vendor_id_payload{from_hex("7374726f6e67")})), "V strong");
  EXPECT_EQ(describe(payload(id_of{true, {id_type::ipv4, {1, 2, 3}}})), "IDi id type 1, 3 octets");
}

TEST(describe, cuts_long_lists) {
  const auto line = describe(
      payload(ts_payload{true, std::vector(64, traffic_selector{.addresses = parse_ip_range("192.0.2.1").value()})}));
  EXPECT_TRUE(line.ends_with(" and 32 more")) << line;
  const auto vendor = describe(payload(vendor_id_payload{filled(60000, 0)}));
  EXPECT_LT(vendor.size(), 200U);
  EXPECT_TRUE(vendor.ends_with("3e3f...")) << vendor;
  EXPECT_TRUE(describe(payload(id_of{true, {id_type::fqdn, bytes(60000, 'a')}})).ends_with("aaa..."));
  EXPECT_LT(describe(payload(notify_payload{notify::signature_hash_algorithms, filled(60000, 0)})).size(), 400U);
}

TEST(describe, says_what_an_error_wants) {
  EXPECT_EQ(describe(payload(notify_payload{notify::invalid_ke_payload, {0, 31}})),
            "N INVALID_KE_PAYLOAD, x25519 is wanted");
  EXPECT_EQ(describe(payload(notify_payload{notify::additional_ip4_address, {192, 0, 2, 1}})),
            "N ADDITIONAL_IP4_ADDRESS, 192.0.2.1");
  EXPECT_EQ(describe(payload(
                sa_payload{{{1, protocol_id::ike, {}, {{transform_type::encryption, 20, unusable_transform}}}}})),
            "SA 1 IKE: encryption 20 with unknown attributes");
  EXPECT_EQ(describe(payload(sa_payload{
                {{1, protocol_id{9}, {}, {{transform_type::encryption, 20, 99}, {transform_type{241}, 1025, 0}}}}})),
            "SA 1 protocol 9: encryption 20/99, unknown 241 1025");
  EXPECT_EQ(describe(payload(key_exchange_payload{1025, {1}})), "KE 1025, 1 octets");
}

TEST(notify_name, falls_back_to_the_number) {
  EXPECT_EQ(notify::name(notify::no_proposal_chosen), "NO_PROPOSAL_CHOSEN");
  EXPECT_EQ(notify::name(notify::sa_resource_info), "SA_RESOURCE_INFO");
  EXPECT_EQ(notify::name(notify::ts_max_queue), "TS_MAX_QUEUE");
  EXPECT_EQ(notify::name(40961), "notify 40961");
  EXPECT_EQ(notify::name(2), "notify 2");
  EXPECT_EQ(notify::name(0), "notify 0");
  EXPECT_EQ(notify::name(65535), "notify 65535");
}

}  // namespace
}  // namespace trunkgate::test
