// The AlgorithmIdentifiers of RFC 7427 appendix A and RFC 8420 3.
#pragma once

#include "controlplane/ike/auth/authenticate.hpp"

namespace trunkgate::ike {

enum class key_kind : std::uint8_t { rsa, ecdsa, ed25519, ed448 };

// How a signature was made, as its AlgorithmIdentifier says.
struct signature_algorithm {
  key_kind key{};
  int hash = 0;  // OpenSSL's NID; 0: the scheme's own
  bool pss = false;
  int salt = 0;  // of PSS, bytes
};

// The DER in front of a signature made by `scheme`.
[[nodiscard]] bytes algorithm_identifier(signature_scheme scheme);
[[nodiscard]] result<signature_algorithm> parse_algorithm_identifier(byte_view der);

[[nodiscard]] std::string to_string(const signature_algorithm& algorithm);  // "RSA-PSS with SHA2-256"

}  // namespace trunkgate::ike
