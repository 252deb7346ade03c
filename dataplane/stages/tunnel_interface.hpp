// The SAs behind the interfaces of route-based tunnels.
#pragma once

#include "dataplane/stages/flow.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

// What protects a packet of `worker` whose way out is this port, or should; neither for ports that are no tunnel's, and
// for what the child was not made for (RFC 4301 4.4.1: one for IPv4 alone may have been asked for).
[[nodiscard]] inline protection by_interface(const forwarding_tables& tables, std::uint16_t port, const flow_key& key,
                                             std::uint16_t worker = api::any_worker) noexcept {
  if (!is_tunnel_port(port)) return {};
  const auto& entry = tables.ports[port];
  auto* sa = entry.sa.load(std::memory_order_acquire);
  const auto* by_worker = entry.by_worker.load(std::memory_order_acquire);
  if (by_worker != nullptr && worker < by_worker->size() && (*by_worker)[worker] != nullptr) sa = (*by_worker)[worker];
  const auto reversed = key.reversed();
  if (sa != nullptr && selectors_allow(sa->record, reversed)) return {.sa = sa};
  auto* demanded = entry.demanded.load(std::memory_order_acquire);
  return {.demanded = demanded != nullptr && selectors_allow(demanded->record, reversed) ? demanded : nullptr};
}

// The SA by which an answer to this decrypted packet goes back; nullptr: there is none.
[[nodiscard]] inline outbound_sa* sa_back(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const std::uint16_t ingress = meta(packet).ingress;
  const auto answer = flow_key_of(packet).reversed();
  return is_tunnel_port(ingress) ? by_interface(tables, ingress, answer).sa : tables.selectors->match(answer);
}

}  // namespace trunkgate
