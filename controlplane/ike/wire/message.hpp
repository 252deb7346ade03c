// IKE messages to and from bytes. What is parsed here comes from anybody: every length is checked, and the limits below
// hold.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "controlplane/ike/wire/payload.hpp"

namespace trunkgate::ike {

inline constexpr std::size_t header_size = 28;
inline constexpr std::size_t message_limit = 65535;
inline constexpr std::size_t payloads_limit = 64;     // of one message
inline constexpr std::size_t proposals_limit = 64;    // of one SA payload
inline constexpr std::size_t transforms_limit = 128;  // of one proposal
inline constexpr std::size_t selectors_limit = 64;    // of one TS payload
inline constexpr std::size_t delete_spis_limit = 1024;

struct header {
  std::uint64_t initiator_spi = 0, responder_spi = 0;  // the eight octets read as a big-endian number
  std::uint8_t major_version = 2, minor_version = 0;
  exchange_type exchange{};
  bool from_initiator = false;  // I: sent by the original initiator of the IKE SA
  bool response = false;        // R
  bool higher_version = false;  // V
  std::uint32_t message_id = 0;
};

// Why a message is not believed, and the notify that an authenticated sender gets for it; 0: none, silence.
struct parse_error {
  std::string reason;
  std::uint16_t notify = 0;
  std::uint8_t critical_type = 0;  // of unsupported_critical_payload
};
template <class T>
using parsed = std::expected<T, parse_error>;

// The header alone, of `datagram` (without the non-ESP marker). Fails on less than 28 octets, on a length field that is
// not the datagram's, and on a major version other than 2 (notify invalid_major_version).
[[nodiscard]] parsed<header> parse_header(byte_view datagram);

// A message whose SK or SKF payload is still closed.
struct outer_message {
  header head;
  payloads clear;  // what stands before SK: all of IKE_SA_INIT
  // The encrypted payload's body (IV, ciphertext, ICV) starts here; 0: there is none. It reaches to the datagram's end.
  std::size_t body_offset = 0;
  payload_type first_inside = payload_type::none;
  std::uint16_t fragment = 0, fragments = 0;  // of SKF (RFC 7383 2.5), from 1; 0: SK
};
// Payloads of unknown type without the critical bit are left in as unknown_payload; with it they are an error
// (RFC 7296 2.5). Reserved bits are ignored.
[[nodiscard]] parsed<outer_message> parse_message(byte_view datagram);
// What an SK payload had inside.
[[nodiscard]] parsed<payloads> parse_payloads(payload_type first, byte_view chain);

struct payload_chain {
  payload_type first = payload_type::none;
  bytes data;
};
// All encoders take what a parser would take: inside the limits above, SPIs of their protocol's size, selectors with a
// range of one family; and it must fit, a payload in 65535 octets with its generic header, and so the message. Anything
// else is a mistake of ours (assert): whoever takes large data from a configuration, such as certificates, checks it.
[[nodiscard]] payload_chain encode_payloads(const payloads& all);
// A message in clear.
[[nodiscard]] bytes encode_message(const header& head, const payloads& all);
// The header and the generic header of SK (or of SKF with its fragment header), with all lengths as if `body_size`
// octets of IV, ciphertext and ICV followed: what AEAD authenticates (RFC 5282 5.1).
[[nodiscard]] bytes encode_encrypted_front(const header& head, payload_type first_inside, std::size_t body_size,
                                           std::uint16_t fragment = 0, std::uint16_t fragments = 0);
// The body of one payload, without its generic header: what AUTH is computed over (IDi' and IDr', RFC 7296 2.15).
[[nodiscard]] bytes encode_body(const payload& one);

}  // namespace trunkgate::ike
