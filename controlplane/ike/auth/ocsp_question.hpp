// What is asked of an OCSP responder, where, and how long its answer is good for.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "controlplane/ike/wire/payload.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::ike {

struct ocsp_question {
  bytes request;  // OCSPRequest, DER; no nonce, so that responders may answer from their cache (RFC 5019 2.1.1)
  std::string host, port;  // of the responder
  std::string target;      // the path
};
[[nodiscard]] result<ocsp_question> build_ocsp_question(byte_view certificate, byte_view issuer);
// The earliest nextUpdate; nothing when it is no successful response, or says none.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> fresh_until(byte_view response);

}  // namespace trunkgate::ike
