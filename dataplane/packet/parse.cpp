#include "dataplane/packet/parse.hpp"

#include <algorithm>
#include <optional>

#include "dataplane/packet/headers.hpp"

namespace trunkgate {
namespace {

constexpr unsigned extension_limit = 8;  // headers in one chain; real traffic has two

constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44, next_authentication = 51,
                       next_destination_options = 60;

template <class Header>
const Header* header_at(std::span<const std::uint8_t> bytes, std::size_t offset) noexcept {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(Header)) return nullptr;
  return reinterpret_cast<const Header*>(bytes.data() + offset);  // alignment 1
}

// `packet` is the IP packet cut to its own length.
drop_reason parse_transport(std::span<const std::uint8_t> packet, packet_meta& m) noexcept {
  m.source_port = m.destination_port = 0;
  m.has_ports = false;
  if (m.later_fragment) return drop_reason::none;
  const std::size_t room = packet.size() - m.l4_offset;
  // RFC 1858 3, RFC 7112 5: what selectors look at is in the first fragment, or the datagram is an attack.
  const auto too_short = m.fragment ? drop_reason::fragment_tiny : drop_reason::transport_truncated;
  switch (m.protocol) {
    case protocol_tcp: {
      const auto* tcp = header_at<tcp_header>(packet, m.l4_offset);
      if (tcp == nullptr) return too_short;
      if ((tcp->data_offset >> 4) < 5) return drop_reason::transport_truncated;
      if (!m.fragment && static_cast<std::size_t>(tcp->data_offset >> 4) * 4 > room)
        return drop_reason::transport_truncated;
      break;
    }
    case protocol_udp: {
      const auto* udp = header_at<udp_header>(packet, m.l4_offset);
      if (udp == nullptr) return too_short;
      const std::uint16_t length = udp->length.host();
      if (length < sizeof(udp_header) || (!m.fragment && length > room)) return drop_reason::transport_truncated;
      break;
    }
    case protocol_sctp:
      if (room < 12) return too_short;
      break;
    case protocol_icmp:
    case protocol_icmpv6: {
      if (room < 4) return too_short;
      // RFC 4301 4.4.1.1: type and code are selectors in the place of ports.
      const std::uint8_t* icmp = packet.data() + m.l4_offset;
      m.source_port = m.destination_port = static_cast<std::uint16_t>(icmp[0] << 8 | icmp[1]);
      m.has_ports = true;
      return drop_reason::none;
    }
    default: return drop_reason::none;
  }
  // TCP, UDP and SCTP begin alike.
  const auto* ports = header_at<udp_header>(packet, m.l4_offset);
  m.source_port = ports->source.host();
  m.destination_port = ports->destination.host();
  m.has_ports = true;
  return drop_reason::none;
}

drop_reason parse_ipv4(std::span<const std::uint8_t> bytes, packet_meta& m, bool checksum_known_good) noexcept {
  const auto* ip = header_at<ipv4_header>(bytes, 0);
  if (ip == nullptr) return drop_reason::ip_bad_header_length;
  const std::uint16_t header_length = ip->header_length();
  if (header_length < sizeof(ipv4_header) || header_length > bytes.size()) return drop_reason::ip_bad_header_length;
  const std::uint16_t total = ip->total_length.host();
  if (total < header_length || total > bytes.size()) return drop_reason::ip_bad_total_length;
  // RFC 1812 5.2.2: a router verifies the header checksum.
  const bool good =
      checksum_known_good ||
      (header_length == sizeof *ip ? checksum_is_right(*ip) : checksum_fold(checksum_add(0, ip, header_length)) == 0);
  if (!good) return drop_reason::ip_bad_checksum;
  const std::uint16_t fragment = ip->fragment.host();
  m.ip_version = 4;
  m.ip_length = total;
  m.l4_offset = header_length;
  m.protocol = ip->protocol;
  m.traffic_class = ip->traffic_class;
  m.later_fragment = (fragment & ipv4_header::offset_mask) != 0;
  m.fragment = m.later_fragment || (fragment & ipv4_header::more_fragments) != 0;
  return parse_transport(bytes.first(total), m);
}

// Where one extension header leads: the next header's number and offset. Nothing: `current` is the upper layer.
struct step {
  std::uint8_t next;
  std::size_t offset;
};
std::optional<step> next_extension(std::span<const std::uint8_t> packet, std::uint8_t current, std::size_t offset,
                                   packet_meta& m, bool& bad) noexcept {
  if (current != next_hop_by_hop && current != next_routing && current != next_fragment &&
      current != next_authentication && current != next_destination_options)
    return std::nullopt;
  if (offset > packet.size() || packet.size() - offset < 8) {
    bad = true;
    return std::nullopt;
  }
  const std::uint8_t* at = packet.data() + offset;
  std::size_t length = (static_cast<std::size_t>(at[1]) + 1) * 8;
  if (current == next_authentication) length = (static_cast<std::size_t>(at[1]) + 2) * 4;  // RFC 4302 2.2
  if (current == next_fragment) {
    length = 8;
    const unsigned field = static_cast<unsigned>(at[2]) << 8 | at[3];
    m.later_fragment = (field & 0xfff8) != 0;
    m.fragment = m.fragment || m.later_fragment || (field & 1) != 0;
  }
  // RFC 5095 3: a type 0 routing header with segments left is not processed.
  if (current == next_routing && at[2] == 0 && at[3] != 0) bad = true;
  if (length > packet.size() - offset) bad = true;
  if (bad) return std::nullopt;
  return step{at[0], offset + length};
}

drop_reason parse_ipv6(std::span<const std::uint8_t> bytes, packet_meta& m) noexcept {
  const auto* ip = header_at<ipv6_header>(bytes, 0);
  if (ip == nullptr) return drop_reason::ip_bad_header_length;
  const std::size_t total = sizeof(ipv6_header) + ip->payload_length.host();
  if (total > bytes.size() || total > 0xffff) return drop_reason::ip_bad_total_length;
  const auto packet = bytes.first(total);
  m.ip_version = 6;
  m.ip_length = static_cast<std::uint16_t>(total);
  m.traffic_class = ip->traffic_class();
  m.fragment = m.later_fragment = false;
  std::uint8_t next = ip->next_header;
  std::size_t offset = sizeof(ipv6_header);
  bool bad = false;
  for (unsigned headers = 0;; ++headers) {
    // Behind a later fragment's header there is payload, no header (RFC 8200 4.5).
    const auto onward = m.later_fragment ? std::nullopt : next_extension(packet, next, offset, m, bad);
    if (bad || headers > extension_limit) return drop_reason::ipv6_bad_extension;
    if (!onward) break;
    next = onward->next;
    offset = onward->offset;
  }
  m.protocol = next;
  m.l4_offset = static_cast<std::uint16_t>(offset);
  return parse_transport(packet, m);
}

}  // namespace

drop_reason parse_ip(std::span<const std::uint8_t> bytes, packet_meta& m, bool checksum_known_good) noexcept {
  if (bytes.empty()) return drop_reason::ip_bad_header_length;
  switch (bytes[0] >> 4) {
    case 4: return parse_ipv4(bytes, m, checksum_known_good);
    case 6: return parse_ipv6(bytes, m);
    default: return drop_reason::ip_bad_version;
  }
}

bool source_is_martian(std::span<const std::uint8_t> ip_header, std::uint8_t ip_version) noexcept {
  if (ip_version == 4) {
    const auto* ip = header_at<ipv4_header>(ip_header, 0);
    const std::uint8_t first = ip->source[0];
    return first == 127 || first == 0 || first >= 224;
  }
  const auto* ip = header_at<ipv6_header>(ip_header, 0);
  const bool loopback =
      std::all_of(ip->source.begin(), ip->source.end() - 1, [](auto b) { return b == 0; }) && ip->source[15] == 1;
  return ip->source[0] == 0xff || loopback;  // the unspecified address is a neighbour solicitation's (RFC 4862 5.4.2)
}

}  // namespace trunkgate
