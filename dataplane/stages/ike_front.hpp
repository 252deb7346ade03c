// The fixed places of an IKE message in a UDP packet.
#pragma once

#include <cstring>
#include <optional>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/stages/policer.hpp"
#include "dataplane/state/known_ike.hpp"

namespace trunkgate {

// `port`: our own of the two, which tells whether a marker stands in front (RFC 7296 2.23). Nothing: too short, not the
// first fragment, or no IKE.
[[nodiscard]] inline std::optional<ike_front> ike_front_of(rte_mbuf* packet, std::uint16_t port) noexcept {
  constexpr std::size_t marker_size = 4, header_size = 28, responder_spi = 8, flags = 19;
  constexpr std::uint8_t response = 0x20;
  const auto& m = meta(packet);
  const bool marked = port == port_nat_traversal;
  const std::size_t at = m.l4_offset + sizeof(udp_header);
  // Of a chain of buffers the first one has the headers.
  const std::size_t there = rte_pktmbuf_data_len(packet);
  if (m.later_fragment || m.l2_length + at + (marked ? marker_size : 0) + header_size > there) return std::nullopt;
  const auto* ike = ip_header(packet) + at;
  static constexpr std::uint8_t none[marker_size] = {};
  if (marked) {
    if (std::memcmp(ike, none, marker_size) != 0) return std::nullopt;
    ike += marker_size;
  }
  ike_front out;
  std::memcpy(&out.initiator_spi, ike, sizeof out.initiator_spi);
  std::memcpy(&out.responder_spi, ike + responder_spi, sizeof out.responder_spi);
  out.response = (ike[flags] & response) != 0;
  return out;
}

// RFC 7296 3.1. IKE that anybody may begin must not starve those who have shown that they receive our answers, nor the
// IKE SAs that are up.
[[nodiscard]] inline punt_class ike_class(const known_ike& known, const std::optional<ike_front>& message) noexcept {
  if (!message) return punt_class::ike_other;
  if (known.is_of_ours(*message)) return punt_class::ike;
  if (message->responder_spi != 0 || message->response) return punt_class::ike_other;
  return known.comes_again(*message) ? punt_class::ike_again : punt_class::ike_init;
}

}  // namespace trunkgate
