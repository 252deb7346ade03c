// What the files of this folder share of OpenSSL: owners, algorithms that are fetched once, and what a failure means.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "dataplane/core/secret.hpp"

namespace trunkgate::ike::openssl {

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using number = std::unique_ptr<BIGNUM, freer<BN_free>>;
using cipher = std::unique_ptr<EVP_CIPHER, freer<EVP_CIPHER_free>>;
using cipher_context = std::unique_ptr<EVP_CIPHER_CTX, freer<EVP_CIPHER_CTX_free>>;  // wipes what it held
using mac_context = std::unique_ptr<EVP_MAC_CTX, freer<EVP_MAC_CTX_free>>;           // likewise
using key_pair = std::unique_ptr<EVP_PKEY, freer<EVP_PKEY_free>>;                    // likewise
using key_context = std::unique_ptr<EVP_PKEY_CTX, freer<EVP_PKEY_CTX_free>>;

// For calls that fail only by our own mistake or for want of memory. To go on would be to use a wrong key or to send
// something in clear, so the program ends.
void must(bool done, const char* what);

// What OpenSSL says about a peer's bad value stays out of the thread's error queue, which TLS reads too.
class quiet_errors {
 public:
  quiet_errors() { ERR_set_mark(); }
  ~quiet_errors() { ERR_pop_to_mark(); }
  quiet_errors(const quiet_errors&) = delete;
  quiet_errors& operator=(const quiet_errors&) = delete;
};

// Working space for key bytes.
struct scratch : std::vector<std::uint8_t> {
  using vector::vector;
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  ~scratch() {
    if (!empty()) wipe(data(), size());
  }
};

enum class hash : std::uint8_t { sha1, sha256, sha384, sha512 };
inline constexpr std::size_t hash_count = 4, largest_hash = 64;
[[nodiscard]] constexpr std::size_t hash_size(hash which) {
  return std::array<std::size_t, hash_count>{20, 32, 48, 64}[static_cast<std::size_t>(which)];
}

// HMAC (RFC 2104) of parts that come one after the other. The key goes with the object.
class hmac {
 public:
  hmac(hash which, std::span<const std::uint8_t> key);
  hmac& add(std::span<const std::uint8_t> part);
  // Writes hash_size octets. Further parts begin another message under the same key.
  void finish(std::span<std::uint8_t> out);

 private:
  mac_context context_;
};

enum class cipher_kind : std::uint8_t {
  aes128_gcm,
  aes192_gcm,
  aes256_gcm,
  chacha20_poly1305,
  aes128_cbc,
  aes192_cbc,
  aes256_cbc,
  des3_cbc,
};
inline constexpr std::size_t cipher_count = 8;
[[nodiscard]] const EVP_CIPHER* fetched(cipher_kind which);

}  // namespace trunkgate::ike::openssl
