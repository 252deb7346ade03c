// The SAs behind the interfaces of route-based tunnels.
#pragma once

#include "dataplane/stages/flow.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

// What protects the packets that leave by this port; nullptr for ports that are no tunnel's, and while there is no SA.
[[nodiscard]] inline outbound_sa* interface_sa(const forwarding_tables& tables, std::uint16_t port) noexcept {
  return is_tunnel_port(port) ? tables.ports[port].sa.load(std::memory_order_acquire) : nullptr;
}

// The SA by which an answer to this decrypted packet goes back; nullptr: there is none.
[[nodiscard]] inline outbound_sa* sa_back(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const std::uint16_t ingress = meta(packet).ingress;
  return is_tunnel_port(ingress) ? interface_sa(tables, ingress)
                                 : tables.selectors->match(flow_key_of(packet).reversed());
}

}  // namespace trunkgate
