// Nonce payload (RFC 7296 3.9).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

parsed<nonce_payload> parse_nonce(byte_view body) {
  // RFC 7296 3.9: "The size of the Nonce Data MUST be between 16 and 256 octets, inclusive."
  if (body.size() < 16 || body.size() > 256) return malformed(std::format("a nonce of {} octets", body.size()));
  return nonce_payload{bytes(body.begin(), body.end())};
}

void write_body(writer& out, const nonce_payload& nonce) { out.append(nonce.data); }

}  // namespace trunkgate::ike::wire
