// Published vectors: the judge against all of them, the engines against those that have, or can be given, ESP's form.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

bytes operator+(bytes left, const bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

bool decrypt(const esp_engine& engine, const esp_key& key, bytes& packet, std::uint32_t high = 0) {
  const auto& row = info(key.suite);
  esp_op op{packet.data(), static_cast<std::uint32_t>(packet.size() - 8 - row.iv - row.icv), high, &key, false};
  esp_op* const ops[] = {&op};
  engine.make_processor().value()->decrypt(ops);
  return op.ok;
}

bytes encrypt(const esp_engine& engine, const esp_key& key, const bytes& clear, std::uint32_t high = 0) {
  const auto& row = info(key.suite);
  auto packet = clear + bytes(row.icv);
  esp_op op{packet.data(), static_cast<std::uint32_t>(clear.size() - 8 - row.iv), high, &key, false};
  esp_op* const ops[] = {&op};
  engine.make_processor().value()->encrypt(ops);
  EXPECT_TRUE(op.ok);
  return packet;
}

std::uint32_t number(const bytes& at, std::size_t from) {
  return std::uint32_t{at[from]} << 24 | std::uint32_t{at[from + 1]} << 16 | std::uint32_t{at[from + 2]} << 8 |
         at[from + 3];
}

esp_suite gcm_suite(const bytes& key) { return key.size() == 16 ? esp_suite::aes128gcm16 : esp_suite::aes256gcm16; }

TEST(crypto_vectors, esp_gcm) {
  const auto engines = all_engines();
  for (const auto& v : read_vectors("esp_gcm.json")) {
    const auto key = unhex(v["key"]), iv = unhex(v["iv"]), aad = unhex(v["aad"]), plain = unhex(v["plaintext"]);
    const bool esn = aad.size() == 12;
    const auto high = esn ? number(aad, 4) : 0;
    const auto header = bytes(aad.begin(), aad.begin() + 4) + bytes(aad.end() - 4, aad.end()) + iv;
    const auto sealed = header + unhex(v["ciphertext"]) + unhex(v["icv"]);
    const auto material = key + unhex(v["salt"]);
    EXPECT_EQ(esp_seal(gcm_suite(key), material, esn, high, header + plain), sealed);
    for (const auto& engine : engines) {
      const auto prepared = engine->prepare(gcm_suite(key), material, esn).value();
      EXPECT_EQ(encrypt(*engine, *prepared, header + plain, high), sealed) << engine->name() << v;
      auto packet = sealed;
      EXPECT_TRUE(decrypt(*engine, *prepared, packet, high)) << engine->name() << v;
      EXPECT_TRUE(std::ranges::equal(std::span(packet).first(header.size() + plain.size()), header + plain));
    }
  }
}

TEST(crypto_vectors, esp_cbc) {
  const auto engines = all_engines();
  for (const auto& v : read_vectors("esp_cbc.json")) {
    const auto key = unhex(v["key"]), iv = unhex(v["iv"]), plain = unhex(v["plaintext"]);
    EXPECT_EQ(cbc_encrypt(key, iv, plain), unhex(v["ciphertext"]));
    const auto header = bytes{0, 0, 0x43, 0x21, 0, 0, 0, 1} + iv;
    for (const auto suite : {esp_suite::aes128cbc_sha1, esp_suite::aes128cbc_sha256})
      for (const auto& engine : engines) {
        if (!engine->supports(suite)) continue;
        const auto prepared = engine->prepare(suite, key + bytes(info(suite).auth_key, 7), false).value();
        const auto packet = encrypt(*engine, *prepared, header + plain);
        EXPECT_TRUE(std::ranges::equal(std::span(packet).subspan(header.size(), plain.size()), unhex(v["ciphertext"])))
            << engine->name() << v;
      }
  }
}

TEST(crypto_vectors, judge_knows_hmac) {
  for (const auto& v : read_vectors("hmac.json")) {
    const auto tag = unhex(v["tag"]);
    auto computed =
        hmac(v["hash"] == "sha1" ? esp_auth::hmac_sha1 : esp_auth::hmac_sha256, unhex(v["key"]), unhex(v["message"]));
    computed.resize(tag.size());
    EXPECT_EQ(computed, tag) << v;
  }
}

// Wycheproof's cases are no ESP packets. The judge must know all of them. An engine's ciphertext does not depend on the
// associated data, so every valid case checks it; the tag is checked where the associated data has ESP's length.
TEST(crypto_vectors, wycheproof_gcm) {
  const auto engines = all_engines();
  std::size_t whole = 0;
  const auto vectors = read_vectors("wycheproof_aes_gcm.json");
  for (const auto& v : vectors["tests"]) {
    const auto key = unhex(v["key"]), nonce = unhex(v["iv"]), aad = unhex(v["aad"]), plain = unhex(v["msg"]);
    const auto text = unhex(v["ct"]), tag = unhex(v["tag"]);
    const bool valid = v["result"] == "valid";
    EXPECT_EQ(gcm_seal(key, nonce, aad, plain) == text + tag, valid) << v;
    const bool esp_form = aad.size() == 8 || aad.size() == 12;
    const bool esn = aad.size() == 12;
    auto header = esp_form ? bytes(aad.begin(), aad.begin() + 4) + bytes(aad.end() - 4, aad.end()) : bytes(8, 1);
    header = header + bytes(nonce.begin() + 4, nonce.end());
    const auto material = key + bytes(nonce.begin(), nonce.begin() + 4);
    whole += esp_form ? 1 : 0;
    for (const auto& engine : engines) {
      const auto prepared = engine->prepare(gcm_suite(key), material, esn).value();
      if (valid) {
        const auto packet = encrypt(*engine, *prepared, header + plain, esn ? number(aad, 4) : 0);
        EXPECT_TRUE(std::ranges::equal(std::span(packet).subspan(16, text.size()), text)) << engine->name() << v;
      }
      auto sealed = header + text + tag;
      if (!esp_form) continue;
      EXPECT_EQ(decrypt(*engine, *prepared, sealed, esn ? number(aad, 4) : 0), valid) << engine->name() << v;
    }
  }
  EXPECT_GE(whole, 4u);
}

// A message whose length is that of header, IV and whole blocks, possibly with the high half of the sequence number
// behind, is the authenticated part of an ESP packet; the engine must judge its tag as Wycheproof does.
void wycheproof_hmac(const std::string& file, bool sha1) {
  const auto suite = sha1 ? esp_suite::aes128cbc_sha1 : esp_suite::aes128cbc_sha256;
  const auto& row = info(suite);
  const auto engines = all_engines();
  std::size_t whole = 0;
  const auto vectors = read_vectors(file);
  for (const auto& v : vectors["tests"]) {
    const auto key = unhex(v["key"]), message = unhex(v["msg"]), tag = unhex(v["tag"]);
    const bool valid = v["result"] == "valid";
    auto computed = hmac(row.auth, key, message);
    computed.resize(tag.size());
    EXPECT_EQ(computed == tag, valid) << v;
    for (const std::size_t tail : {0u, 4u}) {
      if (message.size() < 24 + tail || (message.size() - 24 - tail) % 16 != 0 || tag.size() < row.icv) continue;
      const bool expected = std::equal(tag.begin(), tag.begin() + row.icv, computed.begin());
      ++whole;
      for (const auto& engine : engines) {
        if (!engine->supports(suite)) continue;
        const auto prepared = engine->prepare(suite, bytes(16) + key, tail != 0).value();
        auto packet = bytes(message.begin(), message.end() - static_cast<std::ptrdiff_t>(tail)) +
                      bytes(tag.begin(), tag.begin() + row.icv);
        const auto high = tail != 0 ? number(message, message.size() - 4) : 0;
        EXPECT_EQ(decrypt(*engine, *prepared, packet, high), expected) << engine->name() << v;
      }
    }
  }
  EXPECT_GE(whole, 1u);
}

TEST(crypto_vectors, wycheproof_hmac_sha1) { wycheproof_hmac("wycheproof_hmac_sha1.json", true); }
TEST(crypto_vectors, wycheproof_hmac_sha256) { wycheproof_hmac("wycheproof_hmac_sha256.json", false); }

}  // namespace
}  // namespace trunkgate::test
