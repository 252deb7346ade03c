// Which packets mss_clamp has to look at.
#pragma once

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {

inline constexpr std::uint8_t tcp_flag_syn = 0x02;

// A whole packet that opens a TCP connection, for a parsed packet: its TCP header is all there.
[[nodiscard]] inline bool opens_tcp(rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.protocol != protocol_tcp || m.fragment) return false;
  return (reinterpret_cast<const tcp_header*>(ip_header(packet) + m.l4_offset)->flags & tcp_flag_syn) != 0;
}

}  // namespace trunkgate
