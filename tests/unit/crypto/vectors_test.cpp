// The RFCs' and NIST's vectors: the judge against all of them, the engines against those that have, or can be given,
// ESP's form.
#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "tests/unit/crypto/one_packet.hpp"

namespace trunkgate::test {
namespace {

const std::map<std::string, esp_auth> auths{{"sha1", esp_auth::hmac_sha1},
                                            {"sha256", esp_auth::hmac_sha256},
                                            {"sha384", esp_auth::hmac_sha384},
                                            {"sha512", esp_auth::hmac_sha512}};

// Whole ESP packets of a combined mode. Without "ciphertext" nothing is encrypted.
void esp_combined(const std::string& file, const std::string& prefix, const std::string& suffix) {
  const auto engines = all_engines();
  const auto vectors = read_vectors(file);
  EXPECT_GE(vectors.size(), 1u);
  for (const auto& v : vectors) {
    const auto key = unhex(v["key"]), iv = unhex(v["iv"]), aad = unhex(v["aad"]), plain = unhex(v["plaintext"]);
    const auto suite = suffix.empty() ? find_esp_suite(prefix).value() : suite_of(prefix, key.size(), suffix);
    const bool esn = aad.size() == 12;
    const auto high = esn ? number(aad, 4) : 0;
    const auto header = part(aad, 0, 4) + part(aad, aad.size() - 4, 4) + iv;
    const auto sealed = header + (v.contains("ciphertext") ? unhex(v["ciphertext"]) : plain) + unhex(v["icv"]);
    const auto material = key + unhex(v["salt"]);
    EXPECT_EQ(esp_seal(suite, material, esn, high, header + plain), sealed) << v;
    for (const auto& engine : engines) {
      if (!engine->supports(suite)) continue;
      const auto prepared = engine->prepare(suite, material, esn).value();
      EXPECT_EQ(encrypt(*engine, *prepared, header + plain, high), sealed) << engine->name() << v;
      auto packet = sealed;
      EXPECT_TRUE(decrypt(*engine, *prepared, packet, high)) << engine->name() << v;
      EXPECT_EQ(part(packet, 0, header.size() + plain.size()), header + plain) << engine->name() << v;
    }
  }
}

TEST(crypto_vectors, esp_gcm) { esp_combined("esp_gcm.json", "aes", "gcm16"); }
TEST(crypto_vectors, esp_gmac) { esp_combined("esp_gmac.json", "aes", "gmac"); }
TEST(crypto_vectors, esp_chacha20_poly1305) { esp_combined("esp_chacha20_poly1305.json", "chacha20poly1305", ""); }

// A cipher's vector through every suite that has the cipher: the same text, there and back, whatever authenticates it.
void through_suites(std::span<const std::unique_ptr<esp_engine>> engines, esp_cipher cipher, const bytes& key,
                    const bytes& salt, const bytes& iv, const bytes& plain, const bytes& text) {
  const auto header = bytes{0, 0, 0x43, 0x21, 0, 0, 0, 1} + iv;
  std::size_t suites = 0;
  for (const auto& row : esp_suites) {
    if (row.cipher != cipher || row.cipher_key != key.size()) continue;
    ++suites;
    const auto material = key + salt + bytes(row.auth_key, 7);
    const auto judged = esp_seal(row.suite, material, false, 0, header + plain);
    EXPECT_EQ(part(judged, header.size(), text.size()), text) << row.name;
    for (const auto& engine : engines) {
      if (!engine->supports(row.suite)) continue;
      const auto prepared = engine->prepare(row.suite, material, false).value();
      auto packet = encrypt(*engine, *prepared, header + plain);
      EXPECT_EQ(packet, judged) << engine->name() << row.name;
      EXPECT_TRUE(decrypt(*engine, *prepared, packet)) << engine->name() << row.name;
      EXPECT_EQ(part(packet, header.size(), plain.size()), plain) << engine->name() << row.name;
    }
  }
  EXPECT_EQ(suites, cipher == esp_cipher::des3_cbc ? 2u : 4u);
}

TEST(crypto_vectors, esp_cbc) {
  const auto engines = all_engines();
  const auto vectors = read_vectors("esp_cbc.json");
  EXPECT_EQ(vectors.size(), 8u);
  for (const auto& v : vectors)
    through_suites(engines, esp_cipher::aes_cbc, unhex(v["key"]), {}, unhex(v["iv"]), unhex(v["plaintext"]),
                   unhex(v["ciphertext"]));
}

TEST(crypto_vectors, esp_ctr) {
  const auto engines = all_engines();
  const auto vectors = read_vectors("esp_ctr.json");
  EXPECT_EQ(vectors.size(), 9u);
  for (const auto& v : vectors)
    through_suites(engines, esp_cipher::aes_ctr, unhex(v["key"]), unhex(v["nonce"]), unhex(v["iv"]),
                   unhex(v["plaintext"]), unhex(v["ciphertext"]));
}

TEST(crypto_vectors, nist_cbc) {
  const auto engines = all_engines();
  const auto vectors = read_vectors("nist_cbc.json");
  EXPECT_EQ(vectors["tests"].size(), 80u);
  for (const auto& v : vectors["tests"])
    through_suites(engines, v["cipher"] == "aes" ? esp_cipher::aes_cbc : esp_cipher::des3_cbc, unhex(v["key"]), {},
                   unhex(v["iv"]), unhex(v["plaintext"]), unhex(v["ciphertext"]));
}

TEST(crypto_vectors, nist_gcm) {
  const auto engines = all_engines();
  const auto vectors = read_vectors("nist_gcm.json");
  EXPECT_EQ(vectors["tests"].size(), 450u);
  for (const auto& v : vectors["tests"]) check_aead_case(engines, suite_of("aes", unhex(v["key"]).size(), "gcm16"), v);
}

// A message whose key has the suite's size is an ESP packet without cipher.
TEST(crypto_vectors, hmac) {
  const auto engines = all_engines();
  std::map<std::string, int> whole;
  for (const auto& v : read_vectors("hmac.json")) {
    const std::string hash = v["hash"];
    const auto key = unhex(v["key"]), message = unhex(v["message"]), tag = unhex(v["tag"]);
    auto computed = hmac(auths.at(hash), key, message);
    computed.resize(tag.size());
    EXPECT_EQ(computed, tag) << v;
    const auto suite = find_esp_suite("null-" + hash).value();
    const auto& row = info(suite);
    if (key.size() != row.auth_key || message.size() < 8 || tag.size() < row.icv) continue;
    ++whole[hash];
    for (const auto& engine : engines) {
      if (!engine->supports(suite)) continue;
      const auto prepared = engine->prepare(suite, key, false).value();
      EXPECT_EQ(encrypt(*engine, *prepared, message), message + part(tag, 0, row.icv)) << engine->name() << v;
    }
  }
  EXPECT_GE(whole["sha1"], 2);
  EXPECT_EQ(whole["sha256"], 4);  // RFC 4868's, all of them
  EXPECT_EQ(whole["sha384"], 4);
  EXPECT_EQ(whole["sha512"], 4);
}

}  // namespace
}  // namespace trunkgate::test
