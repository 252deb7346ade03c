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
  return {.aes128 = {state->gcm128_pre, state->gcm128_enc, state->gcm128_dec},
          .aes256 = {state->gcm256_pre, state->gcm256_enc, state->gcm256_dec}};
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

cbc_hmac_key::cbc_hmac_key(const esp_engine& made_by, esp_suite s, bool extended, IMB_MGR* library,
                           std::span<const std::uint8_t> material)
    : esp_key(made_by, s, extended) {
  const auto& row = info(s);
  if (row.cipher_key == 16)
    IMB_AES_KEYEXP_128(library, material.data(), encrypt_keys, decrypt_keys);
  else
    IMB_AES_KEYEXP_256(library, material.data(), encrypt_keys, decrypt_keys);
  const auto hash = row.auth_key == 20 ? IMB_AUTH_HMAC_SHA_1 : IMB_AUTH_HMAC_SHA_256;
  imb_hmac_ipad_opad(library, hash, material.data() + row.cipher_key, row.auth_key, inner, outer);
}

cbc_hmac_key::~cbc_hmac_key() {
  wipe(encrypt_keys, sizeof encrypt_keys);
  wipe(decrypt_keys, sizeof decrypt_keys);
  wipe(inner, sizeof inner);
  wipe(outer, sizeof outer);
}

namespace {

class engine final : public esp_engine {
 public:
  engine(manager library, std::string_view name, gcm_kernels kernels, bool cbc)
      : library_(std::move(library)),
        name_(name),
        kernels_(kernels),
        cbc_(cbc),
        data_size_128_(key_data_size(kernels.aes128)),
        data_size_256_(key_data_size(kernels.aes256)) {}

  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(esp_suite suite) const noexcept override {
    const auto& row = info(suite);
    if (row.cipher_key == 24) return false;
    return row.cipher == esp_cipher::aes_gcm || (cbc_ && row.cipher == esp_cipher::aes_cbc && row.auth_key <= 32);
  }

  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    const auto& row = info(suite);
    if (!supports(suite)) return failure(std::string(name_) + " does not do " + std::string(row.name));
    if (material.size() != row.key_material())
      return failure("key for " + std::string(row.name) + " has " + std::to_string(material.size()) +
                     " bytes, expected " + std::to_string(row.key_material()));
    if (suite == esp_suite::aes128gcm16)
      return gcm_key::make(*this, suite, esn, kernels_.aes128, data_size_128_, material);
    if (suite == esp_suite::aes256gcm16)
      return gcm_key::make(*this, suite, esn, kernels_.aes256, data_size_256_, material);
    const std::scoped_lock guard(library_use_);  // the library notes errors in its state
    return std::make_unique<cbc_hmac_key>(*this, suite, esn, library_.get(), material);
  }

  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return make_ipsec_mb_processor(kernels_);
  }

 private:
  manager library_;
  mutable std::mutex library_use_;
  std::string_view name_;
  gcm_kernels kernels_;
  bool cbc_;
  std::size_t data_size_128_, data_size_256_;
};

}  // namespace
}  // namespace ipsec_mb

result<std::unique_ptr<esp_engine>> make_ipsec_mb_engine() {
  auto library = ipsec_mb::manager::make();
  if (!library) return std::unexpected(library.error());
  const auto kernels = ipsec_mb::kernels_of(library->get());
  return std::make_unique<ipsec_mb::engine>(std::move(*library), "ipsec-mb", kernels, true);
}

result<std::unique_ptr<esp_engine>> make_ipsec_mb_vaes_engine() {
  auto library = ipsec_mb::manager::make();
  if (!library) return std::unexpected(library.error());
  const auto kernels = ipsec_mb::vaes_kernels(library->get());
  if (!kernels) return std::unexpected(kernels.error());
  return std::make_unique<ipsec_mb::engine>(std::move(*library), "ipsec-mb-vaes", *kernels, false);
}

bool ipsec_mb_passes_over_vaes() {
  const auto library = ipsec_mb::manager::make();
  return library && library->get()->used_arch == IMB_ARCH_AVX2 && library->get()->used_arch_type == 1;
}

}  // namespace trunkgate
