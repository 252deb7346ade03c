// The SAs behind the interfaces of route-based tunnels.
#pragma once

#include "dataplane/stages/flow.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

// What protects a packet whose way out is this port; nullptr for ports that are no tunnel's, while there is no SA, and
// for what the SA was not made for (RFC 4301 4.4.1: one for IPv4 alone may have been asked for).
[[nodiscard]] inline outbound_sa* interface_sa(const forwarding_tables& tables, std::uint16_t port,
                                               const flow_key& key) noexcept {
  if (!is_tunnel_port(port)) return nullptr;
  auto* sa = tables.ports[port].sa.load(std::memory_order_acquire);
  return sa != nullptr && selectors_allow(sa->record, key.reversed()) ? sa : nullptr;
}

// The SA by which an answer to this decrypted packet goes back; nullptr: there is none.
[[nodiscard]] inline outbound_sa* sa_back(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const std::uint16_t ingress = meta(packet).ingress;
  const auto answer = flow_key_of(packet).reversed();
  return is_tunnel_port(ingress) ? interface_sa(tables, ingress, answer) : tables.selectors->match(answer);
}

}  // namespace trunkgate
