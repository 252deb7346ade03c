// IPsec-MB's per-thread half. GCM packet by packet with the direct call, the next keys on their way into the cache;
// CBC with HMAC in batches, a whole batch's ciphers and then its hashes, so that the library fills its lanes.
#include <array>
#include <cstring>
#include <optional>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/secret.hpp"
#include "drivers/crypto/icv.hpp"
#include "drivers/crypto/ipsec_mb.hpp"

namespace trunkgate::ipsec_mb {
namespace {

constexpr std::size_t batch_limit = IMB_MAX_BURST_SIZE;
constexpr std::size_t prefetch_ahead = 4;
constexpr std::size_t esp_header = 8;
// The multi-buffer code counts in 16 bits; nothing that fits an IP packet is longer.
constexpr std::uint32_t cbc_payload_limit = 65'280;

struct batch {
  std::array<esp_op*, batch_limit> ops;
  std::size_t size = 0;
};

void prefetch_data(const esp_key& key) noexcept {
  const auto& gcm = static_cast<const gcm_key&>(key);
  const auto* line = reinterpret_cast<const char*>(gcm.data());
  for (const auto* end = line + gcm.data_size(); line < end; line += 64) __builtin_prefetch(line);
}

std::uint8_t* icv_of(const esp_op& op, const esp_suite_info& row) noexcept {
  return op.esp + esp_header + row.iv + op.payload_length;
}

class processor final : public esp_processor {
 public:
  processor(manager best, std::optional<manager> sha, const gcm_kernels& kernels)
      : library_(std::move(best)), sha_(std::move(sha)), kernels_(kernels) {}
  ~processor() override {
    wipe(&context_, sizeof context_);
    wipe(jobs_.data(), sizeof jobs_);
    wipe(computed_, sizeof computed_);
  }

  void encrypt(std::span<esp_op* const> ops) noexcept override { run<true>(ops); }
  void decrypt(std::span<esp_op* const> ops) noexcept override { run<false>(ops); }

 private:
  template <bool Encrypt>
  void run(std::span<esp_op* const> ops) noexcept {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (i + 2 * prefetch_ahead < ops.size()) __builtin_prefetch(ops[i + 2 * prefetch_ahead]->key);
      if (i + prefetch_ahead < ops.size()) {
        const auto* key = ops[i + prefetch_ahead]->key;
        if (key != ops[i + prefetch_ahead - 1]->key && info(key->suite).aead) prefetch_data(*key);
      }
      auto& op = *ops[i];
      if (info(op.key->suite).aead)
        gcm<Encrypt>(op);
      else
        enqueue<Encrypt>(op);
    }
    for (std::size_t suite = 0; suite < esp_suite_count; ++suite) flush<Encrypt>(static_cast<esp_suite>(suite));
  }

  template <bool Encrypt>
  void gcm(esp_op& op) noexcept {
    const auto& key = static_cast<const gcm_key&>(*op.key);
    const auto& row = info(key.suite);
    std::uint8_t nonce[12];  // RFC 4106 4: salt, then the IV of the packet
    std::memcpy(nonce, key.salt(), 4);
    std::memcpy(nonce + 4, op.esp + esp_header, 8);
    std::uint8_t extended[12];  // RFC 4106 5: SPI, then the 64-bit sequence number
    const std::uint8_t* aad = op.esp;
    std::uint64_t aad_size = esp_header;
    if (key.esn) {
      const be32 high(op.sequence_high);
      std::memcpy(extended, op.esp, 4);
      std::memcpy(extended + 4, &high, 4);
      std::memcpy(extended + 8, op.esp + 4, 4);
      aad = extended;
      aad_size = sizeof extended;
    }
    const auto& kernel = key.suite == esp_suite::aes128gcm16 ? kernels_.aes128 : kernels_.aes256;
    std::uint8_t* payload = op.esp + esp_header + row.iv;
    std::uint8_t* icv = payload + op.payload_length;
    if constexpr (Encrypt) {
      kernel.encrypt(key.data(), &context_, payload, payload, op.payload_length, nonce, aad, aad_size, icv, row.icv);
      op.ok = true;
    } else {
      std::uint8_t expected[16];
      kernel.decrypt(key.data(), &context_, payload, payload, op.payload_length, nonce, aad, aad_size, expected,
                     row.icv);
      op.ok = icv_equal(expected, icv, row.icv);
    }
  }

  template <bool Encrypt>
  void enqueue(esp_op& op) noexcept {
    op.ok = false;
    if (op.payload_length % 16 != 0 || op.payload_length > cbc_payload_limit) return;
    auto& waiting = batches_[static_cast<std::size_t>(op.key->suite)];
    waiting.ops[waiting.size++] = &op;
    if (waiting.size == batch_limit) flush<Encrypt>(op.key->suite);
  }

  template <bool Encrypt>
  void flush(esp_suite suite) noexcept {
    auto& waiting = batches_[static_cast<std::size_t>(suite)];
    if (waiting.size == 0) return;
    const auto& row = info(suite);
    const std::span<esp_op* const> ops(waiting.ops.data(), waiting.size);
    waiting.size = 0;
    if constexpr (Encrypt)
      encrypt_batch(row, ops);
    else
      decrypt_batch(row, ops);
  }

  // 1. Jobs with a payload first, those without behind them: the cipher code takes no empty message.
  // 2. Cipher. 3. ESN's high half where the ICV will be. 4. Hash, straight into the ICV.
  void encrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept {
    std::size_t ciphers = 0, end = ops.size();
    for (auto* op : ops) {
      auto& job = jobs_[op->payload_length != 0 ? ciphers++ : --end];
      fill(job, *op, row);
      job.auth_tag_output = icv_of(*op, row);
      if (op->key->esn) place_high(*op, row);
    }
    const bool ok = cipher<IMB_DIR_ENCRYPT>(row, ciphers) && hash(row, ops.size());
    for (auto* op : ops) op->ok = ok;
  }

  // 1. Save the received ICV and put ESN's high half there. 2. Hash. 3. Compare. 4. Decrypt what is authentic.
  void decrypt_batch(const esp_suite_info& row, std::span<esp_op* const> ops) noexcept {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      auto& op = *ops[i];
      fill(jobs_[i], op, row);
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
    if (!cipher<IMB_DIR_DECRYPT>(row, ciphers))
      for (auto* op : ops) op->ok = false;
  }

  // RFC 4303 2.2.1: with a separate integrity algorithm the high half is hashed as if it followed the payload.
  static void place_high(const esp_op& op, const esp_suite_info& row) noexcept {
    const be32 high(op.sequence_high);
    std::memcpy(icv_of(op, row), &high, sizeof high);
  }

  static void fill(IMB_JOB& job, esp_op& op, const esp_suite_info& row) noexcept {
    const auto& key = static_cast<const cbc_hmac_key&>(*op.key);
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
    job.auth_tag_output_len_in_bytes = row.icv;
    job.u.HMAC._hashed_auth_key_xor_ipad = key.inner;
    job.u.HMAC._hashed_auth_key_xor_opad = key.outer;
    job.cipher_mode = IMB_CIPHER_CBC;
    job.hash_alg = row.auth_key == 20 ? IMB_AUTH_HMAC_SHA_1 : IMB_AUTH_HMAC_SHA_256;
  }

  template <IMB_CIPHER_DIRECTION Direction>
  bool cipher(const esp_suite_info& row, std::size_t count) noexcept {
    const auto size = row.cipher_key == 16 ? IMB_KEY_128_BYTES : IMB_KEY_256_BYTES;
    const auto jobs = static_cast<std::uint32_t>(count);
    return jobs == 0 ||
           IMB_SUBMIT_CIPHER_BURST(library_.get(), jobs_.data(), jobs, IMB_CIPHER_CBC, Direction, size) == jobs;
  }

  bool hash(const esp_suite_info& row, std::size_t count) noexcept {
    const auto algorithm = row.auth_key == 20 ? IMB_AUTH_HMAC_SHA_1 : IMB_AUTH_HMAC_SHA_256;
    const auto jobs = static_cast<std::uint32_t>(count);
    auto* library = sha_ && row.auth_key != 20 ? sha_->get() : library_.get();
    return IMB_SUBMIT_HASH_BURST(library, jobs_.data(), jobs, algorithm) == jobs;
  }

  manager library_;
  std::optional<manager> sha_;  // for SHA-256, where another is faster at it
  gcm_kernels kernels_;
  gcm_context_data context_{};
  std::array<batch, esp_suite_count> batches_{};
  alignas(64) std::array<IMB_JOB, batch_limit> jobs_{};
  alignas(64) std::uint8_t computed_[batch_limit][32] = {};
  std::uint8_t received_[batch_limit][16] = {};
};

}  // namespace

result<std::unique_ptr<esp_processor>> make_ipsec_mb_processor(const gcm_kernels& kernels) {
  auto best = manager::make();
  if (!best) return std::unexpected(best.error());
  // The library's first AVX2 type leaves the SHA extensions alone; its SSE code uses them and is faster at SHA-256.
  const auto* state = best->get();
  const bool extensions_unused =
      (state->features & IMB_FEATURE_SHANI) != 0 && state->used_arch == IMB_ARCH_AVX2 && state->used_arch_type == 1;
  std::optional<manager> sha;
  if (extensions_unused) {
    auto sse = manager::make(init_mb_mgr_sse);
    if (!sse) return std::unexpected(sse.error());
    sha.emplace(std::move(*sse));
  }
  return std::make_unique<processor>(std::move(*best), std::move(sha), kernels);
}

}  // namespace trunkgate::ipsec_mb
