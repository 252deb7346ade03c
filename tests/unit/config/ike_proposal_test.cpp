// Every word of a proposal, as IANA numbers it, and what is refused.
#include "config/ike_proposal.hpp"

#include <algorithm>
#include <array>
#include <tuple>

#include <gtest/gtest.h>

#include "dataplane/core/suite.hpp"

namespace trunkgate {
namespace {

using type = transform_type;

bool has(const proposal_settings& proposal, const transform_choice& wanted) {
  return std::ranges::contains(proposal.transforms, wanted);
}

struct word_row {
  const char* word;
  transform_choice transform;  // numbers: IANA's, and not those of the code under test
  const char* name = nullptr;  // what operators are shown, where it is another word
};

const word_row ike_encryption[] = {
    {"aes128gcm16", {type::encryption, 20, 128}},
    {"aes192gcm16", {type::encryption, 20, 192}},
    {"aes256gcm16", {type::encryption, 20, 256}},
    {"chacha20poly1305", {type::encryption, 28, 0}},
    {"aes128", {type::encryption, 12, 128}, "aes128cbc"},
    {"aes192", {type::encryption, 12, 192}, "aes192cbc"},
    {"aes256", {type::encryption, 12, 256}, "aes256cbc"},
    {"aes128cbc", {type::encryption, 12, 128}},
    {"aes192cbc", {type::encryption, 12, 192}},
    {"aes256cbc", {type::encryption, 12, 256}},
    {"3des", {type::encryption, 3, 0}},
    {"3descbc", {type::encryption, 3, 0}, "3des"},
};

TEST(ike_proposal, knows_every_encryption) {
  for (const auto& row : ike_encryption) {
    const bool aead = row.transform.id == 20 || row.transform.id == 28;
    const auto got = parse_ike_proposal(std::string(row.word) + (aead ? "-prfsha256-x25519" : "-sha256-x25519"));
    ASSERT_TRUE(got) << row.word << ": " << got.error().reason;
    EXPECT_TRUE(has(*got, row.transform)) << row.word;
    EXPECT_EQ(got->legacy, row.transform.id == 3) << row.word;
    EXPECT_EQ(transform_name(row.transform), row.name != nullptr ? row.name : row.word);
    EXPECT_EQ(std::ranges::contains(got->transforms, type::integrity, &transform_choice::type), !aead) << row.word;
  }
}

TEST(ike_proposal, knows_every_hash_and_its_prf) {
  const std::tuple<const char*, std::uint16_t, std::uint16_t> rows[] = {
      {"sha1", 2, 2}, {"sha256", 12, 5}, {"sha384", 13, 6}, {"sha512", 14, 7}};
  for (const auto& [word, integrity, prf] : rows) {
    auto got = parse_ike_proposal("aes128-" + std::string(word) + "-x25519");
    ASSERT_TRUE(got) << got.error().reason;
    EXPECT_TRUE(has(*got, {type::integrity, integrity, 0})) << word;
    EXPECT_TRUE(has(*got, {type::prf, prf, 0})) << word;
    EXPECT_EQ(got->legacy, integrity == 2) << word;
    got = parse_ike_proposal("aes256gcm16-prf" + std::string(word) + "-x25519");
    ASSERT_TRUE(got) << got.error().reason;
    EXPECT_TRUE(has(*got, {type::prf, prf, 0})) << word;
    EXPECT_EQ(got->legacy, prf == 2) << word;
    EXPECT_EQ(transform_name({type::integrity, integrity, 0}), word);
    EXPECT_EQ(transform_name({type::prf, prf, 0}), "prf" + std::string(word));
  }
  // A PRF that is said counts, and no other.
  const auto got = parse_ike_proposal("aes128-sha256-prfsha512-x25519");
  ASSERT_TRUE(got);
  EXPECT_TRUE(has(*got, {type::prf, 7, 0}));
  EXPECT_FALSE(has(*got, {type::prf, 5, 0}));
}

TEST(ike_proposal, knows_every_key_exchange_first_and_additional) {
  const word_row rows[] = {{"modp1024", {type::key_exchange, 2}},
                           {"modp2048", {type::key_exchange, 14}},
                           {"modp3072", {type::key_exchange, 15}},
                           {"modp4096", {type::key_exchange, 16}},
                           {"modp6144", {type::key_exchange, 17}},
                           {"modp8192", {type::key_exchange, 18}},
                           {"ecp256", {type::key_exchange, 19}},
                           {"ecp384", {type::key_exchange, 20}},
                           {"ecp521", {type::key_exchange, 21}},
                           {"x25519", {type::key_exchange, 31}},
                           {"curve25519", {type::key_exchange, 31}, "x25519"},
                           {"x448", {type::key_exchange, 32}},
                           {"mlkem512", {type::key_exchange, 35}},
                           {"mlkem768", {type::key_exchange, 36}},
                           {"mlkem1024", {type::key_exchange, 37}}};
  for (const auto& row : rows) {
    const std::string word = row.word;
    if (word != "mlkem1024") {
      const auto first = parse_ike_proposal("aes256gcm16-prfsha384-" + word);
      ASSERT_TRUE(first) << word << ": " << first.error().reason;
      EXPECT_TRUE(has(*first, row.transform)) << word;
      EXPECT_EQ(first->legacy, row.transform.id == 2) << word;
    }
    EXPECT_EQ(transform_name(row.transform), row.name != nullptr ? row.name : word);
    for (int n = 1; n <= 7; ++n) {
      const auto more = parse_ike_proposal("aes256gcm16-prfsha384-x448-ke" + std::to_string(n) + "_" + word);
      ASSERT_TRUE(more) << word << ": " << more.error().reason;
      EXPECT_TRUE(has(*more, {static_cast<type>(5 + n), row.transform.id, 0})) << word << n;  // RFC 9370 2.2.1
    }
  }
  const auto none = parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none");
  ASSERT_TRUE(none);
  EXPECT_TRUE(has(*none, {type::additional_ke1, 0, 0}));
  EXPECT_EQ(transform_name({type::additional_ke1, 0, 0}), "none");
}

TEST(ike_proposal, keeps_alternatives_in_their_order) {
  const auto got = parse_ike_proposal("aes256gcm16-aes128gcm16-prfsha512-prfsha256-ecp384-x25519");
  ASSERT_TRUE(got) << got.error().reason;
  const std::vector<transform_choice> wanted = {{type::encryption, 20, 256}, {type::encryption, 20, 128},
                                                {type::prf, 7, 0},           {type::prf, 5, 0},
                                                {type::key_exchange, 20, 0}, {type::key_exchange, 31, 0}};
  EXPECT_EQ(got->transforms, wanted);
  EXPECT_EQ(got->word, "aes256gcm16-aes128gcm16-prfsha512-prfsha256-ecp384-x25519");
}

// Whatever the data plane can do has a name here, and means the same.
TEST(esp_proposal, knows_every_suite) {
  for (const auto& row : esp_suites) {
    const auto got = parse_esp_proposal(row.name);
    ASSERT_TRUE(got) << row.name << ": " << got.error().reason;
    static constexpr std::uint16_t ciphers[] = {20, 21, 28, 12, 13, 11, 3};
    static constexpr std::uint16_t auths[] = {0, 2, 12, 13, 14};
    const auto& encryption = got->transforms.front();
    EXPECT_EQ(encryption.id, ciphers[static_cast<std::size_t>(row.cipher)]) << row.name;
    const bool says_length = encryption.id != 28 && encryption.id != 11 && encryption.id != 3;
    EXPECT_EQ(encryption.key_bits, says_length ? row.cipher_key * 8 : 0) << row.name;
    if (row.aead)
      EXPECT_FALSE(std::ranges::contains(got->transforms, type::integrity, &transform_choice::type)) << row.name;
    else
      EXPECT_TRUE(has(*got, {type::integrity, auths[static_cast<std::size_t>(row.auth)], 0})) << row.name;
    EXPECT_EQ(got->legacy, row.legacy || row.auth == esp_auth::hmac_sha1) << row.name;
  }
}

TEST(esp_proposal, sequence_numbers_are_extended_if_possible) {
  const auto both = parse_esp_proposal("aes256gcm16");
  ASSERT_TRUE(both);
  const std::vector<transform_choice> wanted = {
      {type::encryption, 20, 256}, {type::sequence_numbers, 1, 0}, {type::sequence_numbers, 0, 0}};
  EXPECT_EQ(both->transforms, wanted);
  for (const auto& [word, id] : {std::pair("-esn", 1), std::pair("-noesn", 0)}) {
    const auto one = parse_esp_proposal("aes256gcm16-x25519-ke1_mlkem768" + std::string(word));
    ASSERT_TRUE(one);
    EXPECT_TRUE(has(*one, {type::sequence_numbers, static_cast<std::uint16_t>(id), 0}));
    EXPECT_FALSE(has(*one, {type::sequence_numbers, static_cast<std::uint16_t>(1 - id), 0}));
    EXPECT_TRUE(has(*one, {type::additional_ke1, 36, 0}));
  }
}

TEST(proposals, what_is_wrong_is_named) {
  struct refusal {
    bool ike;
    const char* word;
    const char* reason;
  };
  const refusal rows[] = {
      {true, "aes256gcm-prfsha384-x25519", "unknown algorithm \"aes256gcm\"; did you mean \"aes256gcm16\"?"},
      {true, "aes256gcm16-prfsha383-x25519", "unknown algorithm \"prfsha383\"; did you mean \"prfsha384\"?"},
      {true, "aes256gcm16-prfsha384-x25518", "unknown algorithm \"x25518\"; did you mean \"x25519\"?"},
      {true, "aes256gcm16-prfsha384-frodo640aes", "unknown algorithm \"frodo640aes\""},
      {true, "aes256gcm16-sha384-x25519",
       "\"aes256gcm16\" authenticates by itself and takes no \"sha384\"; did you mean \"prfsha384\"?"},
      {true, "aes256gcm16-x25519", "names no PRF, and \"aes256gcm16\" implies none; add prfsha384"},
      {true, "aes256-x25519", "\"aes256\" needs an integrity algorithm; aes256-sha256"},
      {true, "aes256-prfsha256-x25519", "\"aes256\" needs an integrity algorithm; aes256-sha256"},
      {true, "aes256-sha256", "names no key exchange; add x25519"},
      {true, "prfsha256-x25519", "names no encryption; begin with aes256gcm16"},
      {true, "aes256gcm16-aes256-sha256-x25519",
       "mixes \"aes256gcm16\", which authenticates by itself, with \"aes256\"; make two proposals of it"},
      {true, "aes256-aes256cbc-sha256-x25519", "has \"aes256cbc\" twice; once is enough"},
      {true, "aes256gcm16-prfsha384-x25519-esn",
       "\"esn\" is for ESP: IKE has no sequence numbers of this kind; leave it out"},
      {true, "null-sha256-x25519", "\"null\" is for ESP: IKE's own messages do not go by it; aes256gcm16 does"},
      {true, "aes128gmac-prfsha256-x25519",
       "\"aes128gmac\" is for ESP: IKE's own messages do not go by it; aes256gcm16 does"},
      {true, "aes256gcm16-prfsha384-x25519-ke1_mlkem76",
       "has an unknown key exchange \"mlkem76\" in \"ke1_mlkem76\"; did you mean \"mlkem768\"?"},
      {true, "aes256gcm16-prfsha384-x25519-ke8_mlkem768",
       "\"ke8_mlkem768\": there are additional key exchanges 1 to 7 only (RFC 9370); ke1_mlkem768"},
      {true, "aes256gcm16-prfsha384-ke1_mlkem768", "names no key exchange; add x25519"},
      {true, "aes256gcm16-prfsha384-mlkem1024",
       "mlkem1024 is too large for the first exchange, which cannot be fragmented; x25519-ke1_mlkem1024"},
      {true, "aes256gcm16--x25519", "has an empty part; write one - between two parts"},
      {true, "", "has an empty part; write one - between two parts"},
      {false, "aes128gcm", "unknown algorithm \"aes128gcm\"; did you mean \"aes128gcm16\"?"},
      {false, "aes256gcm16-prfsha384", "\"prfsha384\" is for IKE: ESP has no PRF; leave it out"},
      {false, "aes256gcm16-sha256", "\"aes256gcm16\" authenticates by itself and takes no \"sha256\"; leave it out"},
      {false, "aes128-x25519", "\"aes128\" needs an integrity algorithm; aes128-sha256"},
      {false, "sha256", "names no encryption; begin with aes256gcm16"},
      {false, "aes256gcm16-ke1_mlkem768", "has an additional key exchange, but no first one; add x25519 before it"},
  };
  for (const auto& row : rows) {
    const auto got = row.ike ? parse_ike_proposal(row.word) : parse_esp_proposal(row.word);
    ASSERT_FALSE(got) << row.word;
    EXPECT_EQ(got.error().reason, row.reason) << row.word;
  }
  EXPECT_FALSE(parse_ike_proposal(std::string(300, 'a')));
}

TEST(proposals, transforms_without_a_name_are_numbers) {
  EXPECT_EQ(transform_name({type::encryption, 1234, 0}), "1234");
  EXPECT_EQ(transform_name({type::encryption, 20, 64}), "20");
  EXPECT_EQ(transform_name({static_cast<type>(99), 7, 0}), "7");
  EXPECT_EQ(transform_type_name(type::prf), "prf");
  EXPECT_EQ(transform_type_name(static_cast<type>(7)), "additional key exchange 2");
  EXPECT_EQ(transform_type_name(static_cast<type>(99)), "unknown");
}

}  // namespace
}  // namespace trunkgate
