// Identification payloads, IDi and IDr (RFC 7296 3.5).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

// Whose identity it is, and whether an empty or unknown one will do, is authentication's business.
parsed<id_of> parse_id(byte_view body, bool initiator) {
  reader in(body);
  id_of out;
  out.initiator = initiator;
  out.id.type = id_type{in.u8()};
  for (auto& octet : out.reserved) octet = in.u8();
  out.id.data = in.rest();
  if (in.failed()) return malformed("its header is cut off");
  if ((out.id.type == id_type::ipv4 && out.id.data.size() != 4) ||
      (out.id.type == id_type::ipv6 && out.id.data.size() != 16))
    return malformed(std::format("an IP address of {} octets", out.id.data.size()));
  return out;
}

void write_body(writer& out, const id_of& id) {
  out.u8(static_cast<std::uint8_t>(id.id.type));
  out.append(id.reserved);
  out.append(id.id.data);
}

}  // namespace trunkgate::ike::wire
