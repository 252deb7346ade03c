#include "dataplane/stages/size_report.hpp"

#include <algorithm>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/packet/quoted.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t icmp_header_length = 8;
constexpr std::uint16_t floor_v4 = 576, floor_v6 = 1280;  // RFC 791 3.1, RFC 8201 4

// RFC 1191 7.1: sizes of links that exist.
constexpr std::array<std::uint16_t, 8> plateaus{32000, 17914, 8166, 4352, 2002, 1492, 1006, floor_v4};

bool is_too_big(const packet_meta& m, const std::uint8_t* icmp) noexcept {
  if (m.ip_version == 4) return m.protocol == protocol_icmp && icmp[0] == 3 && icmp[1] == 4;
  return m.ip_version == 6 && m.protocol == protocol_icmpv6 && icmp[0] == 2;
}

std::uint32_t told_mtu(const packet_meta& m, const std::uint8_t* icmp) noexcept {
  if (m.ip_version == 4) return static_cast<std::uint32_t>(icmp[6] << 8 | icmp[7]);
  be32 wire;
  std::memcpy(&wire, icmp + 4, sizeof wire);
  return wire.host();
}

bool ports_match(const outbound_sa& sa, const quoted_packet& quoted) noexcept {
  if (!sa.udp) return quoted.protocol == protocol_esp;
  return quoted.protocol == protocol_udp && quoted.has_ports && quoted.source_port == sa.record.local_port &&
         quoted.destination_port == sa.record.remote_port;
}

bool checksum_holds(const packet_meta& m, const std::uint8_t* ip, std::size_t size) noexcept {
  const std::uint64_t pseudo = m.ip_version == 4 ? 0 : checksum_add(0, ip + 8, 32) + size + protocol_icmpv6;
  return checksum_fold(checksum_add(pseudo, ip + m.l4_offset, size)) == 0;
}

// RFC 4303 2.2.1: only the low half is on the wire; the whole is the highest one that is not above `last`.
bool was_sent(std::uint32_t low, std::uint64_t last) noexcept {
  return low <= last && (low != 0 || last > 0xffff'ffff);
}

}  // namespace

std::optional<size_report> read_size_report(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  const auto* ip = ip_header(packet);
  const std::size_t size = m.ip_length - m.l4_offset;
  if (m.fragment || packet->nb_segs != 1 || size < icmp_header_length || !is_too_big(m, ip + m.l4_offset))
    return std::nullopt;
  const std::uint8_t* icmp = ip + m.l4_offset;
  const auto quoted = parse_quoted({icmp + icmp_header_length, size - icmp_header_length}, m.ip_version);
  if (!quoted || !quoted->has_spi) return std::nullopt;
  auto* const* found = tables.outbound.find({quoted->destination, quoted->spi});
  if (found == nullptr || (*found)->record.local != quoted->source || !ports_match(**found, *quoted))
    return std::nullopt;
  if (!checksum_holds(m, ip, size)) return std::nullopt;
  return size_report{
      .sa = *found, .mtu = told_mtu(m, icmp), .quoted_length = quoted->length, .sequence = quoted->sequence};
}

std::uint16_t believable_mtu(const size_report& report, bool v6, std::uint64_t last, std::uint16_t in_use) noexcept {
  std::uint32_t mtu = report.mtu;
  if (mtu == 0 && !v6) {
    const auto* next = std::find_if(plateaus.begin(), plateaus.end() - 1,
                                    [&](std::uint16_t plateau) { return plateau < report.quoted_length; });
    mtu = *next;
  }
  if (!was_sent(report.sequence, last) || mtu >= report.quoted_length || mtu >= in_use) return 0;
  return mtu < (v6 ? floor_v6 : floor_v4) ? 0 : static_cast<std::uint16_t>(mtu);
}

}  // namespace trunkgate
