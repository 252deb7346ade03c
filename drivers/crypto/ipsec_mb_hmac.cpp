#include "drivers/crypto/ipsec_mb_hmac.hpp"

#include <bit>
#include <cstring>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/secret.hpp"
#include "drivers/crypto/icv.hpp"

namespace trunkgate::ipsec_mb {
namespace {

constexpr std::size_t esp_header = 8;
// The multi-buffer code counts in 16 bits; nothing that fits an IP packet is longer.
constexpr std::uint32_t payload_limit = 65'280;

std::uint8_t* icv_of(const esp_op& op, const esp_suite_info& row) noexcept {
  return op.esp + esp_header + row.iv + op.payload_length;
}

// RFC 4303 2.2.1: with a separate integrity algorithm the high half is hashed as if it followed the payload.
void place_high(const esp_op& op, const esp_suite_info& row) noexcept {
  const be32 high(op.sequence_high);
  std::memcpy(icv_of(op, row), &high, sizeof high);
}

}  // namespace

hmac_batches::~hmac_batches() {
  wipe(jobs_.data(), sizeof jobs_);
  wipe(computed_, sizeof computed_);
  wipe(nonces_, sizeof nonces_);
}

template <bool Encrypt>
void hmac_batches::add(esp_op& op) noexcept {
  op.ok = false;
  const auto& row = info(op.key->suite);
  const bool whole_blocks = row.cipher != esp_cipher::aes_cbc || op.payload_length % 16 == 0;
  if (!whole_blocks || op.payload_length > payload_limit) return;
  const auto suite = static_cast<std::size_t>(op.key->suite);
  auto& own = batches_[suite];
  own.ops[own.size++] = &op;
  waiting_ |= std::uint64_t{1} << suite;
  if (own.size == batch_limit) flush<Encrypt>(suite);
}

template <bool Encrypt>
void hmac_batches::finish() noexcept {
  while (waiting_ != 0) flush<Encrypt>(static_cast<std::size_t>(std::countr_zero(waiting_)));
}

template void hmac_batches::add<true>(esp_op&) noexcept;
template void hmac_batches::add<false>(esp_op&) noexcept;
template void hmac_batches::finish<true>() noexcept;
template void hmac_batches::finish<false>() noexcept;

template <bool Encrypt>
void hmac_batches::flush(std::size_t suite) noexcept {
  auto& own = batches_[suite];
  const auto& row = esp_suites[suite];
  const std::span<esp_op* const> ops(own.ops.data(), own.size);
  own.size = 0;
  waiting_ &= ~(std::uint64_t{1} << suite);
  if constexpr (Encrypt)
    encrypt_batch(row, ops);
  else
    decrypt_batch(row, ops);
}

// 1. Jobs with a payload first, those without behind them: the cipher code takes no empty message.
// 2. Cipher. 3. ESN's high half where the ICV will be. 4. Hash, straight into the ICV.
void hmac_batches::encrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept {
  std::size_t ciphers = 0, end = ops.size();
  for (auto* op : ops) {
    const auto index = op->payload_length != 0 ? ciphers++ : --end;
    fill(index, *op, row);
    jobs_[index].auth_tag_output = icv_of(*op, row);
    if (op->key->esn) place_high(*op, row);
  }
  const bool ok = cipher(row, ciphers, IMB_DIR_ENCRYPT) && hash(row, ops.size());
  for (auto* op : ops) op->ok = ok;
}

// 1. Save the received ICV and put ESN's high half there. 2. Hash. 3. Compare. 4. Decrypt what is authentic.
void hmac_batches::decrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept {
  for (std::size_t i = 0; i < ops.size(); ++i) {
    auto& op = *ops[i];
    fill(i, op, row);
    jobs_[i].auth_tag_output = computed_[i];
    std::memcpy(received_[i], icv_of(op, row), row.icv);
    if (op.key->esn) place_high(op, row);
  }
  if (!hash(row, ops.size())) return;
  std::size_t ciphers = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ops[i]->ok = icv_equal(computed_[i], received_[i], row.icv);
    if (!ops[i]->ok || ops[i]->payload_length == 0) continue;
    if (ciphers != i) jobs_[ciphers] = jobs_[i];
    ++ciphers;
  }
  if (!cipher(row, ciphers, IMB_DIR_DECRYPT))
    for (auto* op : ops) op->ok = false;
}

void hmac_batches::fill(std::size_t index, esp_op& op, const esp_suite_info& row) noexcept {
  const auto& key = static_cast<const hmac_key&>(*op.key);
  auto& job = jobs_[index];
  job.enc_keys = key.encrypt_keys;
  job.dec_keys = key.decrypt_keys;
  job.key_len_in_bytes = row.cipher_key;
  job.src = op.esp;
  job.dst = op.esp + esp_header + row.iv;
  job.cipher_start_src_offset_in_bytes = esp_header + row.iv;
  job.msg_len_to_cipher_in_bytes = op.payload_length;
  job.hash_start_src_offset_in_bytes = 0;
  job.msg_len_to_hash_in_bytes = esp_header + row.iv + op.payload_length + (key.esn ? 4 : 0);
  job.iv = op.esp + esp_header;
  job.iv_len_in_bytes = row.iv;
  if (row.cipher == esp_cipher::aes_ctr) {
    // RFC 3686 4: the nonce that came with the key, then the packet's IV; the library lets the blocks count from one
    std::memcpy(nonces_[index], key.salt, 4);
    std::memcpy(nonces_[index] + 4, op.esp + esp_header, 8);
    job.iv = nonces_[index];
    job.iv_len_in_bytes = 12;
  }
  job.auth_tag_output_len_in_bytes = row.icv;
  job.u.HMAC._hashed_auth_key_xor_ipad = key.inner();
  job.u.HMAC._hashed_auth_key_xor_opad = key.outer();
  job.cipher_mode = row.cipher == esp_cipher::aes_ctr ? IMB_CIPHER_CNTR : IMB_CIPHER_CBC;
  job.hash_alg = hash_of(row);
}

bool hmac_batches::cipher(const esp_suite_info& row, std::size_t count, IMB_CIPHER_DIRECTION direction) noexcept {
  if (row.cipher == esp_cipher::null || count == 0) return true;
  const auto mode = row.cipher == esp_cipher::aes_ctr ? IMB_CIPHER_CNTR : IMB_CIPHER_CBC;
  const auto size = static_cast<IMB_KEY_SIZE_BYTES>(row.cipher_key);
  const auto jobs = static_cast<std::uint32_t>(count);
  return IMB_SUBMIT_CIPHER_BURST(library_, jobs_.data(), jobs, mode, direction, size) == jobs;
}

bool hmac_batches::hash(const esp_suite_info& row, std::size_t count) noexcept {
  auto* library = row.auth == esp_auth::hmac_sha256 ? sha256_ : library_;
  const auto jobs = static_cast<std::uint32_t>(count);
  return IMB_SUBMIT_HASH_BURST(library, jobs_.data(), jobs, hash_of(row)) == jobs;
}

}  // namespace trunkgate::ipsec_mb
