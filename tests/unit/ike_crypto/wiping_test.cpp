// Keys are gone when their owners are: no block of memory is given back, by us or by OpenSSL, with a watched key in it.
#include <malloc.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <new>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>

#include "controlplane/ike/crypto/key_exchange_method.hpp"
#include "controlplane/ike/crypto/message_cipher.hpp"
#include "tests/unit/ike_crypto/vectors.hpp"

namespace {

std::span<const std::uint8_t> watched;  // nothing: not watching
int found = 0;

void look(const void* block) {
  if (watched.empty() || block == nullptr) return;
  const auto* first = static_cast<const std::uint8_t*>(block);
  const auto* last = first + malloc_usable_size(const_cast<void*>(block));
  if (std::search(first, last, watched.begin(), watched.end()) != last) ++found;
}
void give_back(void* block) {
  look(block);
  std::free(block);
}

void* for_openssl(std::size_t size, const char*, int) { return std::malloc(size); }
void from_openssl(void* block, const char*, int) { give_back(block); }
void* again_for_openssl(void* block, std::size_t size, const char*, int) {
  void* bigger = std::malloc(size);
  if (bigger != nullptr && block != nullptr) std::memcpy(bigger, block, std::min(size, malloc_usable_size(block)));
  if (bigger != nullptr) give_back(block);
  return bigger;
}
// Before OpenSSL takes its first block.
const int watching_openssl = CRYPTO_set_mem_functions(for_openssl, again_for_openssl, from_openssl);

}  // namespace

void* operator new(std::size_t size) {
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return std::malloc(size); }
void operator delete(void* block) noexcept { give_back(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { give_back(block); }
void operator delete(void* block, std::size_t) noexcept { give_back(block); }

namespace trunkgate::ike::test {
namespace {

using namespace transform_id;

// How many blocks were given back with `bytes` in them while `act` ran.
int left_behind(byte_view bytes, const std::function<void()>& act) {
  EXPECT_GE(bytes.size(), 16u);
  static std::array<std::uint8_t, 64> copy;
  const auto size = std::min(bytes.size(), copy.size());
  std::copy_n(bytes.begin(), size, copy.begin());
  found = 0;
  watched = std::span(copy).first(size);
  act();
  watched = {};
  return found;
}

const octets nonce(32, 0x11), shared(32, 0x77);
const ike_suite suite{{transform_type::encryption, encr_aes_cbc, 256}, prf_hmac_sha256, auth_hmac_sha256_128, x25519};
const exchange_context context{nonce, nonce, 1, 2};

TEST(wiping, the_watch_sees_what_is_left) {
  ASSERT_EQ(watching_openssl, 1);
  EXPECT_EQ(left_behind(shared, [] { const octets careless(shared); }), 1);
  EXPECT_EQ(left_behind(shared,
                        [] {
                          auto* block = OPENSSL_memdup(shared.data(), shared.size());
                          OPENSSL_free(block);
                        }),
            1);
}

TEST(wiping, key_schedule) {
  const auto keys = first_keys(suite, context, shared);
  for (const auto* key : {&keys.d, &keys.ai, &keys.er, &keys.pr})
    EXPECT_EQ(left_behind(key->bytes(), [] { (void)first_keys(suite, context, shared); }), 0);
  const auto skeyseed = compute_prf(prf_hmac_sha256, shared, {shared});
  EXPECT_EQ(left_behind(skeyseed.bytes(), [] { (void)compute_prf(prf_hmac_sha256, shared, {shared}); }), 0);

  std::vector<secret> several;
  several.emplace_back(shared);
  several.emplace_back(octets(48, 0x99));
  const auto child = [&] {
    return derive_child_keys(prf_hmac_sha512, keys.d, nonce, nonce, several, esp_suite::aes256gcm16);
  };
  const auto made = child();
  EXPECT_EQ(left_behind(made.to_responder.bytes(), [&] { (void)child(); }), 0);
  EXPECT_EQ(left_behind(made.to_initiator.bytes(), [&] { (void)child(); }), 0);
  for (const auto& one : several) EXPECT_EQ(left_behind(one.bytes(), [&] { (void)child(); }), 0);
  EXPECT_EQ(left_behind(keys.d.bytes(), [&] { (void)child(); }), 0);
}

TEST(wiping, message_cipher) {
  const auto keys = first_keys(suite, context, shared);
  const octets text(40, 1);
  const auto use = [&] {
    const auto cipher =
        message_cipher::make(suite.encryption, suite.integrity, keys.ei.bytes(), keys.ai.bytes()).value();
    octets message(32, 2);
    cipher.seal(message, text, 1);
    EXPECT_TRUE(cipher.open(message, 32));
  };
  EXPECT_EQ(left_behind(keys.ei.bytes(), use), 0);
  EXPECT_EQ(left_behind(keys.ai.bytes(), use), 0);
  const octets gcm_key = unhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223");
  EXPECT_EQ(
      left_behind(
          byte_view(gcm_key).first(32),
          [&] {
            const auto cipher =
                message_cipher::make({transform_type::encryption, encr_aes_gcm16, 256}, auth_none, gcm_key, {}).value();
            octets message(32, 2);
            cipher.seal(message, text, 1);
            EXPECT_TRUE(cipher.open(message, 32));
          }),
      0);
}

TEST(wiping, key_exchange) {
  for (const auto id : {x25519, x448, ecp256, modp2048, mlkem768}) {
    const auto& method = *find_method(id);
    auto own = generate_key_pair(method);
    const auto answer = answer_value(method, public_value(method, *own)).value();
    EXPECT_EQ(
        left_behind(bytes_of(answer.shared), [&] { (void)derive_shared(method, *own, answer.public_value).value(); }),
        0)
        << method.name;
    if (method.family != method_family::montgomery && method.family != method_family::mlkem) continue;
    octets exponent(4096);
    std::size_t size = 0;
    ASSERT_EQ(
        EVP_PKEY_get_octet_string_param(own.get(), OSSL_PKEY_PARAM_PRIV_KEY, exponent.data(), exponent.size(), &size),
        1);
    EXPECT_EQ(left_behind(byte_view(exponent).first(32), [&] { own.reset(); }), 0) << method.name;
  }
}

}  // namespace
}  // namespace trunkgate::ike::test
