// Key Exchange payload (RFC 7296 3.4; of the additional exchanges too, RFC 9370 2.2.2).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

// How long the data must be is the method's business: that is checked where it is used.
parsed<key_exchange_payload> parse_key_exchange(byte_view body) {
  reader in(body);
  key_exchange_payload out;
  out.method = in.u16();
  in.skip(2);  // reserved
  out.data = in.rest();
  if (in.failed() || out.data.empty()) return malformed("no key exchange data");
  return out;
}

void write_body(writer& out, const key_exchange_payload& key_exchange) {
  out.u16(key_exchange.method);
  out.zeros(2);
  out.append(key_exchange.data);
}

}  // namespace trunkgate::ike::wire
