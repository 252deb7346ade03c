#include "controlplane/ike/crypto/message_cipher.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "controlplane/ike/crypto/openssl.hpp"
#include "dataplane/core/bytes.hpp"

namespace trunkgate::ike {
namespace {

using namespace transform_id;
using openssl::cipher_kind;

struct encryption_row {
  std::uint16_t id, key_bits;  // key_bits as in the Key Length attribute; 0: it is not sent
  cipher_kind kind;
  std::uint8_t key, salt;  // octets
  std::uint8_t iv, block;  // block: the plaintext with its padding is a multiple of this
  bool aead;
};
constexpr std::array encryptions{
    encryption_row{encr_aes_gcm16, 128, cipher_kind::aes128_gcm, 16, 4, 8, 1, true},  // RFC 5282
    encryption_row{encr_aes_gcm16, 192, cipher_kind::aes192_gcm, 24, 4, 8, 1, true},
    encryption_row{encr_aes_gcm16, 256, cipher_kind::aes256_gcm, 32, 4, 8, 1, true},
    encryption_row{encr_chacha20_poly1305, 0, cipher_kind::chacha20_poly1305, 32, 4, 8, 1, true},  // RFC 7634
    encryption_row{encr_aes_cbc, 128, cipher_kind::aes128_cbc, 16, 0, 16, 16, false},              // RFC 3602
    encryption_row{encr_aes_cbc, 192, cipher_kind::aes192_cbc, 24, 0, 16, 16, false},
    encryption_row{encr_aes_cbc, 256, cipher_kind::aes256_cbc, 32, 0, 16, 16, false},
    encryption_row{encr_3des, 0, cipher_kind::des3_cbc, 24, 0, 8, 8, false},  // RFC 2451
};

struct integrity_row {
  std::uint16_t id;
  openssl::hash hash;
  std::uint8_t key, icv;
};
constexpr std::array integrities{
    integrity_row{auth_hmac_sha1_96, openssl::hash::sha1, 20, 12},       // RFC 2404
    integrity_row{auth_hmac_sha256_128, openssl::hash::sha256, 32, 16},  // RFC 4868
    integrity_row{auth_hmac_sha384_192, openssl::hash::sha384, 48, 24},
    integrity_row{auth_hmac_sha512_256, openssl::hash::sha512, 64, 32},
};
constexpr std::size_t aead_tag = 16, largest_key = 36, largest_integrity_key = 64;
constexpr std::size_t payload_limit = 0x7fffff00;  // OpenSSL counts in int

struct algorithm {
  const encryption_row* encryption;
  const integrity_row* integrity;  // null with AEAD
  [[nodiscard]] std::size_t icv() const { return encryption->aead ? aead_tag : integrity->icv; }
};

std::optional<algorithm> find(const transform_choice& encryption, std::uint16_t integrity) {
  const auto* row = std::ranges::find_if(encryptions, [&](const encryption_row& one) {
    return one.id == encryption.id && one.key_bits == encryption.key_bits;
  });
  if (row == encryptions.end()) return std::nullopt;
  // RFC 7296 3.3: no integrity algorithm with a combined mode, always one with any other.
  if (row->aead) return integrity == auth_none ? std::optional(algorithm{row, nullptr}) : std::nullopt;
  const auto* with = std::ranges::find(integrities, integrity, &integrity_row::id);
  return with == integrities.end() ? std::nullopt : std::optional(algorithm{row, with});
}

}  // namespace

// All that a direction keeps. What OpenSSL needs for a call is made for that call: its contexts are several times
// larger than this, and a gateway holds two of these for each of thousands of peers that seldom speak.
struct message_cipher::state {
  algorithm with;
  std::array<std::uint8_t, largest_key> key;
  std::array<std::uint8_t, largest_integrity_key> integrity_key;

  explicit state(algorithm chosen) : with(chosen), key{}, integrity_key{} {}
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  ~state() {
    wipe(key.data(), key.size());
    wipe(integrity_key.data(), integrity_key.size());
  }

  // Padding with the pad length at its end (RFC 7296 3.14).
  [[nodiscard]] std::size_t padded(std::size_t plain) const {
    const std::size_t block = with.encryption->block;
    return (plain + 1 + block - 1) / block * block;
  }

  // RFC 5282 4, RFC 7634 2: the nonce is the salt, then the IV of the message.
  [[nodiscard]] std::array<std::uint8_t, 12> nonce(const std::uint8_t* iv) const {
    std::array<std::uint8_t, 12> made;
    std::memcpy(made.data(), key.data() + with.encryption->key, 4);
    std::memcpy(made.data() + 4, iv, 8);
    return made;
  }

  // Encrypts or decrypts `text` into `out`. False: it would not.
  [[nodiscard]] bool cbc(bool encrypt, byte_view iv, byte_view text, std::uint8_t* out) const {
    const openssl::cipher_context context(EVP_CIPHER_CTX_new());
    int written = 0;
    return context &&
           EVP_CipherInit_ex2(context.get(), openssl::fetched(with.encryption->kind), key.data(), iv.data(),
                              encrypt ? 1 : 0, nullptr) == 1 &&
           EVP_CIPHER_CTX_set_padding(context.get(), 0) == 1 &&
           EVP_CipherUpdate(context.get(), out, &written, text.data(), static_cast<int>(text.size())) == 1 &&
           written == static_cast<int>(text.size());
  }

  // RFC 5282 5.1: everything in front of the IV is authenticated too. `tag` is read or written.
  [[nodiscard]] bool combined(bool encrypt, byte_view associated, const std::uint8_t* iv, byte_view text,
                              std::uint8_t* out, std::uint8_t* tag) const {
    const openssl::cipher_context context(EVP_CIPHER_CTX_new());
    auto* evp = context.get();
    int written = 0;
    return evp != nullptr &&
           EVP_CipherInit_ex2(evp, openssl::fetched(with.encryption->kind), key.data(), nonce(iv).data(),
                              encrypt ? 1 : 0, nullptr) == 1 &&
           (encrypt || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_SET_TAG, aead_tag, tag) == 1) &&
           EVP_CipherUpdate(evp, nullptr, &written, associated.data(), static_cast<int>(associated.size())) == 1 &&
           EVP_CipherUpdate(evp, out, &written, text.data(), static_cast<int>(text.size())) == 1 &&
           EVP_CipherFinal_ex(evp, out + text.size(), &written) == 1 &&
           (!encrypt || EVP_CIPHER_CTX_ctrl(evp, EVP_CTRL_AEAD_GET_TAG, aead_tag, tag) == 1);
  }

  [[nodiscard]] std::array<std::uint8_t, openssl::largest_hash> mac(byte_view message) const {
    std::array<std::uint8_t, openssl::largest_hash> out;
    openssl::hmac(with.integrity->hash, byte_view(integrity_key).first(with.integrity->key)).add(message).finish(out);
    return out;
  }
};

cipher_key_sizes key_sizes(const transform_choice& encryption, std::uint16_t integrity) {
  const auto with = find(encryption, integrity);
  if (!with) return {};
  return {.encryption = std::size_t{with->encryption->key} + with->encryption->salt,
          .integrity = with->integrity == nullptr ? std::size_t{0} : with->integrity->key};
}

message_cipher::message_cipher(std::unique_ptr<state> own) : state_(std::move(own)) {}
message_cipher::message_cipher(message_cipher&&) noexcept = default;
message_cipher& message_cipher::operator=(message_cipher&&) noexcept = default;
message_cipher::~message_cipher() = default;

result<message_cipher> message_cipher::make(const transform_choice& encryption, std::uint16_t integrity,
                                            byte_view encryption_key, byte_view integrity_key) {
  static_assert(sizeof(state) <= 128, "a gateway holds two of these for each peer");
  const auto with = find(encryption, integrity);
  if (!with)
    return failure("IKE encryption " + std::to_string(encryption.id) + " with a key of " +
                   std::to_string(encryption.key_bits) + " bits and integrity " + std::to_string(integrity) +
                   " is not known");
  const auto sizes = key_sizes(encryption, integrity);
  if (encryption_key.size() != sizes.encryption || integrity_key.size() != sizes.integrity)
    return failure("IKE encryption " + std::to_string(encryption.id) + ": keys of " +
                   std::to_string(encryption_key.size()) + " and " + std::to_string(integrity_key.size()) +
                   " octets instead of " + std::to_string(sizes.encryption) + " and " +
                   std::to_string(sizes.integrity));
  auto own = std::make_unique<state>(*with);
  std::ranges::copy(encryption_key, own->key.begin());
  std::ranges::copy(integrity_key, own->integrity_key.begin());
  return message_cipher(std::move(own));
}

std::size_t message_cipher::body_size(std::size_t plain) const {
  return state_->with.encryption->iv + state_->padded(plain) + state_->with.icv();
}

void message_cipher::seal(std::vector<std::uint8_t>& message, byte_view plain, std::uint64_t number) const {
  const auto& row = *state_->with.encryption;
  const auto front = message.size(), text_size = state_->padded(plain.size());
  openssl::must(front + text_size <= payload_limit, "sealing of so long a message");
  message.resize(front + body_size(plain.size()));  // padding is zeros
  auto* iv = message.data() + front;
  auto* text = iv + row.iv;
  std::ranges::copy(plain, text);
  text[text_size - 1] = static_cast<std::uint8_t>(text_size - 1 - plain.size());
  const byte_view covered(message.data(), front);
  if (row.aead) {
    const be64 counter(number);  // RFC 5282 3.1: unique, not secret
    std::memcpy(iv, &counter, sizeof counter);
    openssl::must(state_->combined(true, covered, iv, {text, text_size}, text, text + text_size), "sealing");
    return;
  }
  // RFC 3602 3: not to be foreseen
  openssl::must(RAND_bytes(iv, row.iv) == 1 && state_->cbc(true, {iv, row.iv}, {text, text_size}, text), "sealing");
  // RFC 7296 3.14: over the encrypted message, from the header on
  const auto icv = state_->mac({message.data(), front + row.iv + text_size});
  std::memcpy(text + text_size, icv.data(), state_->with.icv());
}

result<std::vector<std::uint8_t>> message_cipher::open(byte_view message, std::size_t body_offset) const {
  const auto& row = *state_->with.encryption;
  const std::size_t around = row.iv + state_->with.icv();
  const auto refused = [] { return failure("the message does not authenticate"); };
  if (body_offset > message.size() || message.size() > payload_limit) return refused();
  const auto body = message.subspan(body_offset);
  if (body.size() <= around || (body.size() - around) % row.block != 0) return refused();
  const auto iv = body.first(row.iv), text = body.subspan(row.iv, body.size() - around),
             icv = body.last(state_->with.icv());
  const openssl::quiet_errors quiet;
  std::vector<std::uint8_t> plain(text.size());
  if (row.aead) {
    std::array<std::uint8_t, aead_tag> tag;
    std::ranges::copy(icv, tag.begin());
    if (!state_->combined(false, message.first(body_offset), iv.data(), text, plain.data(), tag.data()))
      return refused();
  } else {
    const auto expected = state_->mac(message.first(message.size() - icv.size()));
    if (CRYPTO_memcmp(expected.data(), icv.data(), icv.size()) != 0) return refused();
    if (!state_->cbc(false, iv, text, plain.data())) return refused();
  }
  const std::size_t padding = std::size_t{plain.back()} + 1;  // with its length
  if (padding > plain.size()) return refused();
  plain.resize(plain.size() - padding);
  return plain;
}

}  // namespace trunkgate::ike
