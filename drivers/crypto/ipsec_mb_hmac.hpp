// IPsec-MB's separate modes, a cipher or none and an HMAC, in batches: a whole batch's ciphers and then its hashes, so
// that the library fills its lanes.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "drivers/crypto/ipsec_mb.hpp"

namespace trunkgate::ipsec_mb {

class hmac_batches {
 public:
  // `sha256` is the library's state for that hash: another may be faster at it.
  hmac_batches(IMB_MGR* library, IMB_MGR* sha256) : library_(library), sha256_(sha256) {}
  hmac_batches(const hmac_batches&) = delete;
  hmac_batches& operator=(const hmac_batches&) = delete;
  ~hmac_batches();

  // Notes the operation; does those of its suite when they are many. All are done after finish().
  template <bool Encrypt>
  void add(esp_op& op) noexcept;
  template <bool Encrypt>
  void finish() noexcept;

 private:
  static constexpr std::size_t batch_limit = IMB_MAX_BURST_SIZE;

  struct batch {
    std::array<esp_op*, batch_limit> ops;
    std::size_t size = 0;
  };

  template <bool Encrypt>
  void flush(std::size_t suite) noexcept;
  void encrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept;
  void decrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept;
  void fill(std::size_t index, esp_op& op, const esp_suite_info& row) noexcept;
  bool cipher(const esp_suite_info& row, std::size_t count, IMB_CIPHER_DIRECTION direction) noexcept;
  bool hash(const esp_suite_info& row, std::size_t count) noexcept;

  IMB_MGR* const library_;
  IMB_MGR* const sha256_;
  std::uint64_t waiting_ = 0;  // a bit for each suite whose batch is not empty
  std::array<batch, esp_suite_count> batches_{};
  alignas(64) std::array<IMB_JOB, batch_limit> jobs_{};
  alignas(64) std::uint8_t computed_[batch_limit][64] = {};
  std::uint8_t received_[batch_limit][32] = {};
  std::uint8_t nonces_[batch_limit][16] = {};
};
static_assert(esp_suite_count <= 64);

}  // namespace trunkgate::ipsec_mb
