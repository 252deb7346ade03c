// Project Wycheproof's cases, which look for the mistakes that others made. Few have the form of an ESP packet; those
// that can be given it run through every engine, the others through the judge alone. How many ran is asserted.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/crypto/one_packet.hpp"

namespace trunkgate::test {
namespace {

TEST(wycheproof, gcm) {
  const auto engines = all_engines();
  std::size_t whole = 0;
  const auto vectors = read_vectors("wycheproof_aes_gcm.json");
  EXPECT_EQ(vectors["tests"].size(), 197u);
  for (const auto& v : vectors["tests"])
    if (check_aead_case(engines, suite_of("aes", unhex(v["key"]).size(), "gcm16"), v)) ++whole;
  EXPECT_GE(whole, 5u);
}

TEST(wycheproof, chacha20_poly1305) {
  const auto engines = all_engines();
  std::size_t whole = 0;
  const auto vectors = read_vectors("wycheproof_chacha20_poly1305.json");
  EXPECT_EQ(vectors["tests"].size(), 316u);
  for (const auto& v : vectors["tests"])
    if (check_aead_case(engines, esp_suite::chacha20poly1305, v)) ++whole;
  EXPECT_GE(whole, 47u);
}

// No message holds its own IV as an ESP packet would: the judge alone, by which the engines are judged elsewhere.
TEST(wycheproof, gmac) {
  const auto vectors = read_vectors("wycheproof_aes_gmac.json");
  EXPECT_EQ(vectors["tests"].size(), 207u);
  for (const auto& v : vectors["tests"])
    EXPECT_EQ(gmac(unhex(v["key"]), unhex(v["iv"]), unhex(v["msg"])) == unhex(v["tag"]), v["result"] == "valid") << v;
}

bool pkcs5_padded(const bytes& text) {
  if (text.empty() || text.back() == 0 || text.back() > 16 || text.back() > text.size()) return false;
  return std::all_of(text.end() - text.back(), text.end(), [&](auto byte) { return byte == text.back(); });
}

// The cases pad by PKCS #5, ESP pads by itself: an engine shows the padded text, and the padding is looked at here.
TEST(wycheproof, cbc) {
  const auto engines = all_engines();
  std::size_t ran = 0;
  const auto vectors = read_vectors("wycheproof_aes_cbc.json");
  EXPECT_EQ(vectors["tests"].size(), 216u);
  for (const auto& v : vectors["tests"]) {
    const auto key = unhex(v["key"]), text = unhex(v["ct"]), message = unhex(v["msg"]);
    const bool valid = v["result"] == "valid";
    if (text.size() % 16 != 0) continue;
    ++ran;
    for (const auto* auth : {"-sha1", "-sha256", "-sha384", "-sha512"}) {
      const auto suite = suite_of("aes", key.size(), std::string("cbc") + auth);
      const auto& row = info(suite);
      const auto material = key + bytes(row.auth_key, 3);
      const auto covered = bytes(8, 9) + unhex(v["iv"]) + text;
      const auto icv = part(hmac(row.auth, bytes(row.auth_key, 3), covered), 0, row.icv);
      for (const auto& engine : engines) {
        if (!engine->supports(suite)) continue;
        auto packet = covered + icv;
        EXPECT_TRUE(decrypt(*engine, *engine->prepare(suite, material, false).value(), packet)) << engine->name() << v;
        const auto clear = part(packet, 24, text.size());
        const bool right = pkcs5_padded(clear) && part(clear, 0, clear.size() - clear.back()) == message;
        EXPECT_EQ(right, valid) << engine->name() << v;
      }
    }
  }
  EXPECT_GE(ran, 200u);
}

// Any message of eight bytes and more is an ESP packet without cipher, and of twelve and more one whose last four bytes
// are the high half of the sequence number. An engine must judge its tag as Wycheproof does.
void hmac_cases(const std::string& hash, std::size_t least) {
  const auto suite = find_esp_suite("null-" + hash).value();
  const auto& row = info(suite);
  const auto engines = all_engines();
  std::size_t whole = 0;
  const auto vectors = read_vectors("wycheproof_hmac_" + hash + ".json");
  for (const auto& v : vectors["tests"]) {
    const auto key = unhex(v["key"]), message = unhex(v["msg"]), tag = unhex(v["tag"]);
    const bool valid = v["result"] == "valid";
    auto computed = hmac(row.auth, key, message);
    computed.resize(tag.size());
    EXPECT_EQ(computed == tag, valid) << v;
    if (tag.size() < row.icv) continue;
    const bool expected = std::equal(tag.begin(), tag.begin() + row.icv, computed.begin());
    for (const std::size_t tail : {0u, 4u}) {
      if (message.size() < 8 + tail) continue;
      ++whole;
      for (const auto& engine : engines) {
        if (!engine->supports(suite)) continue;
        const auto prepared = engine->prepare(suite, key, tail != 0).value();
        auto packet = part(message, 0, message.size() - tail) + part(tag, 0, row.icv);
        const auto high = tail != 0 ? number(message, message.size() - 4) : 0;
        EXPECT_EQ(decrypt(*engine, *prepared, packet, high), expected) << engine->name() << v;
      }
    }
  }
  EXPECT_GE(whole, least);
}

TEST(wycheproof, hmac_sha1) { hmac_cases("sha1", 88); }
TEST(wycheproof, hmac_sha256) { hmac_cases("sha256", 176); }
TEST(wycheproof, hmac_sha384) { hmac_cases("sha384", 176); }
TEST(wycheproof, hmac_sha512) { hmac_cases("sha512", 176); }

}  // namespace
}  // namespace trunkgate::test
