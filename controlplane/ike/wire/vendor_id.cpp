// Vendor ID payload (RFC 7296 3.12).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

parsed<vendor_id_payload> parse_vendor_id(byte_view body) { return vendor_id_payload{bytes(body.begin(), body.end())}; }

void write_body(writer& out, const vendor_id_payload& vendor) { out.append(vendor.data); }

}  // namespace trunkgate::ike::wire
