// What the parts of the IPsec-MB engines share: the library's manager, the GCM kernel in use, the prepared keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include <intel-ipsec-mb.h>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::ipsec_mb {

// The library's state of one thread, wiped when it goes: scheduler lanes hold pieces of keys.
class manager {
 public:
  // `init` is init_mb_mgr_auto's or one architecture's initialiser. Fails if the library's own self-test fails.
  [[nodiscard]] static result<manager> make(void (*init)(IMB_MGR*));
  [[nodiscard]] static result<manager> make();  // what the library thinks best here
  manager(manager&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  manager& operator=(manager&&) = delete;
  ~manager();
  [[nodiscard]] IMB_MGR* get() const noexcept { return state_; }

 private:
  explicit manager(IMB_MGR* state) : state_(state) {}
  IMB_MGR* state_;
};

// AES-GCM by the library's direct calls, for one key size. `pre` and the other two must be of the same family.
struct gcm_kernel {
  aes_gcm_pre_t pre = nullptr;
  aes_gcm_enc_dec_t encrypt = nullptr;
  aes_gcm_enc_dec_t decrypt = nullptr;
};
struct gcm_kernels {
  std::array<gcm_kernel, 3> by_key;  // of 16, 24 and 32 bytes
  [[nodiscard]] static constexpr std::size_t index_of(const esp_suite_info& row) { return row.cipher_key / 8u - 2; }
  [[nodiscard]] const gcm_kernel& of(const esp_suite_info& row) const { return by_key[index_of(row)]; }
};
[[nodiscard]] gcm_kernels kernels_of(const IMB_MGR* state);

// The library's 256-bit VAES kernels, which it does not take by itself where the processor lacks GFNI.
[[nodiscard]] result<gcm_kernels> vaes_kernels(const IMB_MGR* state);

// How many bytes of gcm_key_data `pre` fills in: the kernels of this family read no further.
[[nodiscard]] std::size_t key_data_size(const gcm_kernel& kernel);

// AES-GCM and GMAC: the salt, and behind the object, in its own cache lines, as much of gcm_key_data as the kernel
// uses.
class alignas(64) gcm_key final : public esp_key {
 public:
  [[nodiscard]] static std::unique_ptr<gcm_key> make(const esp_engine& made_by, esp_suite s, bool extended,
                                                     const gcm_kernel& kernel, std::size_t data_size,
                                                     std::span<const std::uint8_t> material);
  ~gcm_key() override;
  static void operator delete(void* memory) { ::operator delete(memory, std::align_val_t{64}); }

  [[nodiscard]] const gcm_key_data* data() const noexcept { return reinterpret_cast<const gcm_key_data*>(this + 1); }
  [[nodiscard]] std::size_t data_size() const noexcept { return data_size_; }
  [[nodiscard]] const std::uint8_t* salt() const noexcept { return salt_; }

 private:
  gcm_key(const esp_engine& made_by, esp_suite s, bool extended, std::size_t data_size)
      : esp_key(made_by, s, extended), data_size_(static_cast<std::uint32_t>(data_size)) {}
  std::uint32_t data_size_;
  std::uint8_t salt_[4] = {};
};
static_assert(sizeof(gcm_key) == 64);

// ChaCha20-Poly1305: the key as given.
class alignas(64) chacha_key final : public esp_key {
 public:
  chacha_key(const esp_engine& made_by, esp_suite s, bool extended, std::span<const std::uint8_t> material);
  ~chacha_key() override;

  std::uint8_t salt[4];
  std::uint8_t key[32];
};

// A cipher, or none, with HMAC: both key schedules, and the hash states after the padded authentication key (RFC 2104
// 4).
class alignas(64) hmac_key final : public esp_key {
 public:
  hmac_key(const esp_engine& made_by, esp_suite s, bool extended, IMB_MGR* library,
           std::span<const std::uint8_t> material);
  ~hmac_key() override;

  // SHA-1's and SHA-256's two states share one cache line.
  [[nodiscard]] const std::uint8_t* inner() const noexcept { return states_; }
  [[nodiscard]] const std::uint8_t* outer() const noexcept { return states_ + (info(suite).auth_key > 32 ? 64 : 32); }

  std::uint8_t salt[4] = {};
  alignas(16) std::uint8_t encrypt_keys[15 * 16] = {};
  alignas(16) std::uint8_t decrypt_keys[15 * 16] = {};

 private:
  alignas(64) std::uint8_t states_[128] = {};
};
static_assert(sizeof(hmac_key) <= 640);

[[nodiscard]] constexpr IMB_HASH_ALG hash_of(const esp_suite_info& row) {
  constexpr std::array algorithms{IMB_AUTH_NULL, IMB_AUTH_HMAC_SHA_1, IMB_AUTH_HMAC_SHA_256, IMB_AUTH_HMAC_SHA_384,
                                  IMB_AUTH_HMAC_SHA_512};
  return algorithms[static_cast<std::size_t>(row.auth)];
}

[[nodiscard]] result<std::unique_ptr<esp_processor>> make_ipsec_mb_processor(const gcm_kernels& kernels);

}  // namespace trunkgate::ipsec_mb
