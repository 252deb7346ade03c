// What an ICMP error is about, as the SPD wants to know it (RFC 4301 6).
#pragma once

#include <optional>

#include <rte_mbuf.h>

#include "dataplane/state/flow_key.hpp"

namespace trunkgate {

// Whether a flow is one of ICMP errors: its packets have no verdict in common, for each quotes another packet.
[[nodiscard]] bool is_icmp_error(const flow_key& key) noexcept;

// For an ICMP error to the sender of the packet that it quotes: the flow of that packet the other way round, which is
// the error's own way. Nothing for any other packet. Worker threads.
[[nodiscard]] std::optional<flow_key> answered_flow(rte_mbuf* packet) noexcept;

}  // namespace trunkgate
