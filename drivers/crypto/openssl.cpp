// OpenSSL's engine: slower, everywhere, and what the other is measured against.
#include <array>
#include <cstring>

#include <openssl/evp.h>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/secret.hpp"
#include "drivers/crypto/engine.hpp"
#include "drivers/crypto/icv.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t esp_header = 8;
constexpr std::uint32_t payload_limit = 0x7fffff00;  // OpenSSL counts in int

template <auto Free>
struct freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using cipher_ptr = std::unique_ptr<EVP_CIPHER, freer<EVP_CIPHER_free>>;
using digest_ptr = std::unique_ptr<EVP_MD, freer<EVP_MD_free>>;
using cipher_context = std::unique_ptr<EVP_CIPHER_CTX, freer<EVP_CIPHER_CTX_free>>;
using digest_context = std::unique_ptr<EVP_MD_CTX, freer<EVP_MD_CTX_free>>;

// The key as given, and HMAC's two padded blocks (RFC 2104 2), so that a packet needs no allocation for HMAC's key.
class alignas(64) openssl_key final : public esp_key {
 public:
  openssl_key(const esp_engine& made_by, esp_suite s, bool extended, std::span<const std::uint8_t> material)
      : esp_key(made_by, s, extended) {
    const auto& row = info(s);
    std::memcpy(cipher, material.data(), row.cipher_key);
    std::memcpy(salt, material.data() + row.cipher_key, row.salt);
    const auto* auth = material.data() + row.cipher_key + row.salt;
    for (std::size_t i = 0; i < sizeof inner; ++i) {
      const std::uint8_t byte = i < row.auth_key ? auth[i] : 0;
      inner[i] = byte ^ 0x36;
      outer[i] = byte ^ 0x5c;
    }
  }
  ~openssl_key() override {
    wipe(cipher, sizeof cipher);
    wipe(salt, sizeof salt);
    wipe(inner, sizeof inner);
    wipe(outer, sizeof outer);
  }

  std::uint8_t cipher[32] = {};
  std::uint8_t salt[4] = {};
  std::uint8_t inner[64];
  std::uint8_t outer[64];
};

class openssl_processor final : public esp_processor {
 public:
  [[nodiscard]] static result<std::unique_ptr<esp_processor>> make() {
    std::unique_ptr<openssl_processor> made(new openssl_processor);
    constexpr const char* ciphers[esp_suite_count] = {"AES-128-GCM", "AES-256-GCM", "AES-128-CBC",
                                                      "AES-256-CBC", "AES-128-CBC", "AES-256-CBC"};
    for (std::size_t i = 0; i < esp_suite_count; ++i) {
      const cipher_ptr cipher(EVP_CIPHER_fetch(nullptr, ciphers[i], nullptr));
      for (const int encrypt : {0, 1}) {
        auto& context = made->ciphers_[i][static_cast<std::size_t>(encrypt)];
        context.reset(EVP_CIPHER_CTX_new());
        if (!cipher || !context || !EVP_CipherInit_ex2(context.get(), cipher.get(), nullptr, nullptr, encrypt, nullptr))
          return failure(std::string("openssl: no ") + ciphers[i]);
        EVP_CIPHER_CTX_set_padding(context.get(), 0);  // ESP pads by itself
      }
    }
    for (const bool sha1 : {false, true}) {
      const digest_ptr digest(EVP_MD_fetch(nullptr, sha1 ? "SHA1" : "SHA256", nullptr));
      auto& context = sha1 ? made->sha1_ : made->sha256_;
      context.reset(EVP_MD_CTX_new());
      if (!digest || !context || !EVP_DigestInit_ex2(context.get(), digest.get(), nullptr))
        return failure(sha1 ? "openssl: no SHA1" : "openssl: no SHA256");
    }
    return made;
  }

  void encrypt(std::span<esp_op* const> ops) noexcept override {
    for (auto* op : ops) {
      const auto& key = static_cast<const openssl_key&>(*op->key);
      op->ok = fits(*op) && (info(key.suite).aead ? gcm<true>(*op, key) : cbc_encrypt(*op, key));
    }
  }
  void decrypt(std::span<esp_op* const> ops) noexcept override {
    for (auto* op : ops) {
      const auto& key = static_cast<const openssl_key&>(*op->key);
      op->ok = fits(*op) && (info(key.suite).aead ? gcm<false>(*op, key) : cbc_decrypt(*op, key));
    }
  }

 private:
  openssl_processor() = default;

  static bool fits(const esp_op& op) noexcept {
    return op.payload_length <= payload_limit && (info(op.key->suite).aead || op.payload_length % 16 == 0);
  }

  EVP_CIPHER_CTX* context(esp_suite suite, bool encrypt) const noexcept {
    return ciphers_[static_cast<std::size_t>(suite)][encrypt ? 1 : 0].get();
  }

  template <bool Encrypt>
  bool gcm(esp_op& op, const openssl_key& key) noexcept {
    const auto& row = info(key.suite);
    std::uint8_t nonce[12];  // RFC 4106 4: salt, then the IV of the packet
    std::memcpy(nonce, key.salt, 4);
    std::memcpy(nonce + 4, op.esp + esp_header, 8);
    std::uint8_t aad[12];  // RFC 4106 5: SPI, then the sequence number, extended or not
    int aad_size = 8;
    std::memcpy(aad, op.esp, esp_header);
    if (key.esn) {
      const be32 high(op.sequence_high);
      std::memcpy(aad + 4, &high, 4);
      std::memcpy(aad + 8, op.esp + 4, 4);
      aad_size = 12;
    }
    std::uint8_t* payload = op.esp + esp_header + row.iv;
    std::uint8_t* icv = payload + op.payload_length;
    auto* evp = context(key.suite, Encrypt);
    int written = 0;
    std::uint8_t none[16];
    bool ok = EVP_CipherInit_ex2(evp, nullptr, key.cipher, nonce, Encrypt, nullptr) == 1;
    if constexpr (!Encrypt) ok = ok && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, row.icv, icv) == 1;
    ok = ok && EVP_CipherUpdate(evp, nullptr, &written, aad, aad_size) == 1;
    if (op.payload_length != 0)
      ok = ok && EVP_CipherUpdate(evp, payload, &written, payload, static_cast<int>(op.payload_length)) == 1;
    ok = ok && EVP_CipherFinal_ex(evp, none, &written) == 1;
    if constexpr (Encrypt) ok = ok && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, row.icv, icv) == 1;
    return ok;
  }

  bool cbc_encrypt(esp_op& op, const openssl_key& key) noexcept {
    std::uint8_t hash[EVP_MAX_MD_SIZE];
    if (!cbc(op, key, true) || !hmac(op, key, hash)) return false;
    const auto& row = info(key.suite);
    std::memcpy(op.esp + esp_header + row.iv + op.payload_length, hash, row.icv);
    return true;
  }

  bool cbc_decrypt(esp_op& op, const openssl_key& key) noexcept {
    std::uint8_t hash[EVP_MAX_MD_SIZE];
    const auto& row = info(key.suite);
    const std::uint8_t* icv = op.esp + esp_header + row.iv + op.payload_length;
    const bool authentic = hmac(op, key, hash) && icv_equal(hash, icv, row.icv);
    wipe(hash, sizeof hash);
    return authentic && cbc(op, key, false);
  }

  bool cbc(esp_op& op, const openssl_key& key, bool encrypt) noexcept {
    auto* evp = context(key.suite, encrypt);
    std::uint8_t* payload = op.esp + esp_header + info(key.suite).iv;
    const auto size = static_cast<int>(op.payload_length);
    int written = 0;
    return size == 0 || (EVP_CipherInit_ex2(evp, nullptr, key.cipher, op.esp + esp_header, encrypt, nullptr) == 1 &&
                         EVP_CipherUpdate(evp, payload, &written, payload, size) == 1 && written == size);
  }

  bool hmac(const esp_op& op, const openssl_key& key, std::uint8_t* hash) noexcept {
    const auto& row = info(key.suite);
    auto* evp = row.auth_key == 20 ? sha1_.get() : sha256_.get();
    unsigned size = 0;
    bool ok = EVP_DigestInit_ex2(evp, nullptr, nullptr) == 1 &&
              EVP_DigestUpdate(evp, key.inner, sizeof key.inner) == 1 &&
              EVP_DigestUpdate(evp, op.esp, esp_header + row.iv + op.payload_length) == 1;
    // RFC 4303 2.2.1: the high half is not sent but hashed as if it followed the payload.
    const be32 high(op.sequence_high);
    if (key.esn) ok = ok && EVP_DigestUpdate(evp, &high, sizeof high) == 1;
    return ok && EVP_DigestFinal_ex(evp, hash, &size) == 1 && EVP_DigestInit_ex2(evp, nullptr, nullptr) == 1 &&
           EVP_DigestUpdate(evp, key.outer, sizeof key.outer) == 1 && EVP_DigestUpdate(evp, hash, size) == 1 &&
           EVP_DigestFinal_ex(evp, hash, &size) == 1;
  }

  std::array<std::array<cipher_context, 2>, esp_suite_count> ciphers_;  // by suite, then decrypt and encrypt
  digest_context sha1_, sha256_;
};

class openssl_engine final : public esp_engine {
 public:
  [[nodiscard]] std::string_view name() const noexcept override { return "openssl"; }
  [[nodiscard]] bool supports(esp_suite) const noexcept override { return true; }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    const auto& row = info(suite);
    if (material.size() != row.key_material())
      return failure("key for " + std::string(row.name) + " has " + std::to_string(material.size()) +
                     " bytes, expected " + std::to_string(row.key_material()));
    return std::make_unique<openssl_key>(*this, suite, esn, material);
  }
  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return openssl_processor::make();
  }
};

}  // namespace

result<std::unique_ptr<esp_engine>> make_openssl_engine() { return std::make_unique<openssl_engine>(); }

}  // namespace trunkgate
