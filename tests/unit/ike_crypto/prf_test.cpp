// The PRFs against the RFCs' HMAC vectors, prf+ against its definition; longer prf+ streams are in the key schedule's.
#include <map>

#include <gtest/gtest.h>

#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

using namespace transform_id;

const std::map<std::string, std::uint16_t> prfs{
    {"sha1", prf_hmac_sha1}, {"sha256", prf_hmac_sha256}, {"sha384", prf_hmac_sha384}, {"sha512", prf_hmac_sha512}};

TEST(prf, hmac_of_the_rfcs) {
  std::map<std::string, int> seen;
  for (const auto& v : read_vectors("hmac.json")) {
    const std::string hash = v["hash"];
    const auto key = unhex(v["key"]), message = unhex(v["message"]), tag = unhex(v["tag"]);
    auto whole = bytes_of(compute_prf(prfs.at(hash), key, {message}));
    EXPECT_EQ(whole.size(), prf_size(prfs.at(hash)));
    whole.resize(tag.size());
    EXPECT_EQ(whole, tag) << v;
    const byte_view view(message);
    auto in_parts = bytes_of(compute_prf(prfs.at(hash), key, {view.first(1), {}, view.subspan(1)}));
    in_parts.resize(tag.size());
    EXPECT_EQ(in_parts, tag) << v;
    ++seen[hash];
  }
  for (const auto& [hash, id] : prfs) EXPECT_GE(seen[hash], 5) << hash;
}

TEST(prf, sizes) {
  EXPECT_EQ(prf_size(prf_hmac_sha1), 20u);
  EXPECT_EQ(prf_size(prf_hmac_sha256), 32u);
  EXPECT_EQ(prf_size(prf_hmac_sha384), 48u);
  EXPECT_EQ(prf_size(prf_hmac_sha512), 64u);
  EXPECT_EQ(prf_size(0), 0u);
  EXPECT_EQ(prf_size(4), 0u);  // AES128-XCBC
}

TEST(prf, takes_an_empty_key_and_no_text) {
  // HMAC-SHA-256 of nothing under nothing
  EXPECT_EQ(bytes_of(compute_prf(prf_hmac_sha256, {}, {})),
            unhex("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"));
}

TEST(prf, plus_is_a_chain_of_prfs) {
  const octets key(40, 7), seed{1, 2, 3};
  for (const auto& [hash, id] : prfs) {
    const auto size = prf_size(id);
    octets expected, block;
    for (unsigned round = 1; round <= 255; ++round) {
      const auto count = static_cast<std::uint8_t>(round);
      block = bytes_of(compute_prf(id, key, {block, seed, {&count, 1}}));
      expected.insert(expected.end(), block.begin(), block.end());
    }
    EXPECT_EQ(bytes_of(compute_prf_plus(id, key, {seed}, 255 * size)), expected) << hash;
    EXPECT_EQ(bytes_of(compute_prf_plus(id, key, {{}, byte_view(seed).first(1), byte_view(seed).last(2)}, size + 1)),
              octets(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(size + 1)));
    EXPECT_EQ(compute_prf_plus(id, key, {seed}, 0).size(), 0u);
  }
}

TEST(prf_death, plus_ends_after_255_rounds) {
  EXPECT_DEATH((void)compute_prf_plus(prf_hmac_sha256, {}, {}, 255 * 32 + 1), "255 rounds");
  EXPECT_DEATH((void)compute_prf(4, {}, {}), "PRF that is not known");
}

}  // namespace
}  // namespace trunkgate::ike::test
