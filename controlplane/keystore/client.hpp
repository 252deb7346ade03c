// Asks the key process to sign and to compute: no private key and no pre-shared key is ever in this process.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "config/model.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

// How to sign: RFC 7427's algorithms, and PKCS#1 v1.5 with SHA-1 of RFC 7296's method 1 (legacy).
enum class signature_scheme : std::uint8_t {
  rsa_pkcs1_sha1,
  rsa_pkcs1_sha256,
  rsa_pkcs1_sha384,
  rsa_pkcs1_sha512,
  rsa_pss_sha256,
  rsa_pss_sha384,
  rsa_pss_sha512,
  ecdsa_sha256,
  ecdsa_sha384,
  ecdsa_sha512,
  ed25519,
  ed448,
};

class keystore {
 public:
  using bytes = std::vector<std::uint8_t>;
  using byte_view = std::span<const std::uint8_t>;
  virtual ~keystore() = default;

  // The public half (SubjectPublicKeyInfo, DER) of a private key: does it belong to this certificate, what can it sign?
  [[nodiscard]] virtual boost::asio::awaitable<result<bytes>> public_key(const key_reference& key) = 0;
  // The signature as it stands in AUTH behind the algorithm: ECDSA as DER (RFC 7427 3).
  [[nodiscard]] virtual boost::asio::awaitable<result<bytes>> sign(const key_reference& key, signature_scheme scheme,
                                                                   byte_view octets) = 0;
  // prf(prf(PSK, "Key Pad for IKEv2"), octets): RFC 7296 2.15. `prf` is a transform_id.
  [[nodiscard]] virtual boost::asio::awaitable<result<secret>> psk_auth(const key_reference& key, std::uint16_t prf,
                                                                        byte_view octets) = 0;
  // prf+(PPK, sk_d), prf+(PPK, sk_pi), prf+(PPK, sk_pr), each as long as its input: RFC 8784 3.
  struct mixed_keys {
    secret d, pi, pr;
  };
  [[nodiscard]] virtual boost::asio::awaitable<result<mixed_keys>> mix_ppk(const key_reference& key, std::uint16_t prf,
                                                                           byte_view sk_d, byte_view sk_pi,
                                                                           byte_view sk_pr) = 0;
  // Reads the files again: after the operator replaced one.
  [[nodiscard]] virtual boost::asio::awaitable<result<void>> reload() = 0;
};

// Where the key process listens: TRUNKGATE_KEYSTORE_SOCKET, or in the folder of the daemons' sockets.
[[nodiscard]] inline std::string keystore_socket_in(const std::string& run_directory) {
  const char* elsewhere = std::getenv("TRUNKGATE_KEYSTORE_SOCKET");
  return elsewhere != nullptr && *elsewhere != '\0' ? elsewhere : run_directory + "/keystore.sock";
}

// Connects to the key process at `socket_path`, and again when it was restarted. Calls fail meanwhile, with a reason.
// Calls are made from the executor's thread, as many at once as are wanted; one that is not answered within ten seconds
// fails. It may be destroyed while calls wait: they fail.
[[nodiscard]] std::unique_ptr<keystore> connect_keystore(const boost::asio::any_io_executor& executor,
                                                         std::string socket_path);

}  // namespace trunkgate
