#include "controlplane/ike/crypto/openssl.hpp"

#include <cstdio>
#include <cstdlib>

#include <openssl/core_names.h>
#include <openssl/params.h>

namespace trunkgate::ike::openssl {
namespace {

constexpr std::array<const char*, hash_count> hash_names{"SHA1", "SHA256", "SHA384", "SHA512"};
constexpr std::array<const char*, cipher_count> cipher_names{"AES-128-GCM",       "AES-192-GCM", "AES-256-GCM",
                                                             "ChaCha20-Poly1305", "AES-128-CBC", "AES-192-CBC",
                                                             "AES-256-CBC",       "DES-EDE3-CBC"};

// A fetch by name takes a lock and compares strings, longer than a hash of a short message: each is done once.
struct algorithms {
  std::array<mac_context, hash_count> hmacs;  // with their hash, without a key: to be copied
  std::array<cipher, cipher_count> ciphers;

  algorithms() {
    const std::unique_ptr<EVP_MAC, freer<EVP_MAC_free>> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    must(mac != nullptr, "fetch of HMAC");
    for (std::size_t i = 0; i < hash_count; ++i) {
      std::array<char, 8> name{};
      for (std::size_t c = 0; hash_names[i][c] != '\0'; ++c) name[c] = hash_names[i][c];
      const std::array<OSSL_PARAM, 2> parameters{
          OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0), OSSL_PARAM_construct_end()};
      hmacs[i].reset(EVP_MAC_CTX_new(mac.get()));
      must(hmacs[i] && EVP_MAC_CTX_set_params(hmacs[i].get(), parameters.data()) == 1, hash_names[i]);
    }
    for (std::size_t i = 0; i < cipher_count; ++i) {
      ciphers[i].reset(EVP_CIPHER_fetch(nullptr, cipher_names[i], nullptr));
      must(ciphers[i] != nullptr, cipher_names[i]);
    }
  }
};

const algorithms& fetched_once() {
  static const algorithms all;
  return all;
}

}  // namespace

void must(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "openssl: %s failed\n", what);
  std::abort();
}

hmac::hmac(hash which, std::span<const std::uint8_t> key)
    : context_(EVP_MAC_CTX_dup(fetched_once().hmacs[static_cast<std::size_t>(which)].get())) {
  static constexpr std::uint8_t none = 0;  // no pointer at all would mean "the key of before"
  must(context_ && EVP_MAC_init(context_.get(), key.empty() ? &none : key.data(), key.size(), nullptr) == 1, "HMAC");
}

hmac& hmac::add(std::span<const std::uint8_t> part) {
  must(EVP_MAC_update(context_.get(), part.data(), part.size()) == 1, "HMAC");
  return *this;
}

void hmac::finish(std::span<std::uint8_t> out) {
  std::size_t size = 0;
  must(EVP_MAC_final(context_.get(), out.data(), &size, out.size()) == 1 &&
           EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1,
       "HMAC");
}

const EVP_CIPHER* fetched(cipher_kind which) { return fetched_once().ciphers[static_cast<std::size_t>(which)].get(); }

}  // namespace trunkgate::ike::openssl
