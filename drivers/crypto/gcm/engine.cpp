// The engine around the kernels: AES-GCM only, by 256-bit or 512-bit vectors.
#include <cstring>

#include "dataplane/core/secret.hpp"
#include "drivers/crypto/gcm/kernels.hpp"

namespace trunkgate {
namespace gcm {

key::~key() {
  wipe(schedule, sizeof schedule);
  wipe(salt, sizeof salt);
}

namespace {

class processor final : public esp_processor {
 public:
  explicit processor(const kernels& chosen) : kernels_(chosen) {}
  void encrypt(std::span<esp_op* const> ops) noexcept override { kernels_.encrypt(ops.data(), ops.size()); }
  void decrypt(std::span<esp_op* const> ops) noexcept override { kernels_.decrypt(ops.data(), ops.size()); }

 private:
  const kernels& kernels_;
};

class engine final : public esp_engine {
 public:
  engine(const kernels& chosen, std::string_view name) : kernels_(chosen), name_(name) {}

  [[nodiscard]] std::string_view name() const noexcept override { return name_; }
  [[nodiscard]] bool supports(esp_suite suite) const noexcept override {
    const auto& row = info(suite);
    return row.cipher == esp_cipher::aes_gcm && row.icv == 16;  // RFC 4106 6; the 256-bit kernel counts on these bytes
  }

  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    const auto& row = info(suite);
    if (!supports(suite)) return failure(std::string(name_) + " does not do " + std::string(row.name));
    if (material.size() != row.key_material())
      return failure("key for " + std::string(row.name) + " has " + std::to_string(material.size()) +
                     " bytes, expected " + std::to_string(row.key_material()));
    auto made = std::make_unique<key>(*this, suite, esn);
    made->rounds = static_cast<std::uint8_t>(row.cipher_key / 4 + 6);  // FIPS 197 5
    kernels_.expand(*made, material.data());
    std::memcpy(made->salt, material.data() + row.cipher_key, sizeof made->salt);
    return made;
  }

  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return std::make_unique<processor>(kernels_);
  }

 private:
  const kernels& kernels_;
  std::string_view name_;
};

}  // namespace
}  // namespace gcm

result<std::unique_ptr<esp_engine>> make_vaes_gcm_engine(vaes_width width) {
  const std::string_view name = width == vaes_width::bits_512 ? "vaes512-gcm" : "vaes256-gcm";
  const auto* kernels = gcm::find_kernels(width);
  if (kernels == nullptr) return failure(std::string(name) + ": this processor lacks the instructions");
  return std::make_unique<gcm::engine>(*kernels, name);
}

}  // namespace trunkgate
