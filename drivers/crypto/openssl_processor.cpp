// OpenSSL's per-thread half: contexts fetched once, packet after packet.
#include <array>
#include <cstring>

#include <openssl/evp.h>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/secret.hpp"
#include "drivers/crypto/icv.hpp"
#include "drivers/crypto/openssl.hpp"

namespace trunkgate::openssl {
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

// What OpenSSL calls a suite's cipher.
const char* cipher_name(const esp_suite_info& row) {
  const auto aes = [&](const char* with128, const char* with192, const char* with256) {
    return row.cipher_key == 16 ? with128 : row.cipher_key == 24 ? with192 : with256;
  };
  switch (row.cipher) {
    case esp_cipher::aes_gcm:
    case esp_cipher::aes_gmac: return aes("AES-128-GCM", "AES-192-GCM", "AES-256-GCM");
    case esp_cipher::chacha20_poly1305: return "ChaCha20-Poly1305";
    case esp_cipher::aes_cbc: return aes("AES-128-CBC", "AES-192-CBC", "AES-256-CBC");
    case esp_cipher::aes_ctr: return aes("AES-128-CTR", "AES-192-CTR", "AES-256-CTR");
    case esp_cipher::des3_cbc: return "DES-EDE3-CBC";
    case esp_cipher::null: break;
  }
  return "NULL";
}

constexpr std::array<const char*, 5> digest_names{nullptr, "SHA1", "SHA256", "SHA384", "SHA512"};  // by esp_auth

class processor final : public esp_processor {
 public:
  [[nodiscard]] static result<std::unique_ptr<esp_processor>> make() {
    std::unique_ptr<processor> made(new processor);
    for (const auto& row : esp_suites) {
      const cipher_ptr cipher(EVP_CIPHER_fetch(nullptr, cipher_name(row), nullptr));
      for (const int encrypt : {0, 1}) {
        auto& context = made->ciphers_[static_cast<std::size_t>(row.suite)][static_cast<std::size_t>(encrypt)];
        context.reset(EVP_CIPHER_CTX_new());
        if (!cipher || !context || !EVP_CipherInit_ex2(context.get(), cipher.get(), nullptr, nullptr, encrypt, nullptr))
          return failure(std::string("openssl: no ") + cipher_name(row));
        EVP_CIPHER_CTX_set_padding(context.get(), 0);  // ESP pads by itself
      }
    }
    for (std::size_t i = 1; i < digest_names.size(); ++i) {
      const digest_ptr digest(EVP_MD_fetch(nullptr, digest_names[i], nullptr));
      made->digests_[i].reset(EVP_MD_CTX_new());
      if (!digest || !made->digests_[i] || !EVP_DigestInit_ex2(made->digests_[i].get(), digest.get(), nullptr))
        return failure(std::string("openssl: no ") + digest_names[i]);
    }
    return made;
  }

  void encrypt(std::span<esp_op* const> ops) noexcept override {
    for (auto* op : ops) {
      const auto& key = static_cast<const prepared_key&>(*op->key);
      op->ok = fits(*op) && (info(key.suite).aead ? combined<true>(*op, key) : cipher_and_hmac(*op, key));
    }
  }
  void decrypt(std::span<esp_op* const> ops) noexcept override {
    for (auto* op : ops) {
      const auto& key = static_cast<const prepared_key&>(*op->key);
      op->ok = fits(*op) && (info(key.suite).aead ? combined<false>(*op, key) : hmac_and_cipher(*op, key));
    }
  }

 private:
  processor() = default;

  // Only a block cipher's mode without keystream needs whole blocks: ESP's padding to 4 is for its trailer's sake.
  static bool fits(const esp_op& op) noexcept {
    const auto& row = info(op.key->suite);
    return op.payload_length <= payload_limit && (row.block == 4 || op.payload_length % row.block == 0);
  }

  EVP_CIPHER_CTX* context(esp_suite suite, bool encrypt) const noexcept {
    return ciphers_[static_cast<std::size_t>(suite)][encrypt ? 1 : 0].get();
  }

  template <bool Encrypt>
  bool combined(esp_op& op, const prepared_key& key) noexcept {
    const auto& row = info(key.suite);
    std::uint8_t nonce[12];  // RFC 4106 4, RFC 7634 2: salt, then the IV of the packet
    std::memcpy(nonce, key.salt, 4);
    std::memcpy(nonce + 4, op.esp + esp_header, 8);
    std::uint8_t aad[12];  // RFC 4106 5, RFC 7634 2.1: SPI, then the sequence number, extended or not
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
    if (row.cipher == esp_cipher::aes_gmac) {
      // RFC 4543 3.3 with erratum 1821: IV and payload are authenticated behind the sequence number, nothing encrypted.
      const auto behind = static_cast<int>(row.iv + op.payload_length);
      ok = ok && EVP_CipherUpdate(evp, nullptr, &written, op.esp + esp_header, behind) == 1;
    } else if (op.payload_length != 0) {
      ok = ok && EVP_CipherUpdate(evp, payload, &written, payload, static_cast<int>(op.payload_length)) == 1;
    }
    ok = ok && EVP_CipherFinal_ex(evp, none, &written) == 1;
    if constexpr (Encrypt) ok = ok && EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, row.icv, icv) == 1;
    return ok;
  }

  bool cipher_and_hmac(esp_op& op, const prepared_key& key) noexcept {
    std::uint8_t hash[EVP_MAX_MD_SIZE];
    if (!cipher(op, key, true) || !hmac(op, key, hash)) return false;
    const auto& row = info(key.suite);
    std::memcpy(op.esp + esp_header + row.iv + op.payload_length, hash, row.icv);
    return true;
  }

  bool hmac_and_cipher(esp_op& op, const prepared_key& key) noexcept {
    std::uint8_t hash[EVP_MAX_MD_SIZE];
    const auto& row = info(key.suite);
    const std::uint8_t* icv = op.esp + esp_header + row.iv + op.payload_length;
    const bool authentic = hmac(op, key, hash) && icv_equal(hash, icv, row.icv);
    wipe(hash, sizeof hash);
    return authentic && cipher(op, key, false);
  }

  bool cipher(esp_op& op, const prepared_key& key, bool encrypt) noexcept {
    const auto& row = info(key.suite);
    if (op.payload_length == 0 || row.cipher == esp_cipher::null) return true;
    std::uint8_t first[16];  // CBC's IV, or the first counter block
    std::memcpy(first, op.esp + esp_header, row.iv);
    if (row.cipher == esp_cipher::aes_ctr) {
      // RFC 3686 4: the nonce that came with the key, the packet's IV, a block counter that starts at one
      constexpr be32 one(1);
      std::memcpy(first, key.salt, 4);
      std::memcpy(first + 4, op.esp + esp_header, 8);
      std::memcpy(first + 12, &one, 4);
    }
    auto* evp = context(key.suite, encrypt);
    std::uint8_t* payload = op.esp + esp_header + row.iv;
    const auto size = static_cast<int>(op.payload_length);
    int written = 0;
    return EVP_CipherInit_ex2(evp, nullptr, key.cipher, first, encrypt, nullptr) == 1 &&
           EVP_CipherUpdate(evp, payload, &written, payload, size) == 1 && written == size;
  }

  bool hmac(const esp_op& op, const prepared_key& key, std::uint8_t* hash) noexcept {
    const auto& row = info(key.suite);
    auto* evp = digests_[static_cast<std::size_t>(row.auth)].get();
    unsigned size = 0;
    bool ok = EVP_DigestInit_ex2(evp, nullptr, nullptr) == 1 &&
              EVP_DigestUpdate(evp, key.inner, hmac_block(row)) == 1 &&
              EVP_DigestUpdate(evp, op.esp, esp_header + row.iv + op.payload_length) == 1;
    // RFC 4303 2.2.1: the high half is not sent but hashed as if it followed the payload.
    const be32 high(op.sequence_high);
    if (key.esn) ok = ok && EVP_DigestUpdate(evp, &high, sizeof high) == 1;
    return ok && EVP_DigestFinal_ex(evp, hash, &size) == 1 && EVP_DigestInit_ex2(evp, nullptr, nullptr) == 1 &&
           EVP_DigestUpdate(evp, key.outer, hmac_block(row)) == 1 && EVP_DigestUpdate(evp, hash, size) == 1 &&
           EVP_DigestFinal_ex(evp, hash, &size) == 1;
  }

  std::array<std::array<cipher_context, 2>, esp_suite_count> ciphers_;  // by suite, then decrypt and encrypt
  std::array<digest_context, digest_names.size()> digests_;
};

}  // namespace

result<std::unique_ptr<esp_processor>> make_processor() { return processor::make(); }

}  // namespace trunkgate::openssl
