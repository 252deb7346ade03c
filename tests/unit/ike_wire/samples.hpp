// Messages that the tests of this folder share: one with every payload that we write, and real ones of strongSwan.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/ike/wire/message.hpp"

namespace trunkgate::test {

using ike::byte_view;
using ike::bytes;

[[nodiscard]] bytes from_hex(std::string_view text);  // blanks between octets are allowed
[[nodiscard]] std::string to_hex(byte_view data);
[[nodiscard]] bytes filled(std::size_t size, std::uint8_t first);  // first, first + 1, ...

// Every kind of payload, and in each what it can hold: several proposals, long SPIs, both address families.
[[nodiscard]] ike::payloads rich_payloads();
[[nodiscard]] ike::header rich_header();

// tests/vectors/ike_strongswan.json
struct real_message {
  std::string name;
  std::vector<bytes> datagrams;  // several: fragments (RFC 7383)
  ike::payload_type first_inside = ike::payload_type::none;
  bytes inside;                     // what SK or all SKF had inside, decrypted
  std::vector<std::string> listed;  // as strongSwan's log lists the payloads: "SA", "No", "N(NATD_S_IP)"
};
[[nodiscard]] const std::vector<real_message>& real_messages();

}  // namespace trunkgate::test
