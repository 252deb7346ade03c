// Authentication payload (RFC 7296 3.8).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

parsed<authentication_payload> parse_authentication(byte_view body) {
  reader in(body);
  authentication_payload out;
  out.method = in.u8();
  in.skip(3);  // reserved
  out.data = in.rest();
  if (in.failed() || out.data.empty()) return malformed("no authentication data");
  return out;
}

void write_body(writer& out, const authentication_payload& authentication) {
  out.u8(authentication.method);
  out.zeros(3);
  out.append(authentication.data);
}

}  // namespace trunkgate::ike::wire
