#include "dataplane/packet/quoted.hpp"

#include "dataplane/core/bytes.hpp"
#include "dataplane/packet/headers.hpp"

namespace trunkgate {
namespace {

constexpr unsigned extension_limit = 8;
constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44, next_destination_options = 60;

// RFC 792 promises eight bytes behind the IP header: ports, or an ESP header; RFC 3948 puts the latter behind UDP.
void read_upper(byte_reader& in, quoted_packet& out) noexcept {
  if (out.later_fragment) return;
  if (out.protocol == protocol_tcp || out.protocol == protocol_udp || out.protocol == protocol_sctp) {
    const auto source = in.read<be16>(), destination = in.read<be16>();
    if (!source || !destination) return;
    out.has_ports = true;
    out.source_port = source->host();
    out.destination_port = destination->host();
    if (out.protocol != protocol_udp || !in.take(4)) return;
  } else if (out.protocol == protocol_icmp || out.protocol == protocol_icmpv6) {
    const auto type_and_code = in.read<be16>();
    if (!type_and_code) return;
    out.has_ports = true;
    out.source_port = out.destination_port = type_and_code->host();
    return;
  } else if (out.protocol != protocol_esp) {
    return;
  }
  const auto spi = in.read<be32>(), sequence = in.read<be32>();
  if (!spi || !sequence) return;
  out.has_spi = true;
  out.spi = spi->host();
  out.sequence = sequence->host();
}

std::optional<quoted_packet> parse_v4(byte_reader in) noexcept {
  const auto ip = in.read<ipv4_header>();
  if (!ip || ip->version_length >> 4 != 4 || ip->header_length() < sizeof(ipv4_header)) return std::nullopt;
  if (!in.take(ip->header_length() - sizeof(ipv4_header))) return std::nullopt;
  quoted_packet out;
  out.source = ip_address::from_bytes(ip_family::v4, ip->source.data());
  out.destination = ip_address::from_bytes(ip_family::v4, ip->destination.data());
  out.length = ip->total_length.host();
  out.protocol = ip->protocol;
  out.traffic_class = ip->traffic_class;
  out.later_fragment = (ip->fragment.host() & ipv4_header::offset_mask) != 0;
  read_upper(in, out);
  return out;
}

std::optional<quoted_packet> parse_v6(byte_reader in) noexcept {
  const auto ip = in.read<ipv6_header>();
  if (!ip || ip->version_class_label.host() >> 28 != 6) return std::nullopt;
  quoted_packet out;
  out.source = ip_address::from_bytes(ip_family::v6, ip->source.data());
  out.destination = ip_address::from_bytes(ip_family::v6, ip->destination.data());
  const std::uint32_t length = static_cast<std::uint32_t>(sizeof(ipv6_header)) + ip->payload_length.host();
  if (length > 0xffff) return std::nullopt;
  out.length = static_cast<std::uint16_t>(length);
  out.traffic_class = ip->traffic_class();
  out.protocol = ip->next_header;
  for (unsigned headers = 0; headers < extension_limit; ++headers) {
    const bool fragment = out.protocol == next_fragment;
    if (!fragment && out.protocol != next_hop_by_hop && out.protocol != next_routing &&
        out.protocol != next_destination_options)
      break;
    const auto head = in.take(8);
    if (!head) return std::nullopt;
    if (fragment)
      out.later_fragment = ((*head)[2] << 8 | ((*head)[3] & 0xf8)) != 0;
    else if (!in.take(static_cast<std::size_t>((*head)[1]) * 8))
      return std::nullopt;
    out.protocol = (*head)[0];
    if (out.later_fragment) break;
  }
  read_upper(in, out);
  return out;
}

}  // namespace

bool is_icmp_error(std::uint8_t ip_version, std::uint8_t icmp_type) noexcept {
  if (ip_version == 6) return icmp_type < 128;
  constexpr std::uint8_t unreachable = 3, source_quench = 4, redirect = 5, time_exceeded = 11, parameter_problem = 12;
  return icmp_type == unreachable || icmp_type == source_quench || icmp_type == redirect ||
         icmp_type == time_exceeded || icmp_type == parameter_problem;
}

std::optional<quoted_packet> parse_quoted(std::span<const std::uint8_t> quotation, std::uint8_t ip_version) noexcept {
  return ip_version == 4 ? parse_v4(byte_reader(quotation)) : parse_v6(byte_reader(quotation));
}

}  // namespace trunkgate
