#include "tests/unit/ike_wire/samples.hpp"

#include <format>
#include <fstream>

#include <nlohmann/json.hpp>

#include "controlplane/ike/wire/notify.hpp"

namespace trunkgate::test {

using namespace ike;

bytes from_hex(std::string_view text) {
  bytes out;
  std::string digits;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    digits += c;
    if (digits.size() < 2) continue;
    out.push_back(static_cast<std::uint8_t>(std::stoul(digits, nullptr, 16)));
    digits.clear();
  }
  return out;
}

std::string to_hex(byte_view data) {
  std::string out;
  for (const auto octet : data) out += std::format("{:02x}", octet);
  return out;
}

bytes filled(std::size_t size, std::uint8_t first) {
  bytes out(size);
  for (auto& octet : out) octet = first++;
  return out;
}

namespace {

ip_range range(const char* text) { return parse_ip_range(text).value(); }

// RFC 7296 3.6: SHA-1 of the certificate, then where it is. (tshark would take a DER certificate apart further.)
certificate_payload rich_certificate() {
  certificate_payload out{cert_hash_and_url, filled(20, 0x30)};
  const std::string_view url = "http://pki.example/hq.der";
  out.data.insert(out.data.end(), url.begin(), url.end());
  return out;
}

sa_payload rich_sa() {
  using enum transform_type;
  sa_payload sa;
  sa.proposals.push_back({.number = 1,
                          .protocol = protocol_id::ike,
                          .spi = filled(8, 0x11),
                          .transforms = {{encryption, transform_id::encr_aes_gcm16, 256},
                                         {encryption, transform_id::encr_aes_gcm16, 128},
                                         {prf, transform_id::prf_hmac_sha384, 0},
                                         {key_exchange, transform_id::x25519, 0},
                                         {additional_ke1, transform_id::mlkem768, 0},
                                         {additional_ke1, transform_id::ke_none, 0}}});
  sa.proposals.push_back({.number = 2,
                          .protocol = protocol_id::esp,
                          .spi = {0xc0, 0xff, 0xee, 0x01},
                          .transforms = {{encryption, transform_id::encr_aes_cbc, 256},
                                         {integrity, transform_id::auth_hmac_sha256_128, 0},
                                         {sequence_numbers, transform_id::esn, 0},
                                         {sequence_numbers, transform_id::no_esn, 0}}});
  sa.proposals.push_back({.number = 3,
                          .protocol = protocol_id::ah,
                          .spi = {0xc0, 0xff, 0xee, 0x02},
                          .transforms = {{integrity, transform_id::auth_hmac_sha512_256, 0}}});
  return sa;
}

ts_payload rich_ts(bool initiator) {
  return {initiator,
          {{.protocol = 0, .addresses = range("10.1.0.0/16")},
           {.protocol = 6, .first_port = 5060, .last_port = 5061, .addresses = range("10.1.2.3-10.1.2.99")},
           {.protocol = 17, .first_port = 65535, .last_port = 0, .addresses = range("192.0.2.1")},
           {.protocol = 58, .first_port = 0x8000, .last_port = 0x81ff, .addresses = range("2001:db8::/32")}}};
}

}  // namespace

payloads rich_payloads() {
  return {rich_sa(),
          key_exchange_payload{transform_id::x25519, filled(32, 0x40)},
          nonce_payload{filled(32, 0x80)},
          id_of{true, {id_type::fqdn, from_hex("68712e6578616d706c65")}},
          id_of{false, {id_type::ipv6, filled(16, 0x20)}, {1, 2, 3}},
          rich_certificate(),
          certificate_request_payload{cert_x509, filled(40, 0x50)},
          authentication_payload{auth_signature, filled(64, 0x60)},
          notify_payload{notify::rekey_sa, {}, protocol_id::esp, {0xc0, 0xff, 0xee, 0x03}},
          notify_payload{notify::cookie, filled(64, 0x70)},
          notify_payload{notify::nat_detection_source_ip, filled(20, 0x90)},
          notify_payload{notify::signature_hash_algorithms, {0, 2, 0, 3, 0, 4}},
          notify_payload{notify::mobike_supported, {}},
          delete_payload{protocol_id::ike, {}},
          delete_payload{protocol_id::esp, {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}},
          vendor_id_payload{filled(16, 0xa0)},
          rich_ts(true),
          rich_ts(false)};
}

header rich_header() {
  header head;
  head.initiator_spi = 0x1122334455667788;
  head.responder_spi = 0x99aabbccddeeff01;
  head.exchange = exchange_type::create_child_sa;
  head.from_initiator = true;
  head.message_id = 0x01020304;
  return head;
}

const std::vector<real_message>& real_messages() {
  static const std::vector<real_message> all = [] {
    const auto file =
        nlohmann::json::parse(std::ifstream(std::string(TRUNKGATE_SOURCE_DIR) + "/tests/vectors/ike_strongswan.json"));
    std::vector<real_message> out;
    for (const auto& one : file.at("messages")) {
      real_message message;
      message.name = one.at("name");
      for (const auto& datagram : one.at("datagrams"))
        message.datagrams.push_back(from_hex(datagram.get<std::string>()));
      message.first_inside = payload_type{one.at("first_inside").get<std::uint8_t>()};
      message.inside = from_hex(one.at("inside").get<std::string>());
      message.listed = one.at("payloads").get<std::vector<std::string>>();
      out.push_back(std::move(message));
    }
    return out;
  }();
  return all;
}

}  // namespace trunkgate::test
