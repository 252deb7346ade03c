// The payloads of IKEv2 as plain values (RFC 7296 3). Bytes are as on the wire; numbers are in host order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "config/ike_proposal.hpp"
#include "dataplane/core/ip.hpp"

namespace trunkgate::ike {

using bytes = std::vector<std::uint8_t>;
using byte_view = std::span<const std::uint8_t>;

enum class exchange_type : std::uint8_t {
  ike_sa_init = 34,
  ike_auth = 35,
  create_child_sa = 36,
  informational = 37,
  ike_intermediate = 43,  // RFC 9242
  ike_followup_ke = 44,   // RFC 9370
};

enum class payload_type : std::uint8_t {
  none = 0,
  sa = 33,
  key_exchange = 34,
  id_initiator = 35,
  id_responder = 36,
  certificate = 37,
  certificate_request = 38,
  authentication = 39,
  nonce = 40,
  notify = 41,
  remove = 42,
  vendor_id = 43,
  ts_initiator = 44,
  ts_responder = 45,
  encrypted = 46,
  configuration = 47,
  eap = 48,
  encrypted_fragment = 53,  // RFC 7383
};

enum class protocol_id : std::uint8_t { none = 0, ike = 1, ah = 2, esp = 3 };

// In transform_choice::key_bits: the transform came with an attribute that we do not know, or with Key Length twice or
// 0. RFC 7296 3.3.6: such a transform is not to be chosen, while the others of its proposal may be. It stays in the
// list, and because no algorithm has keys of that size it is equal to nothing that we would choose.
inline constexpr std::uint16_t unusable_transform = 65535;

struct proposal {
  std::uint8_t number = 1;
  protocol_id protocol{};
  bytes spi;                                 // none in the first IKE_SA_INIT
  std::vector<transform_choice> transforms;  // in the sender's order
  friend bool operator==(const proposal&, const proposal&) = default;
};

struct sa_payload {
  std::vector<proposal> proposals;
  friend bool operator==(const sa_payload&, const sa_payload&) = default;
};
struct key_exchange_payload {
  std::uint16_t method = 0;
  bytes data;
  friend bool operator==(const key_exchange_payload&, const key_exchange_payload&) = default;
};
enum class id_type : std::uint8_t { ipv4 = 1, fqdn = 2, rfc822 = 3, ipv6 = 5, dn = 9, gn = 10, key_id = 11 };
struct id_payload {
  id_type type{};
  bytes data;
  friend bool operator==(const id_payload&, const id_payload&) = default;
};
inline constexpr std::uint8_t cert_x509 = 4, cert_crl = 7, cert_ocsp = 14, cert_hash_and_url = 12;
struct certificate_payload {
  std::uint8_t encoding = 0;
  bytes data;
  friend bool operator==(const certificate_payload&, const certificate_payload&) = default;
};
struct certificate_request_payload {
  std::uint8_t encoding = 0;
  bytes authorities;  // of X.509: SHA-1 hashes of the issuers' public keys
  friend bool operator==(const certificate_request_payload&, const certificate_request_payload&) = default;
};
inline constexpr std::uint8_t auth_rsa = 1, auth_psk = 2, auth_ecdsa256 = 9, auth_ecdsa384 = 10, auth_ecdsa521 = 11,
                              auth_null = 13, auth_signature = 14;
struct authentication_payload {
  std::uint8_t method = 0;
  bytes data;
  friend bool operator==(const authentication_payload&, const authentication_payload&) = default;
};
struct nonce_payload {
  bytes data;
  friend bool operator==(const nonce_payload&, const nonce_payload&) = default;
};
struct notify_payload {
  std::uint16_t type = 0;
  bytes data{};
  protocol_id protocol = protocol_id::none;
  bytes spi{};
  friend bool operator==(const notify_payload&, const notify_payload&) = default;
};
struct delete_payload {
  protocol_id protocol{};
  std::vector<bytes> spis;  // none: the IKE SA itself
  friend bool operator==(const delete_payload&, const delete_payload&) = default;
};
struct vendor_id_payload {
  bytes data;
  friend bool operator==(const vendor_id_payload&, const vendor_id_payload&) = default;
};
struct traffic_selector {
  std::uint8_t protocol = 0;  // 0: any
  // Of ICMP: type << 8 | code. First 65535 and last 0: OPAQUE (RFC 7296 3.13.1).
  std::uint16_t first_port = 0, last_port = 65535;
  ip_range addresses;
  friend bool operator==(const traffic_selector&, const traffic_selector&) = default;
};
// `initiator` says which of the two it is: TSi or TSr; so with the ids.
// A selector of another type than IPv4 or IPv6 range is left out when it is read: it is one that nothing can match, so
// a peer that sends no other gets TS_UNACCEPTABLE, as does one that sends none at all.
struct ts_payload {
  bool initiator = false;
  std::vector<traffic_selector> selectors;
  friend bool operator==(const ts_payload&, const ts_payload&) = default;
};
struct id_of {
  bool initiator = false;
  id_payload id;
  // As received: RESERVED means nothing, but AUTH is computed over the whole body (RFC 7296 2.15).
  std::array<std::uint8_t, 3> reserved{};
  friend bool operator==(const id_of&, const id_of&) = default;
};
struct unknown_payload {  // known by number only; configuration and EAP payloads are such too
  payload_type type{};
  bool critical = false;
  friend bool operator==(const unknown_payload&, const unknown_payload&) = default;
};

using payload = std::variant<sa_payload, key_exchange_payload, id_of, certificate_payload, certificate_request_payload,
                             authentication_payload, nonce_payload, notify_payload, delete_payload, vendor_id_payload,
                             ts_payload, unknown_payload>;
using payloads = std::vector<payload>;

// The first payload of a kind; nullptr: there is none.
template <class Kind>
[[nodiscard]] const Kind* find(const payloads& in) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<Kind>(&one)) return found;
  return nullptr;
}
[[nodiscard]] inline const notify_payload* find_notify(const payloads& in, std::uint16_t type) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<notify_payload>(&one); found && found->type == type) return found;
  return nullptr;
}
[[nodiscard]] inline const id_payload* find_id(const payloads& in, bool initiator) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<id_of>(&one); found && found->initiator == initiator) return &found->id;
  return nullptr;
}
// With what AUTH needs besides: encode_body() of it is IDi' or IDr' as it was on the wire.
[[nodiscard]] inline const id_of* find_id_of(const payloads& in, bool initiator) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<id_of>(&one); found && found->initiator == initiator) return found;
  return nullptr;
}
[[nodiscard]] inline const ts_payload* find_ts(const payloads& in, bool initiator) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<ts_payload>(&one); found && found->initiator == initiator) return found;
  return nullptr;
}

}  // namespace trunkgate::ike
