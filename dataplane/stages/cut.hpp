// An IP packet in pieces.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "dataplane/stages/context.hpp"

namespace trunkgate {

// Cuts the packet into fragments of at most `room` bytes, which go on from `from` in its place (RFC 791 2.3, RFC 8200
// 4.5). An IPv4 packet must not have DF; an IPv6 one must have no extension header. Packets that can't be cut, for want
// of buffers or of room, are dropped as fragmentation_failed.
void cut(stage_context& context, rte_mbuf* packet, std::uint16_t room, stage_id from) noexcept;

}  // namespace trunkgate
