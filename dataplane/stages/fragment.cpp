// fragment: what is larger than its way is cut before encryption (RFC 4301 8.2), or its sender is told the size that
// fits.
#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/cut.hpp"
#include "dataplane/stages/room.hpp"

namespace trunkgate {

void fragment(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    auto& m = meta(packet);
    const std::uint16_t room = m.out_sa != nullptr ? look_at_size(context, m) : port_room(context, m.egress);
    if (m.ip_length <= room) {
      context.go_on(packet, stage_id::fragment);
    } else if (m.ip_version == 4 && (ip_header(packet)[6] & 0x40) == 0) {  // DF is clear
      // Transport mode protects whole packets only (RFC 4301 4.1): what is too large for it is cut behind encryption.
      if (m.out_sa != nullptr && m.out_sa->transport)
        context.go_on(packet, stage_id::fragment);
      else
        cut(context, packet, room, stage_id::fragment);
    } else {
      context.answer_error(packet, drop_reason::packet_too_big, room);
    }
  }
}

}  // namespace trunkgate
