// Certificates for the benchmark of IKE: a CA, and one certificate for each side.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include <openssl/evp.h>

#include "dataplane/core/result.hpp"

namespace trunkgate::bench {

using key_pointer = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
// A new private key of the kind that write_certificates() takes; nullptr: it could not be made.
[[nodiscard]] key_pointer make_key(const std::string& kind);

// `kind`: "ecdsa" (P-256), "rsa" (3072), "ed25519". Writes ca.pem, left.pem, left.key, right.pem, right.key.
[[nodiscard]] result<void> write_certificates(const std::string& kind, const std::filesystem::path& folder);

}  // namespace trunkgate::bench
