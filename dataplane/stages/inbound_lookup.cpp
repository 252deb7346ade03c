#include "dataplane/stages/inbound_lookup.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {
namespace {

bool is_for_the_box(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  return tables.routes->lookup(destination_of(packet), 0).verdict == route_verdict::local;
}

// ESP with that SPI, of which `found` is the SA.
inbound_match match_spi(const forwarding_tables& tables, rte_mbuf* packet, std::uint32_t spi, inbound_sa* found,
                        bool in_udp) noexcept {
  if (found != nullptr && goes_to(packet, found->local)) return {.sa = found, .for_us = true, .in_udp = in_udp};
  if (!is_for_the_box(tables, packet)) return {};
  if (found != nullptr) return {.drop = drop_reason::esp_wrong_endpoint};
  if (spi == 0) return {.drop = drop_reason::esp_zero_spi};
  if (spi < 256) return {.drop = drop_reason::esp_reserved_spi};
  return {.drop = drop_reason::esp_unknown_spi};
}

// To port 4500, and too short for ESP.
inbound_match match_keepalive(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  if (!is_for_the_box(tables, packet)) return {};
  const bool keepalive =
      inbound_parts::udp_payload_size(meta(packet)) == 1 && *inbound_parts::udp_payload(packet) == 0xff;
  return {.drop = keepalive ? drop_reason::nat_keepalive : drop_reason::nat_malformed};
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

inbound_match judge_inbound(const forwarding_tables& tables, rte_mbuf* packet, inbound_sa* found) noexcept {
  const auto& m = meta(packet);
  if (m.ip_version == 0 || (m.protocol != protocol_esp && m.protocol != protocol_udp)) return {};
  // All fragments of UDP for the box, not only those to port 4500: a later fragment does not say what port it is for,
  // and the parts of one datagram must stay together.
  if (m.fragment) return {.for_us = is_for_the_box(tables, packet)};
  if (m.protocol == protocol_esp) {
    if (inbound_parts::is_esp(m)) return match_spi(tables, packet, spi_of(packet), found, false);
    return is_for_the_box(tables, packet) ? inbound_match{.drop = drop_reason::esp_truncated} : inbound_match{};
  }
  if (m.destination_port != port_nat_traversal) return {};
  if (!inbound_parts::is_encapsulated(m)) return match_keepalive(tables, packet);
  const std::uint32_t spi = spi_of(packet);
  return spi == 0 ? inbound_match{} : match_spi(tables, packet, spi, found, true);
}

inbound_match find_inbound(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  return judge_inbound(tables, packet, inbound_of(tables, spi_of(packet)));
}

}  // namespace trunkgate
