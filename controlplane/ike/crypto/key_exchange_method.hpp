// One key exchange method on OpenSSL: key pairs, values as they stand in KE payloads, shared secrets.
#pragma once

#include <cstdint>
#include <vector>

#include "controlplane/ike/crypto/openssl.hpp"
#include "controlplane/ike/crypto/prf.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

enum class method_family : std::uint8_t {
  modp,        // RFC 3526: a number, with leading zeros as long as the prime
  ecp,         // RFC 5903: x | y
  montgomery,  // RFC 8031: the curve's own form
  mlkem,       // draft-ietf-ipsecme-ikev2-mlkem: an encapsulation key, and a ciphertext back
};

struct key_exchange_method {
  std::uint16_t id;  // transform_id
  method_family family;
  const char* name;       // as in proposals
  const char* algorithm;  // OpenSSL's names
  const char* group;
  std::size_t initiator, responder;  // octets of the values
  std::size_t shared;                // octets of the secret
  int private_bits;                  // MODP: of the exponent
};

// Null: not a method we know.
[[nodiscard]] const key_exchange_method* find_method(std::uint16_t id);

[[nodiscard]] openssl::key_pair generate_key_pair(const key_exchange_method& method);
[[nodiscard]] std::vector<std::uint8_t> public_value(const key_exchange_method& method, const EVP_PKEY& key);

// What the initiator makes of the answer: Diffie-Hellman, or decapsulation (`answer` is the ciphertext).
[[nodiscard]] result<secret> derive_shared(const key_exchange_method& method, const EVP_PKEY& own, byte_view answer);

// What the responder makes of the initiator's value. A bad one costs no key pair.
struct answered {
  std::vector<std::uint8_t> public_value;
  secret shared;
};
[[nodiscard]] result<answered> answer_value(const key_exchange_method& method, byte_view from_initiator);

}  // namespace trunkgate::ike
