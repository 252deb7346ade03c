#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <openssl/evp.h>

#include "dataplane/core/secret.hpp"
#include "drivers/crypto/engine.hpp"

namespace trunkgate {

struct iv_source::state {
  EVP_CIPHER_CTX* cipher = nullptr;
  std::size_t used = 0;
  std::array<std::uint8_t, 4096> keystream{};

  ~state() {
    EVP_CIPHER_CTX_free(cipher);
    wipe(keystream.data(), keystream.size());
  }

  // What was handed out is zero again, and zeros encrypted are the keystream.
  void refill() noexcept {
    wipe(keystream.data(), keystream.size());
    int written = 0;
    EVP_EncryptUpdate(cipher, keystream.data(), &written, keystream.data(), static_cast<int>(keystream.size()));
    used = 0;
  }
};

iv_source::iv_source(std::unique_ptr<state> s) : state_(std::move(s)) {}
iv_source::iv_source(iv_source&&) noexcept = default;
iv_source::~iv_source() = default;

result<iv_source> iv_source::make() {
  std::array<std::uint8_t, 48> seed;  // AES-256 key and first counter block
  ssize_t got = 0;
  do got = getrandom(seed.data(), seed.size(), 0);
  while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(seed.size())) return system_failure("getrandom");
  auto made = std::make_unique<state>();
  made->cipher = EVP_CIPHER_CTX_new();
  const bool ok = made->cipher != nullptr &&
                  EVP_EncryptInit_ex2(made->cipher, EVP_aes_256_ctr(), seed.data(), seed.data() + 32, nullptr) == 1;
  wipe(seed.data(), seed.size());
  if (!ok) return failure("iv source: OpenSSL has no AES-256-CTR");
  made->refill();
  return iv_source(std::move(made));
}

void iv_source::fill(std::uint8_t* iv, std::size_t size) noexcept {
  if (state_->used + size > state_->keystream.size()) state_->refill();
  std::uint8_t* next = state_->keystream.data() + state_->used;
  std::memcpy(iv, next, size);
  wipe(next, size);
  state_->used += size;
}

}  // namespace trunkgate
