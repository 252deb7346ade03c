// SK payloads: sealed by Python and opened here, sealed here and opened again, and everything that must not open.
#include "controlplane/ike/crypto/message_cipher.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

using namespace transform_id;

struct choice {
  transform_choice encryption;
  std::uint16_t integrity;
  std::size_t iv, block, icv;
  [[nodiscard]] bool aead() const { return integrity == auth_none; }
};

std::vector<choice> every_choice() {
  const auto encryption = [](std::uint16_t id, std::uint16_t bits) {
    return transform_choice{transform_type::encryption, id, bits};
  };
  std::vector<choice> all{{encryption(encr_chacha20_poly1305, 0), auth_none, 8, 1, 16}};
  constexpr std::pair<std::uint16_t, std::size_t> hmacs[]{
      {auth_hmac_sha1_96, 12}, {auth_hmac_sha256_128, 16}, {auth_hmac_sha384_192, 24}, {auth_hmac_sha512_256, 32}};
  for (const auto& [integrity, icv] : hmacs) all.push_back({encryption(encr_3des, 0), integrity, 8, 8, icv});
  for (const std::uint16_t bits : {128, 192, 256}) {
    all.push_back({encryption(encr_aes_gcm16, bits), auth_none, 8, 1, 16});
    for (const auto& [integrity, icv] : hmacs) all.push_back({encryption(encr_aes_cbc, bits), integrity, 16, 16, icv});
  }
  return all;
}

message_cipher cipher_of(const choice& one, std::uint8_t seed = 1) {
  const auto sizes = key_sizes(one.encryption, one.integrity);
  octets encryption(sizes.encryption), integrity(sizes.integrity);
  for (auto& octet : encryption) octet = seed = static_cast<std::uint8_t>(seed * 5 + 1);
  for (auto& octet : integrity) octet = seed = static_cast<std::uint8_t>(seed * 5 + 3);
  return message_cipher::make(one.encryption, one.integrity, encryption, integrity).value();
}

octets text(std::size_t size) {
  octets out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 7 + 3);
  return out;
}

class every_cipher : public testing::TestWithParam<choice> {};
INSTANTIATE_TEST_SUITE_P(ike, every_cipher, testing::ValuesIn(every_choice()), [](const auto& one) {
  return std::to_string(one.param.encryption.id) + "_" + std::to_string(one.param.encryption.key_bits) + "_" +
         std::to_string(one.param.integrity);
});

TEST(message_cipher, opens_what_python_sealed) {
  std::size_t opened = 0, refused = 0, same = 0;
  for (const auto& v : read_cases("ike_sealed.json")) {
    const auto message = unhex(v["message"]);
    const std::size_t offset = v["offset"];
    const auto cipher =
        message_cipher::make(encryption_of(v), v["integrity"], unhex(v["encryption_key"]), unhex(v["integrity_key"]))
            .value();
    const auto plain = cipher.open(message, offset);
    if (v["plain"].is_null()) {  // more padding than text: authentic, and still nothing
      ++refused;
      EXPECT_FALSE(plain) << v;
      continue;
    }
    ++opened;
    ASSERT_TRUE(plain) << v;
    EXPECT_EQ(*plain, unhex(v["plain"]));
    if (v["integrity"] != 0 || v["padding"] != 0) continue;
    // With AEAD and no padding there is one way to seal.
    ++same;
    const octets iv(message.begin() + static_cast<std::ptrdiff_t>(offset),
                    message.begin() + static_cast<std::ptrdiff_t>(offset) + 8);
    octets again(message.begin(), message.begin() + static_cast<std::ptrdiff_t>(offset));
    cipher.seal(again, *plain, number(iv));
    EXPECT_EQ(again, message);
  }
  EXPECT_EQ(opened, 100u);
  EXPECT_EQ(refused, 20u);
  EXPECT_EQ(same, 8u);
}

TEST_P(every_cipher, opens_what_it_sealed) {
  const auto& with = GetParam();
  const auto cipher = cipher_of(with);
  for (std::size_t size = 0; size < 70; ++size) {
    auto message = text(32);
    const auto plain = text(size);
    cipher.seal(message, plain, size + 1);
    EXPECT_EQ(message.size(), 32 + cipher.body_size(size));
    EXPECT_EQ(cipher.body_size(size), with.iv + (size / with.block + 1) * with.block + with.icv);
    EXPECT_EQ(octets(message.begin(), message.begin() + 32), text(32));
    EXPECT_EQ(cipher.open(message, 32).value(), plain) << size;
  }
  auto largest = text(32);
  cipher.seal(largest, text(65000), 1);
  EXPECT_EQ(cipher.open(largest, 32).value(), text(65000));
}

TEST_P(every_cipher, one_changed_bit_anywhere_does_not_open) {
  const auto cipher = cipher_of(GetParam());
  auto message = text(36);
  cipher.seal(message, text(40), 0x0102030405060708);
  std::string reason;
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    message[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    const auto opened = cipher.open(message, 36);
    ASSERT_FALSE(opened) << bit;
    if (reason.empty()) reason = opened.error().reason;
    EXPECT_EQ(opened.error().reason, reason);
    message[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
  }
  EXPECT_TRUE(cipher.open(message, 36));
}

TEST_P(every_cipher, a_message_cut_or_lengthened_does_not_open) {
  const auto cipher = cipher_of(GetParam());
  auto message = text(32);
  cipher.seal(message, text(50), 1);
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(cipher.open(byte_view(message).first(size), 32)) << size;
  // An HMAC does not say where the body begins: the message that it covers does.
  for (std::size_t offset = 0; offset <= message.size() + 1; ++offset) {
    const auto opened = cipher.open(message, offset);
    if (GetParam().aead() || offset > message.size()) {
      EXPECT_EQ(opened.has_value(), offset == 32) << offset;
    }
  }
  EXPECT_FALSE(cipher.open({}, 0));
  EXPECT_FALSE(cipher.open(message, static_cast<std::size_t>(-1)));
  for (int more = 0; more < 33; ++more) {
    message.push_back(0);
    EXPECT_FALSE(cipher.open(message, 32));
  }
}

TEST_P(every_cipher, opens_with_its_own_keys_only) {
  const auto cipher = cipher_of(GetParam()), other = cipher_of(GetParam(), 2);
  auto message = text(32);
  cipher.seal(message, text(50), 1);
  EXPECT_FALSE(other.open(message, 32));
}

// RFC 5282 3.1: AEAD's IV is the number. RFC 3602 3: CBC's is not to be foreseen.
TEST_P(every_cipher, initialisation_vector) {
  const auto& with = GetParam();
  const auto cipher = cipher_of(with);
  const auto iv_of = [&](std::uint64_t number) {
    octets message;
    cipher.seal(message, text(20), number);
    message.resize(with.iv);
    return message;
  };
  if (with.aead()) {
    EXPECT_EQ(iv_of(0x0102030405060708), (octets{1, 2, 3, 4, 5, 6, 7, 8}));
  } else {
    EXPECT_NE(iv_of(1), iv_of(1));
    EXPECT_NE(iv_of(1), octets(with.iv));
  }
}

TEST_P(every_cipher, keys_of_wrong_size_are_refused) {
  const auto& with = GetParam();
  const auto sizes = key_sizes(with.encryption, with.integrity);
  for (const auto& [encryption, integrity] :
       {std::pair{sizes.encryption - 1, sizes.integrity}, std::pair{sizes.encryption + 1, sizes.integrity},
        std::pair{sizes.encryption, sizes.integrity + 1}, std::pair{std::size_t{0}, std::size_t{0}}}) {
    const auto made =
        message_cipher::make(with.encryption, with.integrity, octets(encryption, 1), octets(integrity, 1));
    ASSERT_FALSE(made);
    EXPECT_NE(made.error().reason.find(std::to_string(encryption) + " and " + std::to_string(integrity)),
              std::string::npos);
  }
}

TEST(message_cipher, sizes_of_keys) {
  const auto sizes = [](std::uint16_t id, std::uint16_t bits, std::uint16_t integrity) {
    const auto found = key_sizes({transform_type::encryption, id, bits}, integrity);
    return std::pair{found.encryption, found.integrity};
  };
  using pair = std::pair<std::size_t, std::size_t>;
  EXPECT_EQ(sizes(encr_aes_gcm16, 128, auth_none), pair(20, 0));
  EXPECT_EQ(sizes(encr_aes_gcm16, 192, auth_none), pair(28, 0));
  EXPECT_EQ(sizes(encr_aes_gcm16, 256, auth_none), pair(36, 0));
  EXPECT_EQ(sizes(encr_chacha20_poly1305, 0, auth_none), pair(36, 0));
  EXPECT_EQ(sizes(encr_aes_cbc, 192, auth_hmac_sha1_96), pair(24, 20));
  EXPECT_EQ(sizes(encr_aes_cbc, 256, auth_hmac_sha256_128), pair(32, 32));
  EXPECT_EQ(sizes(encr_aes_cbc, 128, auth_hmac_sha384_192), pair(16, 48));
  EXPECT_EQ(sizes(encr_3des, 0, auth_hmac_sha512_256), pair(24, 64));
  // RFC 7296 3.3: no integrity with a combined mode, one with any other; RFC 7296 3.3.5: the key length belongs to AES.
  for (const auto& nothing : {sizes(encr_aes_gcm16, 256, auth_hmac_sha256_128), sizes(encr_aes_cbc, 256, auth_none),
                              sizes(encr_aes_gcm16, 0, auth_none), sizes(encr_aes_gcm16, 512, auth_none),
                              sizes(encr_3des, 192, auth_hmac_sha1_96), sizes(encr_null, 0, auth_hmac_sha256_128),
                              sizes(encr_aes_cbc, 128, 1), sizes(0, 0, 0)})
    EXPECT_EQ(nothing, pair(0, 0));
  EXPECT_FALSE(message_cipher::make({transform_type::encryption, encr_null, 0}, auth_hmac_sha256_128, {}, octets(32)));
}

}  // namespace
}  // namespace trunkgate::ike::test
