// fragment_outer: ESP that is larger than its way, and whose inner packet could not be cut before, is cut after
// encryption (RFC 4301 8.2, RFC 4459 3.1); the peer puts it together.
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/cut.hpp"

namespace trunkgate {

void fragment_outer(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) cut(context, packet, meta(packet).size_limit, stage_id::fragment_outer);
}

}  // namespace trunkgate
