#include "tests/unit/crypto/judge.hpp"

#include <fstream>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

namespace trunkgate::test {
namespace {

void require(bool ok, const char* what) {
  if (!ok) throw std::runtime_error(what);
}

struct context {
  EVP_CIPHER_CTX* evp = EVP_CIPHER_CTX_new();
  context() = default;
  context(const context&) = delete;
  ~context() { EVP_CIPHER_CTX_free(evp); }
};

void append(bytes& to, std::span<const std::uint8_t> more) { to.insert(to.end(), more.begin(), more.end()); }

bytes big_endian_bytes(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
}

const EVP_CIPHER* by_size(std::span<const std::uint8_t> key, const EVP_CIPHER* with128, const EVP_CIPHER* with192,
                          const EVP_CIPHER* with256) {
  return key.size() == 16 ? with128 : key.size() == 24 ? with192 : with256;
}

bytes aead_seal(const EVP_CIPHER* cipher, std::span<const std::uint8_t> key, const bytes& nonce, const bytes& aad,
                std::span<const std::uint8_t> plain) {
  const context c;
  bytes out(plain.size() + 16);
  int n = 0;
  require(EVP_EncryptInit_ex(c.evp, cipher, nullptr, key.data(), nonce.data()) == 1, "aead init");
  if (!aad.empty())
    require(EVP_EncryptUpdate(c.evp, nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1, "aad");
  if (!plain.empty())
    require(EVP_EncryptUpdate(c.evp, out.data(), &n, plain.data(), static_cast<int>(plain.size())) == 1, "aead");
  std::uint8_t none[16];
  require(EVP_EncryptFinal_ex(c.evp, none, &n) == 1, "aead final");
  require(EVP_CIPHER_CTX_ctrl(c.evp, EVP_CTRL_AEAD_GET_TAG, 16, out.data() + plain.size()) == 1, "tag");
  return out;
}

bytes run_blocks(const EVP_CIPHER* cipher, std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                 std::span<const std::uint8_t> plain, bool encrypt = true) {
  const context c;
  bytes out(plain.size());
  int n = 0;
  require(EVP_CipherInit_ex(c.evp, cipher, nullptr, key.data(), iv.data(), encrypt ? 1 : 0) == 1, "cipher init");
  EVP_CIPHER_CTX_set_padding(c.evp, 0);
  if (!plain.empty())
    require(EVP_CipherUpdate(c.evp, out.data(), &n, plain.data(), static_cast<int>(plain.size())) == 1, "cipher");
  return out;
}

}  // namespace

bytes unhex(const std::string& text) {
  bytes out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16)));
  return out;
}

nlohmann::json read_vectors(const std::string& file) {
  std::ifstream in(std::string(TRUNKGATE_SOURCE_DIR) + "/tests/vectors/" + file);
  require(in.good(), file.c_str());
  return nlohmann::json::parse(in);
}

bytes gcm_seal(std::span<const std::uint8_t> key, const bytes& nonce, const bytes& aad,
               std::span<const std::uint8_t> plain) {
  return aead_seal(by_size(key, EVP_aes_128_gcm(), EVP_aes_192_gcm(), EVP_aes_256_gcm()), key, nonce, aad, plain);
}

bytes chacha_seal(std::span<const std::uint8_t> key, const bytes& nonce, const bytes& aad,
                  std::span<const std::uint8_t> plain) {
  return aead_seal(EVP_chacha20_poly1305(), key, nonce, aad, plain);
}

bytes gmac(std::span<const std::uint8_t> key, bytes nonce, const bytes& message) {
  std::string name = "AES-" + std::to_string(key.size() * 8) + "-GCM";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("cipher", name.data(), 0),
                                   OSSL_PARAM_construct_octet_string("iv", nonce.data(), nonce.size()),
                                   OSSL_PARAM_construct_end()};
  bytes out(16);
  std::size_t size = 0;
  require(EVP_Q_mac(nullptr, "GMAC", nullptr, nullptr, parameters, key.data(), key.size(), message.data(),
                    message.size(), out.data(), out.size(), &size) != nullptr &&
              size == out.size(),
          "gmac");
  return out;
}

bytes cbc_encrypt(std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                  std::span<const std::uint8_t> plain) {
  return run_blocks(by_size(key, EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc()), key, iv, plain);
}

bytes des3_encrypt(std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                   std::span<const std::uint8_t> plain) {
  return run_blocks(EVP_des_ede3_cbc(), key, iv, plain);
}

// The counter blocks written out, encrypted, and added to the text: no use of a library's counter mode.
bytes ctr_encrypt(std::span<const std::uint8_t> key, const bytes& nonce, std::span<const std::uint8_t> plain,
                  std::uint32_t first) {
  bytes blocks;
  for (std::uint32_t i = 0; i < (plain.size() + 15) / 16; ++i) {
    append(blocks, nonce);
    append(blocks, big_endian_bytes(first + i));
  }
  bytes out = run_blocks(by_size(key, EVP_aes_128_ecb(), EVP_aes_192_ecb(), EVP_aes_256_ecb()), key, {}, blocks);
  out.resize(plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) out[i] ^= plain[i];
  return out;
}

bytes hmac(esp_auth auth, std::span<const std::uint8_t> key, std::span<const std::uint8_t> message) {
  const EVP_MD* const digests[] = {nullptr, EVP_sha1(), EVP_sha256(), EVP_sha384(), EVP_sha512()};
  bytes out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  require(HMAC(digests[static_cast<std::size_t>(auth)], key.data(), static_cast<int>(key.size()), message.data(),
               message.size(), out.data(), &size) != nullptr,
          "hmac");
  out.resize(size);
  return out;
}

bytes esp_seal(esp_suite suite, std::span<const std::uint8_t> material, bool esn, std::uint32_t sequence_high,
               std::span<const std::uint8_t> clear) {
  const auto& row = info(suite);
  const auto key = material.first(row.cipher_key);
  const auto iv = clear.subspan(8, row.iv);
  const auto payload = clear.subspan(8u + row.iv);
  const bytes high = esn ? big_endian_bytes(sequence_high) : bytes();
  bytes nonce(material.begin() + row.cipher_key, material.begin() + row.cipher_key + row.salt);
  append(nonce, iv);
  bytes aad(clear.begin(), clear.begin() + 4);
  append(aad, high);
  append(aad, clear.subspan(4, 4));
  bytes packet(clear.begin(), clear.begin() + 8 + row.iv);
  switch (row.cipher) {
    case esp_cipher::aes_gcm: append(packet, gcm_seal(key, nonce, aad, payload)); break;
    case esp_cipher::chacha20_poly1305: append(packet, chacha_seal(key, nonce, aad, payload)); break;
    case esp_cipher::aes_gmac:
      append(aad, clear.subspan(8));  // RFC 4543 3.3, erratum 1821: the IV too
      append(packet, payload);
      append(packet, gmac(key, nonce, aad));
      break;
    case esp_cipher::aes_cbc: append(packet, cbc_encrypt(key, iv, payload)); break;
    case esp_cipher::aes_ctr: append(packet, ctr_encrypt(key, nonce, payload)); break;
    case esp_cipher::des3_cbc: append(packet, des3_encrypt(key, iv, payload)); break;
    case esp_cipher::null: append(packet, payload); break;
  }
  if (row.aead) return packet;
  auto covered = packet;
  append(covered, high);
  const auto tag = hmac(row.auth, material.subspan(row.cipher_key + row.salt), covered);
  append(packet, std::span(tag).first(row.icv));
  return packet;
}

bytes esp_decipher(esp_suite suite, std::span<const std::uint8_t> material, std::span<const std::uint8_t> iv,
                   std::span<const std::uint8_t> text) {
  const auto& row = info(suite);
  const auto key = material.first(row.cipher_key);
  bytes nonce(material.begin() + row.cipher_key, material.begin() + row.cipher_key + row.salt);
  append(nonce, iv);
  switch (row.cipher) {
    case esp_cipher::aes_gcm: return ctr_encrypt(key, nonce, text, 2);  // NIST SP 800-38D 7.1
    case esp_cipher::aes_ctr: return ctr_encrypt(key, nonce, text);
    case esp_cipher::chacha20_poly1305: {
      bytes counter{1, 0, 0, 0};  // RFC 8439 2.8: the text begins with block one
      append(counter, nonce);
      return run_blocks(EVP_chacha20(), key, counter, text);
    }
    case esp_cipher::aes_cbc:
      return run_blocks(by_size(key, EVP_aes_128_cbc(), EVP_aes_192_cbc(), EVP_aes_256_cbc()), key, iv, text, false);
    case esp_cipher::des3_cbc: return run_blocks(EVP_des_ede3_cbc(), key, iv, text, false);
    case esp_cipher::aes_gmac:
    case esp_cipher::null: break;
  }
  return {text.begin(), text.end()};
}

std::vector<std::unique_ptr<esp_engine>> all_engines() {
  std::vector<std::unique_ptr<esp_engine>> engines;
  for (const auto width : {vaes_width::bits_512, vaes_width::bits_256})
    if (auto engine = make_vaes_gcm_engine(width)) engines.push_back(std::move(*engine));
  for (auto make : {make_ipsec_mb_vaes_engine, make_ipsec_mb_engine, make_openssl_engine})
    if (auto engine = make()) engines.push_back(std::move(*engine));
  return engines;
}

}  // namespace trunkgate::test
