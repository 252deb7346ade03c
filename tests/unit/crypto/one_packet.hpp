// One packet through one engine, for tests that come with packets of their own.
#pragma once

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {

inline bytes operator+(bytes left, const bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// `packet` is SPI to ICV; when true, it holds the payload in clear.
inline bool decrypt(const esp_engine& engine, const esp_key& key, bytes& packet, std::uint32_t high = 0) {
  const auto& row = info(key.suite);
  esp_op op{packet.data(), static_cast<std::uint32_t>(packet.size() - 8 - row.iv - row.icv), high, &key, false};
  esp_op* const ops[] = {&op};
  engine.make_processor().value()->decrypt(ops);
  return op.ok;
}

// `clear` is SPI, sequence number, IV and payload.
inline bytes encrypt(const esp_engine& engine, const esp_key& key, const bytes& clear, std::uint32_t high = 0) {
  const auto& row = info(key.suite);
  auto packet = clear + bytes(row.icv);
  esp_op op{packet.data(), static_cast<std::uint32_t>(clear.size() - 8 - row.iv), high, &key, false};
  esp_op* const ops[] = {&op};
  engine.make_processor().value()->encrypt(ops);
  EXPECT_TRUE(op.ok);
  return packet;
}

inline bytes part(const bytes& of, std::size_t from, std::size_t size) {
  return {of.begin() + static_cast<std::ptrdiff_t>(from), of.begin() + static_cast<std::ptrdiff_t>(from + size)};
}

inline std::uint32_t number(const bytes& at, std::size_t from) {
  return std::uint32_t{at[from]} << 24 | std::uint32_t{at[from + 1]} << 16 | std::uint32_t{at[from + 2]} << 8 |
         at[from + 3];
}

// The suite of a cipher with a key of that size; with an authentication, or "" for a combined mode.
inline esp_suite suite_of(const std::string& prefix, std::size_t key_bytes, const std::string& suffix) {
  return find_esp_suite(prefix + std::to_string(key_bytes * 8) + suffix).value();
}

// One case of an AEAD's published tests. The judge must know all of them. An engine's ciphertext does not depend on the
// associated data, so every valid case checks it; the tag is checked, and forgeries refused, where the associated data
// has ESP's length. True where it has.
inline bool check_aead_case(std::span<const std::unique_ptr<esp_engine>> engines, esp_suite suite,
                            const nlohmann::json& v) {
  const auto key = unhex(v["key"]), nonce = unhex(v["iv"]), aad = unhex(v["aad"]), plain = unhex(v["msg"]);
  const auto text = unhex(v["ct"]), tag = unhex(v["tag"]);
  const bool valid = v["result"] == "valid";
  const auto judged = info(suite).cipher == esp_cipher::aes_gcm ? gcm_seal(key, nonce, aad, plain)
                                                                : chacha_seal(key, nonce, aad, plain);
  EXPECT_TRUE(!valid || judged == text + tag) << v;
  const bool esp_form = aad.size() == 8 || aad.size() == 12;
  const bool esn = aad.size() == 12;
  const auto high = esn ? number(aad, 4) : 0;
  const auto header = (esp_form ? part(aad, 0, 4) + part(aad, aad.size() - 4, 4) : bytes(8, 1)) + part(nonce, 4, 8);
  for (const auto& engine : engines) {
    if (!engine->supports(suite)) continue;
    const auto prepared = engine->prepare(suite, key + part(nonce, 0, 4), esn).value();
    if (valid) {
      const auto packet = encrypt(*engine, *prepared, header + plain, high);
      EXPECT_EQ(part(packet, 16, text.size()), text) << engine->name() << v;
    }
    if (!esp_form) continue;
    auto sealed = header + text + tag;
    EXPECT_EQ(decrypt(*engine, *prepared, sealed, high), valid) << engine->name() << v;
    EXPECT_TRUE(!valid || part(sealed, 16, plain.size()) == plain) << engine->name() << v;
  }
  return esp_form;
}

}  // namespace trunkgate::test
