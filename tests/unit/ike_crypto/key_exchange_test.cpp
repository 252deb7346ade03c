// Both sides of every method, and every kind of value that must be refused.
#include "controlplane/ike/crypto/key_exchange.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>
#include <openssl/core_names.h>

#include "controlplane/ike/crypto/key_exchange_method.hpp"
#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

using namespace transform_id;

struct row {
  std::uint16_t method;
  std::size_t initiator, responder, shared;
};
// RFC 3526 and RFC 7296 3.4, RFC 5903 7, RFC 8031 2, FIPS 203 table 3
constexpr row rows[]{{modp1024, 128, 128, 128},  {modp2048, 256, 256, 256},  {modp3072, 384, 384, 384},
                     {modp4096, 512, 512, 512},  {modp6144, 768, 768, 768},  {modp8192, 1024, 1024, 1024},
                     {ecp256, 64, 64, 32},       {ecp384, 96, 96, 48},       {ecp521, 132, 132, 66},
                     {x25519, 32, 32, 32},       {x448, 56, 56, 56},         {mlkem512, 800, 768, 32},
                     {mlkem768, 1184, 1088, 32}, {mlkem1024, 1568, 1568, 32}};

bool is_kem(std::uint16_t method) { return method >= mlkem512; }
octets copy(byte_view view) { return {view.begin(), view.end()}; }

class key_exchange_of : public testing::TestWithParam<row> {};
INSTANTIATE_TEST_SUITE_P(every_method, key_exchange_of, testing::ValuesIn(rows),
                         [](const auto& one) { return std::to_string(one.param.method); });

// Initiator                        Responder
// KEi (public value)  -->
//                     <--          KEr (public value, or ciphertext)
TEST_P(key_exchange_of, both_sides_agree) {
  const auto [method, initiator, responder, shared] = GetParam();
  EXPECT_EQ(sizes_of_key_exchange(method).initiator, initiator);
  EXPECT_EQ(sizes_of_key_exchange(method).responder, responder);
  const auto start = key_exchange_start::make(method).value();
  EXPECT_EQ(start.method(), method);
  EXPECT_EQ(start.public_value().size(), initiator);
  const auto answer = answer_key_exchange(method, start.public_value()).value();
  EXPECT_EQ(answer.public_value.size(), responder);
  EXPECT_EQ(answer.shared.size(), shared);
  EXPECT_EQ(bytes_of(start.finish(answer.public_value).value()), bytes_of(answer.shared));
}

TEST_P(key_exchange_of, nothing_comes_twice) {
  const auto method = GetParam().method;
  const auto one = key_exchange_start::make(method).value(), other = key_exchange_start::make(method).value();
  EXPECT_NE(copy(one.public_value()), copy(other.public_value()));
  const auto first = answer_key_exchange(method, one.public_value()).value();
  const auto second = answer_key_exchange(method, one.public_value()).value();
  EXPECT_NE(first.public_value, second.public_value);
  EXPECT_NE(bytes_of(first.shared), bytes_of(second.shared));
}

TEST_P(key_exchange_of, a_value_of_wrong_length_is_refused) {
  const auto [method, initiator, responder, shared] = GetParam();
  const auto start = key_exchange_start::make(method).value();
  const auto answer = answer_key_exchange(method, start.public_value()).value().public_value;
  for (const auto size : {std::size_t{0}, std::size_t{1}, initiator - 1, initiator + 1}) {
    auto cut = copy(start.public_value());
    cut.resize(size);
    const auto refused = answer_key_exchange(method, cut);
    ASSERT_FALSE(refused) << size;
    EXPECT_NE(refused.error().reason.find(std::to_string(size) + " octets instead of " + std::to_string(initiator)),
              std::string::npos)
        << refused.error().reason;
  }
  for (const auto size : {std::size_t{0}, responder - 1, responder + 1}) {
    auto cut = answer;
    cut.resize(size);
    EXPECT_FALSE(start.finish(cut)) << size;
  }
}

// Of whatever kind, the same on both sides; OpenSSL's words about it stay away from the thread's next TLS connection.
void expect_refused(std::uint16_t method, const octets& value, const std::string& why) {
  const auto start = key_exchange_start::make(method).value();
  ERR_clear_error();
  const auto as_responder = answer_key_exchange(method, value);
  ASSERT_FALSE(as_responder) << method;
  EXPECT_NE(as_responder.error().reason.find(why), std::string::npos) << as_responder.error().reason;
  if (!is_kem(method)) {
    const auto as_initiator = start.finish(value);
    ASSERT_FALSE(as_initiator) << method;
    EXPECT_EQ(as_initiator.error().reason, as_responder.error().reason);
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

// RFC 6989 2.1
TEST(key_exchange, modp_values_are_between_1_and_p_minus_1) {
  std::size_t groups = 0;
  for (const auto& v : read_cases("ike_modp.json")) {
    ++groups;
    const std::uint16_t method = v["group"];
    const auto prime = unhex(v["prime"]);
    octets zero(prime.size()), one(zero), below(prime), above(prime), most(prime.size(), 0xff);
    one.back() = 1;
    --below.back();  // the primes are odd and do not end with 00 or ff 00
    for (auto at = above.size(); ++above[--at] == 0;) continue;
    for (const auto& value : {zero, one, below, prime, above, most})
      expect_refused(method, value, "no element of the group");
    auto two = zero;
    two.back() = 2;
    below.back() = static_cast<std::uint8_t>(below.back() - 1);
    EXPECT_TRUE(answer_key_exchange(method, two)) << method;
    EXPECT_TRUE(answer_key_exchange(method, below)) << method;
  }
  EXPECT_EQ(groups, 8u);
}

// RFC 6989 2.3
TEST(key_exchange, points_off_the_curve_are_refused) {
  for (const auto method : {ecp256, ecp384, ecp521}) {
    const auto start = key_exchange_start::make(method).value();
    const auto good = copy(start.public_value());
    for (const auto at : {std::size_t{3}, good.size() / 2 - 1, good.size() - 1}) {
      auto bad = good;
      bad[at] ^= 1;
      expect_refused(method, bad, "no element of the group");
    }
    expect_refused(method, octets(good.size()), "no element of the group");        // (0, 0)
    expect_refused(method, octets(good.size(), 0xff), "no element of the group");  // x and y above the prime
  }
}

// RFC 7748 6: 0 and 1 are of small order, and so are p - 1, p and p + 1.
TEST(key_exchange, trivial_secrets_are_refused) {
  for (const auto method : {x25519, x448}) {
    const auto size = sizes_of_key_exchange(method).initiator;
    octets value(size);
    expect_refused(method, value, "trivial secret");
    value[0] = 1;
    expect_refused(method, value, "trivial secret");
  }
  octets prime(32, 0xff);
  prime[31] = 0x7f;
  for (const std::uint8_t low : {0xec, 0xed, 0xee}) {
    prime[0] = low;
    expect_refused(x25519, prime, "trivial secret");
  }
}

// FIPS 203 7.2: coefficients are below q = 3329.
TEST(key_exchange, encapsulation_keys_are_checked) {
  for (const auto method : {mlkem512, mlkem768, mlkem1024}) {
    auto key = copy(key_exchange_start::make(method).value().public_value());
    key[0] = 0x01;  // 0xd01 = q
    key[1] = static_cast<std::uint8_t>((key[1] & 0xf0) | 0x0d);
    expect_refused(method, key, "no encapsulation key");
    key[0] = 0x00;
    EXPECT_TRUE(answer_key_exchange(method, key));
  }
}

// FIPS 203 7.3: a changed ciphertext gives a secret that nobody else has.
TEST(key_exchange, a_changed_ciphertext_gives_another_secret) {
  for (const auto method : {mlkem512, mlkem768, mlkem1024}) {
    const auto start = key_exchange_start::make(method).value();
    auto answer = answer_key_exchange(method, start.public_value()).value();
    answer.public_value[100] ^= 1;
    const auto other = start.finish(answer.public_value).value();
    EXPECT_EQ(other.size(), 32u);
    EXPECT_NE(bytes_of(other), bytes_of(answer.shared));
  }
}

TEST(key_exchange, an_unknown_method_is_refused) {
  for (const std::uint16_t method : {0, 1, 5, 22, 24, 28, 34, 38, 65535}) {
    EXPECT_EQ(sizes_of_key_exchange(method).initiator, 0u);
    EXPECT_EQ(sizes_of_key_exchange(method).responder, 0u);
    const auto start = key_exchange_start::make(method);
    ASSERT_FALSE(start);
    EXPECT_EQ(start.error().reason, "key exchange method " + std::to_string(method) + " is not known");
    EXPECT_FALSE(answer_key_exchange(method, octets(32, 9)));
  }
}

// Public-key work runs on several threads at once, and they share what was fetched once.
TEST(key_exchange, on_several_threads) {
  std::vector<std::thread> threads;
  std::atomic<int> agreed = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round)
        for (const auto method : {x25519, ecp256, modp1024, mlkem768}) {
          const auto start = key_exchange_start::make(method).value();
          const auto answer = answer_key_exchange(method, start.public_value()).value();
          agreed += bytes_of(start.finish(answer.public_value).value()) == bytes_of(answer.shared);
        }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(agreed, 4 * 20 * 4);
}

// Twice the strength at least (SP 800-57 part 1, table 2; group 2 has 80 bits), and not the whole 2,048 bits and more.
TEST(key_exchange, modp_exponents_have_the_groups_strength) {
  constexpr std::pair<std::uint16_t, int> strengths[]{{modp1024, 80},  {modp2048, 112}, {modp3072, 128},
                                                      {modp4096, 152}, {modp6144, 176}, {modp8192, 200}};
  for (const auto& [method, strength] : strengths) {
    int longest = 0;
    for (int i = 0; i < 4; ++i) {
      const auto key = generate_key_pair(*find_method(method));
      BIGNUM* exponent = nullptr;
      ASSERT_EQ(EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &exponent), 1);
      longest = std::max(longest, BN_num_bits(exponent));
      BN_clear_free(exponent);
    }
    EXPECT_GT(longest, 2 * strength - 16) << method;
    EXPECT_LE(longest, 2 * strength + 64) << method;
  }
}

}  // namespace
}  // namespace trunkgate::ike::test
