// Whether a certificate was revoked: what CRLs and OCSP responses say about it, and whether they may be believed.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike {

enum class revocation_state : std::uint8_t { unknown, good, revoked };

// What is known, and from where: "(CRL of CN=ca)"; of `unknown` why.
struct revocation_answer {
  revocation_state state = revocation_state::unknown;
  std::string note;
};

// `now` none: the clock is not set, dates are not judged.
struct revocation_question {
  X509* certificate = nullptr;
  X509* issuer = nullptr;  // already known to have issued it
  std::optional<time_point> now;
};

// The newest of the issuer's CRLs decides. One counts only if the issuer signed it and it is understood whole; one that
// is out of date still revokes, but clears nobody.
[[nodiscard]] revocation_answer ask_crls(const revocation_question& question, std::span<X509_CRL* const> crls);

// RFC 6960: signed by the issuer, or by a responder that the issuer itself certified for it; fresh at `now`.
[[nodiscard]] revocation_answer ask_ocsp(const revocation_question& question, byte_view response_der);

}  // namespace trunkgate::ike
