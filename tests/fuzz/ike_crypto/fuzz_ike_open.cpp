// Any bytes as an encrypted message, under each kind of cipher. What opens is shorter than what it came in, and what
// was sealed opens again.
#include <algorithm>
#include <cstdlib>

#include "controlplane/ike/crypto/message_cipher.hpp"
#include "controlplane/ike/crypto/openssl.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::ike;
using namespace trunkgate::transform_id;

struct kind {
  std::uint16_t encryption, key_bits, integrity;
  std::size_t icv;
};
constexpr kind kinds[]{{encr_aes_gcm16, 128, auth_none, 16},          {encr_aes_gcm16, 256, auth_none, 16},
                       {encr_chacha20_poly1305, 0, auth_none, 16},    {encr_aes_cbc, 128, auth_hmac_sha1_96, 12},
                       {encr_aes_cbc, 192, auth_hmac_sha256_128, 16}, {encr_aes_cbc, 256, auth_hmac_sha384_192, 24},
                       {encr_aes_cbc, 256, auth_hmac_sha512_256, 32}, {encr_3des, 0, auth_hmac_sha1_96, 12}};

const std::vector<std::uint8_t> key(64, 0x5a);

message_cipher cipher_of(const kind& one) {
  const transform_choice encryption{transform_type::encryption, one.encryption, one.key_bits};
  const auto sizes = key_sizes(encryption, one.integrity);
  const byte_view all(key);
  return message_cipher::make(encryption, one.integrity, all.first(sizes.encryption), all.first(sizes.integrity))
      .value();
}

// Puts the right ICV at the end, so that what comes behind authentication is reached too.
void authenticate(const kind& one, std::vector<std::uint8_t>& message) {
  const auto hash = one.integrity == auth_hmac_sha1_96      ? openssl::hash::sha1
                    : one.integrity == auth_hmac_sha256_128 ? openssl::hash::sha256
                    : one.integrity == auth_hmac_sha384_192 ? openssl::hash::sha384
                                                            : openssl::hash::sha512;
  std::array<std::uint8_t, openssl::largest_hash> icv;
  openssl::hmac(hash, byte_view(key).first(openssl::hash_size(hash)))
      .add(byte_view(message).first(message.size() - one.icv))
      .finish(icv);
  std::copy_n(icv.begin(), one.icv, message.end() - static_cast<std::ptrdiff_t>(one.icv));
}

}  // namespace

// The first octet chooses the cipher and, by its highest bit, whether a message with HMAC gets its right ICV; the
// second is where the body begins.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto& one = kinds[data[0] % std::size(kinds)];
  const std::size_t offset = data[1];
  const auto cipher = cipher_of(one);
  std::vector<std::uint8_t> message(data + 2, data + size);
  if ((data[0] & 0x80) != 0 && one.integrity != auth_none && message.size() >= one.icv) authenticate(one, message);
  if (const auto plain = cipher.open(message, offset)) {
    if (plain->size() + offset + 1 + one.icv > message.size()) std::abort();
  } else if (plain.error().reason.empty()) {
    std::abort();
  }

  const std::vector<std::uint8_t> inside = message;
  message.resize(std::min(message.size(), offset));
  const auto front = message.size();
  cipher.seal(message, inside, size);
  if (message.size() != front + cipher.body_size(inside.size())) std::abort();
  const auto again = cipher.open(message, front);
  if (!again || *again != inside) std::abort();
  return 0;
}
