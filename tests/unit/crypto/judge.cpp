#include "tests/unit/crypto/judge.hpp"

#include <fstream>
#include <stdexcept>

#include <openssl/evp.h>
#include <openssl/hmac.h>

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

bytes high_half(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
          static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)};
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
  const context c;
  bytes out(plain.size() + 16);
  int n = 0;
  require(EVP_EncryptInit_ex(c.evp, key.size() == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(), nullptr, key.data(),
                             nonce.data()) == 1,
          "gcm init");
  if (!aad.empty())
    require(EVP_EncryptUpdate(c.evp, nullptr, &n, aad.data(), static_cast<int>(aad.size())) == 1, "aad");
  if (!plain.empty())
    require(EVP_EncryptUpdate(c.evp, out.data(), &n, plain.data(), static_cast<int>(plain.size())) == 1, "gcm");
  std::uint8_t none[16];
  require(EVP_EncryptFinal_ex(c.evp, none, &n) == 1, "gcm final");
  require(EVP_CIPHER_CTX_ctrl(c.evp, EVP_CTRL_AEAD_GET_TAG, 16, out.data() + plain.size()) == 1, "tag");
  return out;
}

bytes cbc_encrypt(std::span<const std::uint8_t> key, std::span<const std::uint8_t> iv,
                  std::span<const std::uint8_t> plain) {
  const context c;
  bytes out(plain.size());
  int n = 0;
  require(EVP_EncryptInit_ex(c.evp, key.size() == 16 ? EVP_aes_128_cbc() : EVP_aes_256_cbc(), nullptr, key.data(),
                             iv.data()) == 1,
          "cbc init");
  EVP_CIPHER_CTX_set_padding(c.evp, 0);
  if (!plain.empty())
    require(EVP_EncryptUpdate(c.evp, out.data(), &n, plain.data(), static_cast<int>(plain.size())) == 1, "cbc");
  return out;
}

bytes hmac(bool sha1, std::span<const std::uint8_t> key, std::span<const std::uint8_t> message) {
  bytes out(EVP_MAX_MD_SIZE);
  unsigned size = 0;
  require(HMAC(sha1 ? EVP_sha1() : EVP_sha256(), key.data(), static_cast<int>(key.size()), message.data(),
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
  bytes packet(clear.begin(), clear.begin() + 8 + row.iv);
  if (row.aead) {
    bytes nonce(material.begin() + row.cipher_key, material.end());
    append(nonce, iv);
    bytes aad(clear.begin(), clear.begin() + 4);
    if (esn) append(aad, high_half(sequence_high));
    append(aad, clear.subspan(4, 4));
    append(packet, gcm_seal(key, nonce, aad, payload));
    return packet;
  }
  append(packet, cbc_encrypt(key, iv, payload));
  auto covered = packet;
  if (esn) append(covered, high_half(sequence_high));
  const auto tag = hmac(row.auth_key == 20, material.subspan(row.cipher_key), covered);
  append(packet, std::span(tag).first(row.icv));
  return packet;
}

std::vector<std::unique_ptr<esp_engine>> all_engines() {
  std::vector<std::unique_ptr<esp_engine>> engines;
  for (auto make : {make_ipsec_mb_vaes_engine, make_ipsec_mb_engine, make_openssl_engine})
    if (auto engine = make()) engines.push_back(std::move(*engine));
  return engines;
}

}  // namespace trunkgate::test
