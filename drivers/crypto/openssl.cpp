// OpenSSL's engine: slower, everywhere, for every suite, and what the others are measured against.
#include "drivers/crypto/openssl.hpp"

#include <cstring>

#include "dataplane/core/secret.hpp"

namespace trunkgate {
namespace openssl {

prepared_key::prepared_key(const esp_engine& made_by, esp_suite s, bool extended,
                           std::span<const std::uint8_t> material)
    : esp_key(made_by, s, extended) {
  const auto& row = info(s);
  std::memcpy(cipher, material.data(), row.cipher_key);
  std::memcpy(salt, material.data() + row.cipher_key, row.salt);
  if (row.auth == esp_auth::combined) return;
  const auto* auth = material.data() + row.cipher_key + row.salt;
  for (std::size_t i = 0; i < hmac_block(row); ++i) {
    const std::uint8_t byte = i < row.auth_key ? auth[i] : 0;
    inner[i] = byte ^ 0x36;
    outer[i] = byte ^ 0x5c;
  }
}

prepared_key::~prepared_key() {
  wipe(cipher, sizeof cipher);
  wipe(salt, sizeof salt);
  wipe(inner, sizeof inner);
  wipe(outer, sizeof outer);
}

namespace {

class engine final : public esp_engine {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "openssl"; }
  [[nodiscard]] bool supports(esp_suite) const noexcept override { return true; }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    const auto& row = info(suite);
    if (material.size() != row.key_material())
      return failure("key for " + std::string(row.name) + " has " + std::to_string(material.size()) +
                     " bytes, expected " + std::to_string(row.key_material()));
    return std::make_unique<prepared_key>(*this, suite, esn, material);
  }
  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return openssl::make_processor();
  }
};

}  // namespace
}  // namespace openssl

result<std::unique_ptr<esp_engine>> make_openssl_engine() { return std::make_unique<openssl::engine>(); }

}  // namespace trunkgate
