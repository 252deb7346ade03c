// The ESP suites the gateway knows: one row per suite, from which configuration, engines, sizes and output are derived.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace trunkgate {

enum class esp_cipher : std::uint8_t {
  aes_gcm,            // RFC 4106
  aes_gmac,           // RFC 4543: authenticates, does not encrypt
  chacha20_poly1305,  // RFC 7634
  aes_cbc,            // RFC 3602
  aes_ctr,            // RFC 3686
  null,               // RFC 2410
  des3_cbc,           // RFC 2451
};

enum class esp_auth : std::uint8_t {
  combined,     // the cipher authenticates by itself
  hmac_sha1,    // HMAC-SHA1-96, RFC 2404
  hmac_sha256,  // HMAC-SHA2-256-128, RFC 4868
  hmac_sha384,  // HMAC-SHA2-384-192
  hmac_sha512,  // HMAC-SHA2-512-256
};

enum class esp_suite : std::uint8_t {
  aes128gcm16,
  aes192gcm16,
  aes256gcm16,
  aes128gmac,
  aes192gmac,
  aes256gmac,
  chacha20poly1305,
  aes128cbc_sha1,
  aes192cbc_sha1,
  aes256cbc_sha1,
  aes128cbc_sha256,
  aes192cbc_sha256,
  aes256cbc_sha256,
  aes128cbc_sha384,
  aes192cbc_sha384,
  aes256cbc_sha384,
  aes128cbc_sha512,
  aes192cbc_sha512,
  aes256cbc_sha512,
  aes128ctr_sha1,
  aes192ctr_sha1,
  aes256ctr_sha1,
  aes128ctr_sha256,
  aes192ctr_sha256,
  aes256ctr_sha256,
  aes128ctr_sha384,
  aes192ctr_sha384,
  aes256ctr_sha384,
  aes128ctr_sha512,
  aes192ctr_sha512,
  aes256ctr_sha512,
  null_sha1,
  null_sha256,
  null_sha384,
  null_sha512,
  des3cbc_sha1,
  des3cbc_sha256,
};
inline constexpr std::size_t esp_suite_count = 37;

struct esp_suite_info {
  esp_suite suite;
  std::string_view name;  // in configuration and all output
  esp_cipher cipher;
  esp_auth auth;
  std::uint8_t cipher_key;    // bytes
  std::uint8_t salt;          // bytes; the part of the nonce that comes with the key (RFC 4106 4, RFC 3686 5.1)
  std::uint8_t auth_key;      // bytes; 0 for AEAD
  std::uint8_t iv;            // bytes on the wire
  std::uint8_t icv;           // bytes on the wire
  std::uint8_t block;         // the payload with its trailer is padded to a multiple of this
  bool aead;                  // a combined mode (RFC 4303 3.2.3)
  bool counter_iv;            // the IV is a counter that must be unique per key, not unpredictable
  bool manual_keys_need_lab;  // RFC 8221 3: not with keys by hand, which cannot promise unique IVs
  bool legacy;                // RFC 8221 5: to be had only by asking for it

  // What the operator gives as one key: cipher key, then salt, then authentication key.
  [[nodiscard]] constexpr unsigned key_material() const { return unsigned{cipher_key} + salt + auth_key; }
};

namespace suite_rows {

struct hmac_sizes {
  esp_auth auth;
  std::uint8_t key, icv;
};
inline constexpr hmac_sizes sha1{esp_auth::hmac_sha1, 20, 12}, sha256{esp_auth::hmac_sha256, 32, 16},
    sha384{esp_auth::hmac_sha384, 48, 24}, sha512{esp_auth::hmac_sha512, 64, 32};

constexpr esp_suite_info combined(esp_suite suite, std::string_view name, esp_cipher cipher, std::uint8_t key) {
  return {suite, name, cipher, esp_auth::combined, key, 4, 0, 8, 16, 4, true, true, true, false};
}
constexpr esp_suite_info gcm(esp_suite suite, std::string_view name, std::uint8_t key) {
  return combined(suite, name, esp_cipher::aes_gcm, key);
}
constexpr esp_suite_info gmac(esp_suite suite, std::string_view name, std::uint8_t key) {
  return combined(suite, name, esp_cipher::aes_gmac, key);
}
constexpr esp_suite_info cbc(esp_suite suite, std::string_view name, std::uint8_t key, hmac_sizes hmac) {
  return {suite, name, esp_cipher::aes_cbc, hmac.auth, key, 0, hmac.key, 16, hmac.icv, 16, false, false, false, false};
}
constexpr esp_suite_info ctr(esp_suite suite, std::string_view name, std::uint8_t key, hmac_sizes hmac) {
  return {suite, name, esp_cipher::aes_ctr, hmac.auth, key, 4, hmac.key, 8, hmac.icv, 4, false, true, true, false};
}
constexpr esp_suite_info null(esp_suite suite, std::string_view name, hmac_sizes hmac) {
  return {suite, name, esp_cipher::null, hmac.auth, 0, 0, hmac.key, 0, hmac.icv, 4, false, false, false, false};
}
constexpr esp_suite_info des3(esp_suite suite, std::string_view name, hmac_sizes hmac) {
  return {suite, name, esp_cipher::des3_cbc, hmac.auth, 24, 0, hmac.key, 8, hmac.icv, 8, false, false, false, true};
}

inline constexpr std::array<esp_suite_info, esp_suite_count> all{
    gcm(esp_suite::aes128gcm16, "aes128gcm16", 16),
    gcm(esp_suite::aes192gcm16, "aes192gcm16", 24),
    gcm(esp_suite::aes256gcm16, "aes256gcm16", 32),
    gmac(esp_suite::aes128gmac, "aes128gmac", 16),
    gmac(esp_suite::aes192gmac, "aes192gmac", 24),
    gmac(esp_suite::aes256gmac, "aes256gmac", 32),
    combined(esp_suite::chacha20poly1305, "chacha20poly1305", esp_cipher::chacha20_poly1305, 32),
    cbc(esp_suite::aes128cbc_sha1, "aes128cbc-sha1", 16, sha1),
    cbc(esp_suite::aes192cbc_sha1, "aes192cbc-sha1", 24, sha1),
    cbc(esp_suite::aes256cbc_sha1, "aes256cbc-sha1", 32, sha1),
    cbc(esp_suite::aes128cbc_sha256, "aes128cbc-sha256", 16, sha256),
    cbc(esp_suite::aes192cbc_sha256, "aes192cbc-sha256", 24, sha256),
    cbc(esp_suite::aes256cbc_sha256, "aes256cbc-sha256", 32, sha256),
    cbc(esp_suite::aes128cbc_sha384, "aes128cbc-sha384", 16, sha384),
    cbc(esp_suite::aes192cbc_sha384, "aes192cbc-sha384", 24, sha384),
    cbc(esp_suite::aes256cbc_sha384, "aes256cbc-sha384", 32, sha384),
    cbc(esp_suite::aes128cbc_sha512, "aes128cbc-sha512", 16, sha512),
    cbc(esp_suite::aes192cbc_sha512, "aes192cbc-sha512", 24, sha512),
    cbc(esp_suite::aes256cbc_sha512, "aes256cbc-sha512", 32, sha512),
    ctr(esp_suite::aes128ctr_sha1, "aes128ctr-sha1", 16, sha1),
    ctr(esp_suite::aes192ctr_sha1, "aes192ctr-sha1", 24, sha1),
    ctr(esp_suite::aes256ctr_sha1, "aes256ctr-sha1", 32, sha1),
    ctr(esp_suite::aes128ctr_sha256, "aes128ctr-sha256", 16, sha256),
    ctr(esp_suite::aes192ctr_sha256, "aes192ctr-sha256", 24, sha256),
    ctr(esp_suite::aes256ctr_sha256, "aes256ctr-sha256", 32, sha256),
    ctr(esp_suite::aes128ctr_sha384, "aes128ctr-sha384", 16, sha384),
    ctr(esp_suite::aes192ctr_sha384, "aes192ctr-sha384", 24, sha384),
    ctr(esp_suite::aes256ctr_sha384, "aes256ctr-sha384", 32, sha384),
    ctr(esp_suite::aes128ctr_sha512, "aes128ctr-sha512", 16, sha512),
    ctr(esp_suite::aes192ctr_sha512, "aes192ctr-sha512", 24, sha512),
    ctr(esp_suite::aes256ctr_sha512, "aes256ctr-sha512", 32, sha512),
    null(esp_suite::null_sha1, "null-sha1", sha1),
    null(esp_suite::null_sha256, "null-sha256", sha256),
    null(esp_suite::null_sha384, "null-sha384", sha384),
    null(esp_suite::null_sha512, "null-sha512", sha512),
    des3(esp_suite::des3cbc_sha1, "3descbc-sha1", sha1),
    des3(esp_suite::des3cbc_sha256, "3descbc-sha256", sha256),
};

}  // namespace suite_rows

inline constexpr const auto& esp_suites = suite_rows::all;

[[nodiscard]] constexpr const esp_suite_info& info(esp_suite suite) {
  return esp_suites[static_cast<std::size_t>(suite)];
}

static_assert(
    [] {
      for (std::size_t i = 0; i < esp_suite_count; ++i)
        if (esp_suites[i].suite != static_cast<esp_suite>(i)) return false;
      return true;
    }(),
    "rows in the order of the suites");

[[nodiscard]] constexpr std::optional<esp_suite> find_esp_suite(std::string_view name) {
  for (const auto& row : esp_suites)
    if (row.name == name) return row.suite;
  return std::nullopt;
}

}  // namespace trunkgate
