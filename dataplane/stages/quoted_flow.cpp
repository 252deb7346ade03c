#include "dataplane/stages/quoted_flow.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/packet/quoted.hpp"
#include "dataplane/stages/inbound_lookup.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t icmp_header_size = 8;
constexpr std::uint8_t redirect = 5;  // of ICMPv4; ICMPv6's is no error

// Redirects quote a packet too, but they are for one link and never go through a tunnel.
bool is_error(std::uint8_t protocol, std::uint8_t ip_version, std::uint8_t type) noexcept {
  if (protocol != (ip_version == 4 ? protocol_icmp : protocol_icmpv6)) return false;
  return is_icmp_error(ip_version, type) && !(ip_version == 4 && type == redirect);
}

}  // namespace

bool is_icmp_error(const flow_key& key) noexcept {
  return key.has_ports != 0 &&
         is_error(key.protocol, static_cast<std::uint8_t>(key.family), static_cast<std::uint8_t>(key.source_port >> 8));
}

std::optional<flow_key> answered_flow(rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.fragment || !m.has_ports || m.ip_length < m.l4_offset + icmp_header_size) return std::nullopt;
  if (!is_error(m.protocol, m.ip_version, static_cast<std::uint8_t>(m.source_port >> 8))) return std::nullopt;
  const std::size_t start = m.l4_offset + icmp_header_size;
  const auto quoted = parse_quoted({ip_header(packet) + start, m.ip_length - start}, m.ip_version);
  if (!quoted || !goes_to(packet, quoted->source)) return std::nullopt;
  flow_key key;
  key.source = quoted->destination.bytes;
  key.destination = quoted->source.bytes;
  key.source_port = quoted->destination_port;
  key.destination_port = quoted->source_port;
  key.has_ports = quoted->has_ports ? 1 : 0;
  key.protocol = quoted->protocol;
  key.family = quoted->source.family;
  key.ingress = m.ingress;
  key.dscp = any_dscp;
  return key;
}

}  // namespace trunkgate
