// How large a packet may be, on its way and inside a tunnel.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/stages/context.hpp"

namespace trunkgate {

inline constexpr std::uint16_t ipv6_minimum_mtu = 1280;  // RFC 8200 5

// The largest packet that leaves by `port`.
[[nodiscard]] inline std::uint16_t port_room(const stage_context& context, std::uint16_t port) noexcept {
  return port < port_limit ? context.tables.ports[port].mtu.load(std::memory_order_relaxed) : ipv6_minimum_mtu;
}

// The largest outer packet of the SA that gets to its peer, which it leaves for by `port`.
[[nodiscard]] inline std::uint16_t outer_room(const stage_context& context, const outbound_sa& sa,
                                              std::uint16_t port) noexcept {
  return sa.learned_mtu.in_use(port_room(context, port), context.now_ms);
}

// The largest inner packet that the SA takes where its outer ones may have `outer` bytes. An IPv6 host need not send
// less than 1,280 bytes, so they go in: fragment_outer cuts what comes out (RFC 8200 5, RFC 2473 7.1).
[[nodiscard]] inline std::uint16_t inner_room(const outbound_sa& sa, std::uint16_t outer,
                                              std::uint8_t ip_version) noexcept {
  const std::uint16_t fits = sa.inner_mtu(outer);
  return ip_version == 6 ? std::max(fits, ipv6_minimum_mtu) : fits;
}

// The largest packet that its SA takes now; sets how large the outer one may be.
[[nodiscard]] inline std::uint16_t look_at_size(const stage_context& context, packet_meta& m) noexcept {
  m.size_limit = outer_room(context, *m.out_sa, m.egress);
  return inner_room(*m.out_sa, m.size_limit, m.ip_version);
}

// The same for one packet, and quicker: whether it fits.
[[nodiscard]] inline bool fits_its_sa(const stage_context& context, packet_meta& m) noexcept {
  m.size_limit = outer_room(context, *m.out_sa, m.egress);
  return m.ip_length + m.out_sa->growth_limit <= m.size_limit ||
         m.ip_length <= inner_room(*m.out_sa, m.size_limit, m.ip_version);
}

}  // namespace trunkgate
