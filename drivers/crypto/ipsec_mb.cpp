#include "drivers/crypto/ipsec_mb.hpp"

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>

#include "dataplane/core/secret.hpp"

namespace trunkgate {
namespace ipsec_mb {

result<manager> manager::make(void (*init)(IMB_MGR*)) {
  void* memory = std::aligned_alloc(64, (imb_get_mb_mgr_size() + 63) / 64 * 64);
  if (memory == nullptr) return failure("ipsec-mb: out of memory");
  manager made(imb_set_pointers_mb_mgr(memory, 0, 1));
  init(made.state_);
  if (const int code = imb_get_errno(made.state_); code != 0)
    return failure(std::string("ipsec-mb: ") + imb_get_strerror(code));
  if ((made.state_->features & IMB_FEATURE_SELF_TEST) && !(made.state_->features & IMB_FEATURE_SELF_TEST_PASS))
    return failure("ipsec-mb: the library's own self-test failed");
  return made;
}

result<manager> manager::make() {
  return make([](IMB_MGR* state) { init_mb_mgr_auto(state, nullptr); });
}

manager::~manager() {
  if (state_ == nullptr) return;
  wipe(state_, imb_get_mb_mgr_size());
  std::free(state_);
}

gcm_kernels kernels_of(const IMB_MGR* state) {
  return {{{{state->gcm128_pre, state->gcm128_enc, state->gcm128_dec},
            {state->gcm192_pre, state->gcm192_enc, state->gcm192_dec},
            {state->gcm256_pre, state->gcm256_enc, state->gcm256_dec}}}};
}

std::size_t key_data_size(const gcm_kernel& kernel) {
  // Two fill patterns: a byte that either run changed was written, whatever its value.
  const std::uint8_t key[32] = {};
  std::size_t used = 0;
  for (const int pattern : {0x00, 0xff}) {
    alignas(64) gcm_key_data data;
    std::uint8_t bytes[sizeof data];
    std::memset(&data, pattern, sizeof data);
    kernel.pre(key, &data);
    std::memcpy(bytes, &data, sizeof data);
    for (std::size_t i = 0; i < sizeof data; ++i)
      if (bytes[i] != pattern && i >= used) used = i + 1;
  }
  return used;
}

std::unique_ptr<gcm_key> gcm_key::make(const esp_engine& made_by, esp_suite s, bool extended, const gcm_kernel& kernel,
                                       std::size_t data_size, std::span<const std::uint8_t> material) {
  void* memory = ::operator new(sizeof(gcm_key) + data_size, std::align_val_t{64});
  std::unique_ptr<gcm_key> key(::new (memory) gcm_key(made_by, s, extended, data_size));
  alignas(64) gcm_key_data whole;
  kernel.pre(material.data(), &whole);
  std::memcpy(static_cast<std::uint8_t*>(memory) + sizeof(gcm_key), &whole, data_size);
  wipe(&whole, sizeof whole);
  std::memcpy(key->salt_, material.data() + info(s).cipher_key, sizeof key->salt_);
  return key;
}

gcm_key::~gcm_key() {
  wipe(reinterpret_cast<std::uint8_t*>(this) + sizeof(gcm_key), data_size_);
  wipe(salt_, sizeof salt_);
}

chacha_key::chacha_key(const esp_engine& made_by, esp_suite s, bool extended, std::span<const std::uint8_t> material)
    : esp_key(made_by, s, extended) {
  std::memcpy(key, material.data(), sizeof key);
  std::memcpy(salt, material.data() + sizeof key, sizeof salt);
}

chacha_key::~chacha_key() {
  wipe(key, sizeof key);
  wipe(salt, sizeof salt);
}

hmac_key::hmac_key(const esp_engine& made_by, esp_suite s, bool extended, IMB_MGR* library,
                   std::span<const std::uint8_t> material)
    : esp_key(made_by, s, extended) {
  const auto& row = info(s);
  switch (row.cipher_key) {
    case 16: IMB_AES_KEYEXP_128(library, material.data(), encrypt_keys, decrypt_keys); break;
    case 24: IMB_AES_KEYEXP_192(library, material.data(), encrypt_keys, decrypt_keys); break;
    case 32: IMB_AES_KEYEXP_256(library, material.data(), encrypt_keys, decrypt_keys); break;
    default: break;  // no cipher
  }
  std::memcpy(salt, material.data() + row.cipher_key, row.salt);
  imb_hmac_ipad_opad(library, hash_of(row), material.data() + row.cipher_key + row.salt, row.auth_key, states_,
                     states_ + (outer() - inner()));
}

hmac_key::~hmac_key() {
  wipe(salt, sizeof salt);
  wipe(encrypt_keys, sizeof encrypt_keys);
  wipe(decrypt_keys, sizeof decrypt_keys);
  wipe(states_, sizeof states_);
}

namespace {

class engine final : public esp_engine {
 public:
  // `gcm_only`: what the kernels do and nothing else.
  engine(manager library, std::string_view name, const gcm_kernels& kernels, bool gcm_only)
      : library_(std::move(library)), name_(name), kernels_(kernels), gcm_only_(gcm_only) {
    for (std::size_t i = 0; i < data_sizes_.size(); ++i) data_sizes_[i] = key_data_size(kernels_.by_key[i]);
  }

  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(esp_suite suite) const noexcept override {
    const auto cipher = info(suite).cipher;
    if (cipher == esp_cipher::aes_gcm || cipher == esp_cipher::aes_gmac) return true;
    return !gcm_only_ && cipher != esp_cipher::des3_cbc;  // 3DES has no burst interface, and needs no speed
  }

  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    const auto& row = info(suite);
    if (!supports(suite)) return failure(std::string(name_) + " does not do " + std::string(row.name));
    if (material.size() != row.key_material())
      return failure("key for " + std::string(row.name) + " has " + std::to_string(material.size()) +
                     " bytes, expected " + std::to_string(row.key_material()));
    if (row.cipher == esp_cipher::aes_gcm || row.cipher == esp_cipher::aes_gmac) {
      const auto size = data_sizes_[gcm_kernels::index_of(row)];
      return gcm_key::make(*this, suite, esn, kernels_.of(row), size, material);
    }
    if (row.aead) return std::make_unique<chacha_key>(*this, suite, esn, material);
    const std::scoped_lock guard(library_use_);  // the library notes errors in its state
    return std::make_unique<hmac_key>(*this, suite, esn, library_.get(), material);
  }

  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return make_ipsec_mb_processor(kernels_);
  }

 private:
  manager library_;
  mutable std::mutex library_use_;
  std::string_view name_;
  gcm_kernels kernels_;
  std::array<std::size_t, 3> data_sizes_{};  // of the kernels' keys
  bool gcm_only_;
};

}  // namespace
}  // namespace ipsec_mb

result<std::unique_ptr<esp_engine>> make_ipsec_mb_engine() {
  auto library = ipsec_mb::manager::make();
  if (!library) return std::unexpected(library.error());
  const auto kernels = ipsec_mb::kernels_of(library->get());
  return std::make_unique<ipsec_mb::engine>(std::move(*library), "ipsec-mb", kernels, false);
}

result<std::unique_ptr<esp_engine>> make_ipsec_mb_vaes_engine() {
  auto library = ipsec_mb::manager::make();
  if (!library) return std::unexpected(library.error());
  const auto kernels = ipsec_mb::vaes_kernels(library->get());
  if (!kernels) return std::unexpected(kernels.error());
  return std::make_unique<ipsec_mb::engine>(std::move(*library), "ipsec-mb-vaes", *kernels, true);
}

bool ipsec_mb_passes_over_vaes() {
  const auto library = ipsec_mb::manager::make();
  return library && library->get()->used_arch == IMB_ARCH_AVX2 && library->get()->used_arch_type == 1;
}

}  // namespace trunkgate
