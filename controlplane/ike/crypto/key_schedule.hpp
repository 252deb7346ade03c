// From shared secrets to keys (RFC 7296 2.14, 2.17, 2.18; RFC 9370 2.2.2 to 2.2.4; RFC 8784 3).
#pragma once

#include <cstdint>
#include <span>

#include "config/ike_proposal.hpp"
#include "controlplane/ike/crypto/prf.hpp"
#include "dataplane/core/secret.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate::ike {

// What an IKE SA's proposal was settled to.
struct ike_suite {
  transform_choice encryption;
  std::uint16_t prf = 0, integrity = 0, key_exchange = 0;
};

struct ike_keys {
  secret d;       // SK_d
  secret ai, ar;  // SK_a; empty with AEAD
  secret ei, er;  // SK_e with its salt
  secret pi, pr;  // SK_p
};

struct exchange_context {
  byte_view initiator_nonce, responder_nonce;
  std::uint64_t initiator_spi = 0, responder_spi = 0;
};

// Of the first exchange: SKEYSEED = prf(Ni | Nr, g^ir).
[[nodiscard]] ike_keys first_keys(const ike_suite& suite, const exchange_context& context, byte_view shared);
// After each additional key exchange in IKE_INTERMEDIATE: SKEYSEED(n) = prf(SK_d(n-1), SK(n) | Ni | Nr).
[[nodiscard]] ike_keys next_keys(const ike_suite& suite, const exchange_context& context, const secret& sk_d,
                                 byte_view shared);
// Of a rekeyed IKE SA: SKEYSEED = prf(old SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n)), with the old SA's PRF; nonces
// and SPIs of the new one. `shared` has SK(0) first.
[[nodiscard]] ike_keys rekeyed_keys(const ike_suite& suite, std::uint16_t old_prf, const secret& old_sk_d,
                                    const exchange_context& context, std::span<const secret> shared);
// ESP keys in the order of esp_suite_info::key_material(): cipher key, salt, authentication key.
struct child_keys {
  secret to_responder, to_initiator;
};
// KEYMAT = prf+(SK_d, SK(0) | Ni | Nr | SK(1) ...). `shared` is empty without a key exchange of the child's own.
[[nodiscard]] child_keys derive_child_keys(std::uint16_t prf, const secret& sk_d, byte_view initiator_nonce,
                                           byte_view responder_nonce, std::span<const secret> shared, esp_suite suite);

}  // namespace trunkgate::ike
