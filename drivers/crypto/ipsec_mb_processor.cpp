// IPsec-MB's per-thread half: sends each operation to the code for its kind of suite, the next keys on their way into
// the cache.
#include <optional>

#include "drivers/crypto/ipsec_mb.hpp"
#include "drivers/crypto/ipsec_mb_combined.hpp"
#include "drivers/crypto/ipsec_mb_hmac.hpp"

namespace trunkgate::ipsec_mb {
namespace {

constexpr std::size_t prefetch_ahead = 4;

void prefetch_data(const esp_key& key) noexcept {
  const auto& gcm = static_cast<const gcm_key&>(key);
  const auto* line = reinterpret_cast<const char*>(gcm.data());
  for (const auto* end = line + gcm.data_size(); line < end; line += 64) __builtin_prefetch(line);
}

bool has_gcm_key(const esp_key& key) noexcept {
  const auto cipher = info(key.suite).cipher;
  return cipher == esp_cipher::aes_gcm || cipher == esp_cipher::aes_gmac;
}

class processor final : public esp_processor {
 public:
  processor(manager best, std::optional<manager> sha256, const gcm_kernels& kernels)
      : library_(std::move(best)),
        sha256_(std::move(sha256)),
        combined_(kernels, library_.get()),
        separate_(library_.get(), sha256_ ? sha256_->get() : library_.get()) {}

  void encrypt(std::span<esp_op* const> ops) noexcept override { run<true>(ops); }
  void decrypt(std::span<esp_op* const> ops) noexcept override { run<false>(ops); }

 private:
  template <bool Encrypt>
  void run(std::span<esp_op* const> ops) noexcept {
    for (std::size_t i = 0; i < ops.size(); ++i) {
      if (i + 2 * prefetch_ahead < ops.size()) __builtin_prefetch(ops[i + 2 * prefetch_ahead]->key);
      if (i + prefetch_ahead < ops.size()) {
        const auto* key = ops[i + prefetch_ahead]->key;
        if (key != ops[i + prefetch_ahead - 1]->key && has_gcm_key(*key)) prefetch_data(*key);
      }
      auto& op = *ops[i];
      if (info(op.key->suite).aead)
        combined_.run<Encrypt>(op);
      else
        separate_.add<Encrypt>(op);
    }
    separate_.finish<Encrypt>();
  }

  manager library_;
  std::optional<manager> sha256_;
  combined_modes combined_;
  hmac_batches separate_;
};

}  // namespace

result<std::unique_ptr<esp_processor>> make_ipsec_mb_processor(const gcm_kernels& kernels) {
  auto best = manager::make();
  if (!best) return std::unexpected(best.error());
  // The library's first AVX2 type leaves the SHA extensions alone; its SSE code uses them and is faster at SHA-256.
  const auto* state = best->get();
  const bool extensions_unused =
      (state->features & IMB_FEATURE_SHANI) != 0 && state->used_arch == IMB_ARCH_AVX2 && state->used_arch_type == 1;
  std::optional<manager> sha256;
  if (extensions_unused) {
    auto sse = manager::make(init_mb_mgr_sse);
    if (!sse) return std::unexpected(sse.error());
    sha256.emplace(std::move(*sse));
  }
  return std::make_unique<processor>(std::move(*best), std::move(sha256), kernels);
}

}  // namespace trunkgate::ipsec_mb
