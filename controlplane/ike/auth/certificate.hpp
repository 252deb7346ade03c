// Our own certificates, and what stands in any.
#pragma once

#include <string>
#include <vector>

#include "controlplane/ike/auth/authenticate.hpp"

namespace trunkgate::ike {

// The certificates of a PEM file in its order, as DER. Fails when it has none.
[[nodiscard]] result<std::vector<bytes>> load_certificates(const std::string& file);
// SubjectPublicKeyInfo, DER: what choose_signature() takes, and what a private key's public half must equal.
[[nodiscard]] result<bytes> public_key_of(byte_view certificate_der);
// The first of the certificate's alternative names that an ID payload can carry, else its subject.
[[nodiscard]] result<id_payload> build_identity_from_certificate(byte_view certificate_der);

// Every identity that the certificate proves (RFC 4945 3.1): its alternative names, then its subject.
[[nodiscard]] std::vector<id_payload> identities_of(byte_view certificate_der);
// The same name? Domains without regard to case, distinguished names as RFC 5280 7.1 compares them, and in either order
// of their parts, for people write both. A wildcard is only equal to itself.
[[nodiscard]] bool same_identity(const id_payload& a, const id_payload& b);
// "CN=hq, O=Example"; "(not a certificate)" for other bytes.
[[nodiscard]] std::string subject_of(byte_view certificate_der);

}  // namespace trunkgate::ike
