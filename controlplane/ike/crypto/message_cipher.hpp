// Protects the SK and SKF payloads of one direction (RFC 7296 3.14, RFC 5282, RFC 7634, RFC 7383 2.5).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "config/ike_proposal.hpp"
#include "controlplane/ike/crypto/prf.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

// Octets of key material of a direction (SK_e with its salt, SK_a); 0 and 0: not an algorithm we know.
struct cipher_key_sizes {
  std::size_t encryption = 0, integrity = 0;
};
[[nodiscard]] cipher_key_sizes key_sizes(const transform_choice& encryption, std::uint16_t integrity);

class message_cipher {
 public:
  // `integrity` is auth_none with AEAD. The keys are copied and wiped with the object.
  [[nodiscard]] static result<message_cipher> make(const transform_choice& encryption, std::uint16_t integrity,
                                                   byte_view encryption_key, byte_view integrity_key);
  message_cipher(message_cipher&&) noexcept;
  message_cipher& operator=(message_cipher&&) noexcept;
  ~message_cipher();

  // Octets of the body (IV, ciphertext with padding, ICV) for `plain` octets of payloads.
  [[nodiscard]] std::size_t body_size(std::size_t plain) const;
  // Appends the body to `message`, which holds everything in front of it with final lengths. `number` makes the IV of
  // AEAD ciphers and must never come twice with one key; CBC takes a random IV.
  void seal(std::vector<std::uint8_t>& message, byte_view plain, std::uint64_t number) const;
  // The payloads that were inside. `message` is the whole datagram. No reason is told apart: authentication comes
  // first.
  [[nodiscard]] result<std::vector<std::uint8_t>> open(byte_view message, std::size_t body_offset) const;

 private:
  struct state;
  explicit message_cipher(std::unique_ptr<state> own);
  std::unique_ptr<state> state_;
};

}  // namespace trunkgate::ike
