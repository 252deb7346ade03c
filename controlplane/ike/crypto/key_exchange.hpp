// Key exchange methods: Diffie-Hellman groups (RFC 3526, 5903, 8031) and ML-KEM, behind one form that fits both: the
// initiator starts, the responder answers, the initiator finishes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/ike/crypto/prf.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

class key_exchange_start {
 public:
  // `method` is a transform_id. Takes from microseconds (x25519) to milliseconds (modp8192).
  [[nodiscard]] static result<key_exchange_start> make(std::uint16_t method);
  key_exchange_start(key_exchange_start&&) noexcept;
  key_exchange_start& operator=(key_exchange_start&&) noexcept;
  ~key_exchange_start();

  [[nodiscard]] std::uint16_t method() const;
  [[nodiscard]] byte_view public_value() const;  // what goes into the KE payload
  // The shared secret (RFC 7296 2.14: of a MODP group with its leading zeros). Fails on a value of wrong length, not on
  // the curve, or one that makes the secret trivial (RFC 6989, RFC 8031 4; zero output).
  [[nodiscard]] result<secret> finish(byte_view answer) const;

 private:
  struct state;
  explicit key_exchange_start(std::unique_ptr<state> own);
  std::unique_ptr<state> state_;
};

struct key_exchange_answer {
  std::vector<std::uint8_t> public_value;
  secret shared;
};
[[nodiscard]] result<key_exchange_answer> answer_key_exchange(std::uint16_t method, byte_view from_initiator);

// Octets of the value that each side sends; 0: not a method we know.
struct key_exchange_sizes {
  std::size_t initiator = 0, responder = 0;
};
[[nodiscard]] key_exchange_sizes sizes_of_key_exchange(std::uint16_t method);

}  // namespace trunkgate::ike
