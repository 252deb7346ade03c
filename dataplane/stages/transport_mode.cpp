#include "dataplane/stages/transport_mode.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44, next_destination_options = 60;
constexpr std::uint8_t protocol_at = 9;     // of IPv4
constexpr std::uint8_t next_header_at = 6;  // of IPv6

std::uint16_t behind(const std::uint8_t* ip, std::uint16_t offset, std::uint8_t header) noexcept {
  // A fragment header's second byte is reserved, whatever it holds (RFC 8200 4.5).
  return static_cast<std::uint16_t>(offset + (header == next_fragment ? 8 : (ip[offset + 1] + 1) * 8));
}

std::uint16_t ipv4_header_length(const std::uint8_t* ip) noexcept {
  return static_cast<std::uint16_t>((ip[0] & 15) * 4);
}

}  // namespace

esp_place place_for_esp(const std::uint8_t* ip, std::uint8_t ip_version) noexcept {
  if (ip_version == 4) return {ipv4_header_length(ip), protocol_at};
  esp_place place{sizeof(ipv6_header), next_header_at}, at = place;
  for (;;) {
    const std::uint8_t header = ip[at.next_header_at];
    if (header != next_hop_by_hop && header != next_routing && header != next_destination_options) return place;
    at = {behind(ip, at.offset, header), at.offset};
    // Destination options with no routing header behind them are the last station's, and are protected.
    if (header != next_destination_options) place = at;
  }
}

esp_place place_of_esp(const std::uint8_t* ip, std::uint8_t ip_version, std::uint16_t offset) noexcept {
  if (ip_version == 4) return {ipv4_header_length(ip), protocol_at};
  esp_place at{sizeof(ipv6_header), next_header_at};
  while (at.offset < offset) {
    const std::uint8_t header = ip[at.next_header_at];
    if (header != next_hop_by_hop && header != next_routing && header != next_destination_options &&
        header != next_fragment)  // one that says that nothing is missing (RFC 6946)
      return {};
    at = {behind(ip, at.offset, header), at.offset};
  }
  return at;
}

void rewrite_headers(std::uint8_t* ip, std::uint8_t ip_version, const esp_place& place, std::uint8_t next_header,
                     std::uint32_t total) noexcept {
  ip[place.next_header_at] = next_header;
  if (ip_version == 6) {
    reinterpret_cast<ipv6_header*>(ip)->payload_length =
        be16(static_cast<std::uint16_t>(total - sizeof(ipv6_header)));  // alignment 1
    return;
  }
  auto* header = reinterpret_cast<ipv4_header*>(ip);
  header->total_length = be16(static_cast<std::uint16_t>(total));
  header->checksum = be16(0);
  header->checksum = be16(checksum_fold(checksum_add(0, ip, header->header_length())));
}

void renew_transport_checksum(rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  auto* ip = ip_header(packet);
  auto* transport = ip + m.l4_offset;
  const auto length = static_cast<std::uint32_t>(m.ip_length - m.l4_offset);
  const bool tcp = m.protocol == protocol_tcp, v4 = m.ip_version == 4;
  if ((!tcp && m.protocol != protocol_udp) || m.fragment) return;
  auto* checksum = reinterpret_cast<be16*>(transport + (tcp ? 16 : 6));
  if (!tcp && v4 && checksum->host() == 0) return;
  *checksum = be16(0);
  // The pseudo header: addresses, length, protocol (RFC 9293 3.1, RFC 8200 8.1).
  const std::uint64_t pseudo = checksum_add(0, ip + (v4 ? 12 : 8), v4 ? 8 : 32) + length + m.protocol;
  const std::uint16_t sum = checksum_fold(checksum_add(pseudo, transport, length));
  *checksum = be16(!tcp && sum == 0 ? 0xffff : sum);
}

}  // namespace trunkgate
