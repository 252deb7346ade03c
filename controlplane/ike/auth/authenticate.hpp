// Who the peer is: identities, certificates and AUTH payloads (RFC 7296 2.15, RFC 7427, RFC 8420).
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ike/wire/payload.hpp"
#include "controlplane/keystore/client.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

// "hq.example" is an FQDN, "a@b.example" an RFC 822 address, "203.0.113.2" an address, "CN=hq, O=Example" a
// distinguished name, "keyid:0a0b" a key id. Fails on what is none of these.
[[nodiscard]] result<id_payload> parse_identity(const std::string& text);
// For operators; bytes that are no text are shown as \xNN.
[[nodiscard]] std::string to_string(const id_payload& id);

// RFC 7427 4: the hashes that the peer takes, by their number (2 SHA2-256, 3 SHA2-384, 4 SHA2-512, 5 Identity).
inline constexpr std::uint16_t hash_sha1 = 1, hash_sha256 = 2, hash_sha384 = 3, hash_sha512 = 4, hash_identity = 5;

// How we sign with a key (SubjectPublicKeyInfo): the strongest scheme that suits key and peer. `peer_hashes` empty: the
// peer does not know RFC 7427, only methods 1, 9, 10 and 11 are left; RSA with SHA-1 then needs `legacy`.
struct signing_choice {
  signature_scheme scheme{};
  std::uint8_t method = auth_signature;
};
[[nodiscard]] result<signing_choice> choose_signature(byte_view public_key,
                                                      const std::vector<std::uint16_t>& peer_hashes, bool legacy);
// The AUTH payload's data around a signature: with method 14 the AlgorithmIdentifier in front (RFC 7427 3); with 9 to
// 11 the raw r | s (RFC 4754).
[[nodiscard]] result<bytes> wrap_signature(const signing_choice& choice, byte_view signature);

// Checks AUTH made with the certificate's key over `octets`. The reason says what failed in words for the operator.
[[nodiscard]] result<void> verify_signature(byte_view certificate_der, const authentication_payload& auth,
                                            byte_view octets, bool legacy);

// ---- certificates ----

enum class revocation_mode : std::uint8_t {
  off,
  soft,   // a revoked certificate is refused, one of which nothing is known is taken
  strict  // one of which nothing is known is refused
};

// What a tunnel trusts. Built once per configuration; shared by threads, never written.
class trust_anchors {
 public:
  // PEM files: the CA certificates; CRLs may stand in the same files or in `crl_files`.
  [[nodiscard]] static result<std::shared_ptr<const trust_anchors>> load(const std::vector<std::string>& ca_files,
                                                                         const std::vector<std::string>& crl_files);
  // SHA-1 of each CA's public key: the body of our CERTREQ (RFC 7296 3.7).
  [[nodiscard]] const bytes& authorities() const { return authorities_; }

 private:
  friend struct chain_check;
  bytes authorities_;
  std::shared_ptr<void> store_;
};

struct chain_input {
  std::vector<bytes> certificates{};     // as received, the peer's own first; DER
  std::vector<bytes> crls{};             // received in CERT payloads
  std::vector<bytes> ocsp_responses{};   // stapled (RFC 4806)
  id_payload claimed{};                  // the peer's ID payload
  std::optional<id_payload> expected{};  // what the configuration asks for; none: whatever the certificate proves
  revocation_mode revocation = revocation_mode::soft;
  std::chrono::system_clock::time_point now{};
};

struct issued_certificate {
  bytes certificate, issuer;  // DER
};

struct verified_peer {
  std::string subject;                              // "CN=dc.example, O=Example"
  std::vector<std::string> path;                    // subjects, from the peer's up to the anchor
  std::chrono::system_clock::time_point not_after;  // the earliest of the path
  std::string revocation;                           // "not revoked (CRL of ...)", "nothing is known", ...
  bytes certificate;                                // DER of the peer's own
  // Of the path, from the anchor down: of whose revocation nothing is known. Empty if that is not asked for.
  std::vector<issued_certificate> not_known{};
  // Set when the clock was not trusted (before the programme was built) and dates were therefore not judged.
  bool dates_not_judged = false;
};

// A peer that is not believed, and what its certificates say of it all the same.
struct refused_peer {
  std::string reason;   // as an error's
  std::string governs;  // the word of the tunnel that it is about: "remote.ca", "remote.id", "remote.revocation"
  std::string subject{};
  std::vector<std::string> path{};  // as far as it goes
  std::chrono::system_clock::time_point not_after{};
};
using chain_verdict = std::expected<verified_peer, refused_peer>;

// Path (RFC 5280 by OpenSSL), dates, revocation, key usage (RFC 4945 5.1.3), and that the claimed identity stands in
// subject or subjectAltName (RFC 4945 3.1). Takes a millisecond: call it on the thread pool. No network.
[[nodiscard]] chain_verdict verify_chain(const trust_anchors& anchors, const chain_input& input);

}  // namespace trunkgate::ike
