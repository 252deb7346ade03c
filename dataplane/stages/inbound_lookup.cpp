#include "dataplane/stages/inbound_lookup.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {
namespace {

bool is_for_the_box(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  return tables.routes->lookup(destination_of(packet), 0).verdict == route_verdict::local;
}

// `spi_at` points to 4 bytes inside the packet.
inbound_match match_spi(const forwarding_tables& tables, rte_mbuf* packet, const std::uint8_t* spi_at,
                        bool in_udp) noexcept {
  be32 wire;
  std::memcpy(&wire, spi_at, sizeof wire);
  const std::uint32_t spi = wire.host();
  const auto* found = tables.inbound.find(spi);
  if (found != nullptr && goes_to(packet, (*found)->local)) return {.sa = *found, .for_us = true, .in_udp = in_udp};
  if (!is_for_the_box(tables, packet)) return {};
  if (found != nullptr) return {.drop = drop_reason::esp_wrong_endpoint};
  if (spi == 0) return {.drop = drop_reason::esp_zero_spi};
  if (spi < 256) return {.drop = drop_reason::esp_reserved_spi};
  return {.drop = drop_reason::esp_unknown_spi};
}

// UDP port 4500 carries ESP, IKE behind a marker of four zero bytes, or a one-byte keep-alive (RFC 3948 2).
inbound_match match_encapsulated(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  const std::uint8_t* payload = ip_header(packet) + m.l4_offset + sizeof(udp_header);
  const std::size_t size = m.ip_length - m.l4_offset - sizeof(udp_header);
  if (size >= sizeof(esp_header)) {
    static constexpr std::uint8_t non_esp_marker[4] = {};
    if (std::memcmp(payload, non_esp_marker, sizeof non_esp_marker) == 0) return {};
    return match_spi(tables, packet, payload, true);
  }
  if (!is_for_the_box(tables, packet)) return {};
  return {.drop = size == 1 && payload[0] == 0xff ? drop_reason::nat_keepalive : drop_reason::nat_malformed};
}

}  // namespace

bool comes_from(rte_mbuf* packet, const ip_address& source) noexcept {
  const auto* ip = ip_header(packet);
  if (meta(packet).ip_version != static_cast<std::uint8_t>(source.family)) return false;
  return source.family == ip_family::v4 ? std::memcmp(ip + 12, source.bytes.data(), 4) == 0
                                        : std::memcmp(ip + 8, source.bytes.data(), 16) == 0;
}

bool goes_to(rte_mbuf* packet, const ip_address& destination) noexcept {
  const auto* ip = ip_header(packet);
  if (meta(packet).ip_version != static_cast<std::uint8_t>(destination.family)) return false;
  return destination.family == ip_family::v4 ? std::memcmp(ip + 16, destination.bytes.data(), 4) == 0
                                             : std::memcmp(ip + 24, destination.bytes.data(), 16) == 0;
}

ip_address destination_of(rte_mbuf* packet) noexcept {
  const auto* ip = ip_header(packet);
  return meta(packet).ip_version == 4 ? ip_address::from_bytes(ip_family::v4, ip + 16)
                                      : ip_address::from_bytes(ip_family::v6, ip + 24);
}

inbound_match find_inbound(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.ip_version == 0 || (m.protocol != protocol_esp && m.protocol != protocol_udp)) return {};
  // All fragments of UDP for the box, not only those to port 4500: a later fragment does not say what port it is for,
  // and the parts of one datagram must stay together.
  if (m.fragment) return {.for_us = is_for_the_box(tables, packet)};
  if (m.protocol == protocol_udp)
    return m.destination_port == port_nat_traversal ? match_encapsulated(tables, packet) : inbound_match{};
  if (m.ip_length - m.l4_offset >= static_cast<int>(sizeof(esp_header)))
    return match_spi(tables, packet, ip_header(packet) + m.l4_offset, false);
  return is_for_the_box(tables, packet) ? inbound_match{.drop = drop_reason::esp_truncated} : inbound_match{};
}

}  // namespace trunkgate
