// What is done with a key once its bytes are here: sign, and compute a PRF.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "controlplane/keystore/client.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

struct evp_pkey_st;

namespace trunkgate {

// A private key of a kind that IKE signs with: RSA of 2,048 bits and more, ECDSA on P-256, P-384, P-521, Ed25519,
// Ed448. OpenSSL wipes it when it goes.
class private_key {
 public:
  using byte_view = std::span<const std::uint8_t>;

  // PEM: PKCS#8, PKCS#1 or SEC1; not encrypted. Text before and behind it is skipped.
  [[nodiscard]] static result<private_key> parse(byte_view pem);

  // SubjectPublicKeyInfo, DER.
  [[nodiscard]] result<std::vector<std::uint8_t>> public_key() const;
  // ECDSA as DER; PSS with a salt as long as the hash. Fails when the scheme is not one of this kind of key.
  [[nodiscard]] result<std::vector<std::uint8_t>> sign(signature_scheme scheme, byte_view octets) const;

 private:
  struct freer {
    void operator()(evp_pkey_st* key) const;
  };
  explicit private_key(evp_pkey_st* key) : key_(key) {}
  std::unique_ptr<evp_pkey_st, freer> key_;
};

// Both fail when `prf` is none that we know.
// prf(prf(PSK, "Key Pad for IKEv2"), octets): RFC 7296 2.15.
[[nodiscard]] result<secret> compute_psk_auth(std::uint16_t prf, const secret& psk,
                                              std::span<const std::uint8_t> octets);
// prf+(PPK, SK) for each of the three (RFC 8784 3), which must be as long as the PRF's output.
[[nodiscard]] result<keystore::mixed_keys> compute_mixed_keys(std::uint16_t prf, const secret& ppk,
                                                              std::span<const std::uint8_t> sk_d,
                                                              std::span<const std::uint8_t> sk_pi,
                                                              std::span<const std::uint8_t> sk_pr);

}  // namespace trunkgate
