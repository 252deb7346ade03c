// What the parts of the OpenSSL engine share.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::openssl {

inline constexpr std::size_t hmac_block_limit = 128;  // SHA-384's and SHA-512's; SHA-1 and SHA-256 have half of it

// Bytes of the block that the suite's hash works on: what HMAC pads its key to (RFC 2104 2).
[[nodiscard]] constexpr std::size_t hmac_block(const esp_suite_info& row) { return row.auth_key > 32 ? 128 : 64; }

// The key as given, and HMAC's two padded blocks, so that a packet needs no allocation for HMAC's key.
class alignas(64) prepared_key final : public esp_key {
 public:
  prepared_key(const esp_engine& made_by, esp_suite s, bool extended, std::span<const std::uint8_t> material);
  ~prepared_key() override;

  std::uint8_t cipher[32] = {};
  std::uint8_t salt[4] = {};
  std::uint8_t inner[hmac_block_limit] = {};
  std::uint8_t outer[hmac_block_limit] = {};
};

[[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor();

}  // namespace trunkgate::openssl
