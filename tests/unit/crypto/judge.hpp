// The independent judge of the crypto tests: ESP protection written plainly with OpenSSL's one-shot calls.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::test {

using bytes = std::vector<std::uint8_t>;

[[nodiscard]] bytes unhex(const std::string& text);
[[nodiscard]] nlohmann::json read_vectors(const std::string& file);  // in tests/vectors

// AES-GCM and ChaCha20-Poly1305 with a 12-byte nonce: ciphertext, then tag.
[[nodiscard]] bytes gcm_seal(std::span<const std::uint8_t> key, const bytes& nonce, const bytes& aad,
                             std::span<const std::uint8_t> plain);
[[nodiscard]] bytes chacha_seal(std::span<const std::uint8_t> key, const bytes& nonce, const bytes& aad,
                                std::span<const std::uint8_t> plain);
[[nodiscard]] bytes gmac(std::span<const std::uint8_t> key, bytes nonce, const bytes& message);
[[nodiscard]] bytes cbc_encrypt(std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                                std::span<const std::uint8_t> plain);
[[nodiscard]] bytes des3_encrypt(std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                                 std::span<const std::uint8_t> plain);
// AES-CTR: a 12-byte nonce before a 32-bit block counter.
[[nodiscard]] bytes ctr_encrypt(std::span<const std::uint8_t> key, const bytes& nonce,
                                std::span<const std::uint8_t> plain, std::uint32_t first = 1);
[[nodiscard]] bytes hmac(esp_auth auth, std::span<const std::uint8_t> key, std::span<const std::uint8_t> message);

// A whole ESP packet, protected. `clear` is SPI, sequence number, IV and payload.
[[nodiscard]] bytes esp_seal(esp_suite suite, std::span<const std::uint8_t> material, bool esn,
                             std::uint32_t sequence_high, std::span<const std::uint8_t> clear);

// What the cipher makes of the text between IV and ICV, whether the ICV is right or not.
[[nodiscard]] bytes esp_decipher(esp_suite suite, std::span<const std::uint8_t> material,
                                 std::span<const std::uint8_t> iv, std::span<const std::uint8_t> text);

// Every engine that this machine can run.
[[nodiscard]] std::vector<std::unique_ptr<esp_engine>> all_engines();

}  // namespace trunkgate::test
