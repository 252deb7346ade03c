// The ESP suites the gateway knows: one row per suite, from which configuration, engines, sizes and output are derived.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace trunkgate {

enum class esp_suite : std::uint8_t {
  aes128gcm16,
  aes256gcm16,
  aes128cbc_sha1,  // HMAC-SHA1-96, RFC 2404
  aes256cbc_sha1,
  aes128cbc_sha256,  // HMAC-SHA2-256-128, RFC 4868
  aes256cbc_sha256,
};
inline constexpr std::size_t esp_suite_count = 6;

struct esp_suite_info {
  esp_suite suite;
  std::string_view name;    // in configuration and all output
  std::uint8_t cipher_key;  // bytes
  std::uint8_t salt;        // bytes; AEAD only (RFC 4106 4)
  std::uint8_t auth_key;    // bytes; 0 for AEAD
  std::uint8_t iv;          // bytes on the wire
  std::uint8_t icv;         // bytes on the wire
  std::uint8_t block;       // the payload with its trailer is padded to a multiple of this
  bool aead;

  // What the operator gives as one key: cipher key, then salt or authentication key.
  [[nodiscard]] constexpr unsigned key_material() const { return unsigned{cipher_key} + salt + auth_key; }
};

inline constexpr std::array<esp_suite_info, esp_suite_count> esp_suites{{
    {esp_suite::aes128gcm16, "aes128gcm16", 16, 4, 0, 8, 16, 4, true},
    {esp_suite::aes256gcm16, "aes256gcm16", 32, 4, 0, 8, 16, 4, true},
    {esp_suite::aes128cbc_sha1, "aes128cbc-sha1", 16, 0, 20, 16, 12, 16, false},
    {esp_suite::aes256cbc_sha1, "aes256cbc-sha1", 32, 0, 20, 16, 12, 16, false},
    {esp_suite::aes128cbc_sha256, "aes128cbc-sha256", 16, 0, 32, 16, 16, 16, false},
    {esp_suite::aes256cbc_sha256, "aes256cbc-sha256", 32, 0, 32, 16, 16, 16, false},
}};

[[nodiscard]] constexpr const esp_suite_info& info(esp_suite suite) {
  return esp_suites[static_cast<std::size_t>(suite)];
}

[[nodiscard]] constexpr std::optional<esp_suite> find_esp_suite(std::string_view name) {
  for (const auto& row : esp_suites)
    if (row.name == name) return row.suite;
  return std::nullopt;
}

}  // namespace trunkgate
