// Is a packet ESP for this gateway, and by which SA?
#pragma once

#include <rte_mbuf.h>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

struct inbound_match {
  inbound_sa* sa = nullptr;
  bool for_us = false;  // ESP for this gateway, or a fragment that may turn out to be (then sa is nullptr)
  bool in_udp = false;
  drop_reason drop = drop_reason::none;
};

// For a parsed packet. ESP that goes through to another host, and IKE on port 4500, are not for us. Worker threads.
[[nodiscard]] inbound_match find_inbound(const forwarding_tables& tables, rte_mbuf* packet) noexcept;

namespace inbound_parts {

[[nodiscard]] inline std::uint32_t spi_at(const std::uint8_t* esp) noexcept {
  be32 wire;
  std::memcpy(&wire, esp, sizeof wire);
  return wire.host();
}
[[nodiscard]] inline const std::uint8_t* udp_payload(rte_mbuf* packet) noexcept {
  return ip_header(packet) + meta(packet).l4_offset + sizeof(udp_header);
}
[[nodiscard]] inline std::size_t udp_payload_size(const packet_meta& m) noexcept {
  return static_cast<std::size_t>(m.ip_length - m.l4_offset) - sizeof(udp_header);
}
// UDP port 4500 carries ESP, IKE behind a marker of four zero bytes, or a one-byte keep-alive (RFC 3948 2). True: ESP,
// or IKE by its SPI of zero.
[[nodiscard]] inline bool is_encapsulated(const packet_meta& m) noexcept {
  return m.destination_port == port_nat_traversal && m.protocol == protocol_udp && !m.fragment &&
         udp_payload_size(m) >= sizeof(esp_header);
}
[[nodiscard]] inline bool is_esp(const packet_meta& m) noexcept {
  return m.protocol == protocol_esp && !m.fragment && m.ip_version != 0 &&
         m.ip_length - m.l4_offset >= static_cast<int>(sizeof(esp_header));
}

}  // namespace inbound_parts

// The same in two steps, for many packets at once: the SPI that is to be looked up, 0 where none is; and the answer
// with the SA of that SPI, or nullptr.
[[nodiscard]] inline std::uint32_t spi_of(rte_mbuf* packet) noexcept {
  using namespace inbound_parts;
  const auto& m = meta(packet);
  if (is_esp(m)) return spi_at(ip_header(packet) + m.l4_offset);
  return is_encapsulated(m) ? spi_at(udp_payload(packet)) : 0;
}
[[nodiscard]] inbound_match judge_inbound(const forwarding_tables& tables, rte_mbuf* packet,
                                          inbound_sa* found) noexcept;
[[nodiscard]] inline inbound_sa* inbound_of(const forwarding_tables& tables, std::uint32_t spi) noexcept {
  auto* const* found = spi == 0 ? nullptr : tables.inbound.find(spi);
  return found == nullptr ? nullptr : *found;
}

// Whether the packet's header says so. Cheaper than to take the address out and compare.
[[nodiscard]] bool comes_from(rte_mbuf* packet, const ip_address& source) noexcept;
[[nodiscard]] bool goes_to(rte_mbuf* packet, const ip_address& destination) noexcept;

// The destination in the packet's IP header.
[[nodiscard]] ip_address destination_of(rte_mbuf* packet) noexcept;

}  // namespace trunkgate
