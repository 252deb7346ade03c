// icmp_error: a packet becomes the ICMP error that tells its sender why it was dropped (RFC 792, RFC 1191, RFC 4443).
#include <algorithm>

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/tunnel_interface.hpp"

namespace trunkgate {
namespace {

constexpr std::uint64_t errors_per_second = 1000;  // of one worker (RFC 1812 4.3.2.8)
constexpr std::uint8_t error_class_v4 = 0xc0;      // internetwork control (RFC 1812 4.3.2.5)
constexpr std::size_t quote_v4 = 576 - 28;         // RFC 1812 4.3.2.3: as much as fits 576 bytes
constexpr std::size_t quote_v6 = 1280 - 48;        // RFC 4443 2.4 (c)

struct icmp_code {
  std::uint8_t type, code;
};

icmp_code code_for(icmp_error_kind kind, bool v4) noexcept {
  switch (kind) {
    case icmp_error_kind::too_big: return v4 ? icmp_code{3, 4} : icmp_code{2, 0};
    case icmp_error_kind::no_route: return v4 ? icmp_code{3, 0} : icmp_code{1, 0};     // RFC 1812 5.2.7.1, RFC 4443 3.1
    case icmp_error_kind::unreachable: return v4 ? icmp_code{3, 1} : icmp_code{1, 3};  // the host, the address
    default: return v4 ? icmp_code{11, 0} : icmp_code{3, 0};
  }
}

// RFC 1122 3.2.2, RFC 4443 2.4 (e): never about an ICMP error, a later fragment, a broadcast, or to nobody.
bool must_not_answer(rte_mbuf* packet, const packet_meta& m) noexcept {
  const auto* ip = ip_header(packet);
  if (m.later_fragment || m.link_multicast || packet->nb_segs != 1) return true;
  if (m.ip_version == 6 && std::all_of(ip + 8, ip + 24, [](auto byte) { return byte == 0; })) return true;
  if (m.protocol == protocol_icmp) {
    const std::uint8_t type = ip[m.l4_offset];
    return type != 8 && type != 0;  // echo
  }
  if (m.protocol == protocol_icmpv6) return ip[m.l4_offset] < 128;
  return false;
}

bool spend_error(stage_context& context) noexcept {
  const std::uint64_t second = context.now_ms / 1000;
  if (second != context.icmp_errors_second) {
    context.icmp_errors_second = second;
    context.icmp_errors_left = errors_per_second;
  }
  if (context.icmp_errors_left == 0) return false;
  --context.icmp_errors_left;
  return true;
}

// Fills `size` bytes of an IPv4 error at `at`, whose quotation stands already behind the 28 bytes of headers.
void write_v4(std::uint8_t* at, std::size_t size, const std::uint8_t* own, const std::uint8_t* to, icmp_code code,
              std::uint16_t mtu) noexcept {
  auto* ip = reinterpret_cast<ipv4_header*>(at);
  *ip = {.version_length = 0x45,
         .traffic_class = error_class_v4,
         .total_length = be16(static_cast<std::uint16_t>(size)),
         .id = {},
         .fragment = {},
         .hop_limit = 64,
         .protocol = protocol_icmp,
         .checksum = {},
         .source = {},
         .destination = {}};
  std::copy_n(own, 4, ip->source.begin());
  std::copy_n(to, 4, ip->destination.begin());
  ip->checksum = be16(checksum_fold(checksum_add(0, ip, sizeof *ip)));
  std::uint8_t* icmp = at + sizeof *ip;
  std::fill_n(icmp, 8, std::uint8_t{0});
  icmp[0] = code.type;
  icmp[1] = code.code;
  const be16 wire_mtu(mtu);
  std::memcpy(icmp + 6, &wire_mtu, sizeof wire_mtu);
  const be16 checksum(checksum_fold(checksum_add(0, icmp, size - sizeof *ip)));
  std::memcpy(icmp + 2, &checksum, sizeof checksum);
}

void write_v6(std::uint8_t* at, std::size_t size, const std::uint8_t* own, const std::uint8_t* to, icmp_code code,
              std::uint16_t mtu) noexcept {
  const auto payload = static_cast<std::uint16_t>(size - sizeof(ipv6_header));
  auto* ip = reinterpret_cast<ipv6_header*>(at);
  *ip = {.version_class_label = be32(6u << 28),
         .payload_length = be16(payload),
         .next_header = protocol_icmpv6,
         .hop_limit = 64,
         .source = {},
         .destination = {}};
  std::copy_n(own, 16, ip->source.begin());
  std::copy_n(to, 16, ip->destination.begin());
  std::uint8_t* icmp = at + sizeof *ip;
  std::fill_n(icmp, 8, std::uint8_t{0});
  icmp[0] = code.type;
  icmp[1] = code.code;
  const be32 wire_mtu(mtu);
  std::memcpy(icmp + 4, &wire_mtu, sizeof wire_mtu);
  const std::uint64_t pseudo = checksum_add(0, ip->source.data(), 32) + payload + protocol_icmpv6;
  const be16 checksum(checksum_fold(checksum_add(pseudo, icmp, payload)));
  std::memcpy(icmp + 2, &checksum, sizeof checksum);
}

// The address that errors towards `port` come from; false if it has none of the family.
bool own_address(const port_entry& port, bool v4, std::uint8_t* into) noexcept {
  if (v4) {
    const std::uint32_t address = port.ipv4.load(std::memory_order_relaxed);
    std::memcpy(into, &address, sizeof address);
    return address != 0;
  }
  const std::uint64_t high = port.ipv6[0].load(std::memory_order_relaxed),
                      low = port.ipv6[1].load(std::memory_order_relaxed);
  std::memcpy(into, &high, sizeof high);
  std::memcpy(into + 8, &low, sizeof low);
  return (high | low) != 0;
}

// An error into a tunnel comes from an address of the box that the tunnel's selectors hold, or the peer would refuse
// it.
bool own_address_inside(const forwarding_tables& tables, const api::sa_record& sa, bool v4,
                        std::uint8_t* into) noexcept {
  const auto family = v4 ? ip_family::v4 : ip_family::v6;
  for (const auto& port : tables.ports) {
    if (!port.present.load(std::memory_order_acquire) || !own_address(port, v4, into)) continue;
    const auto address = ip_address::from_bytes(family, into);
    for (std::size_t i = 0; i < sa.local_count; ++i)
      if (sa.local_ranges[i].contains(address)) return true;
  }
  return false;
}

// In place: the offending packet moves behind the error's headers and is cut. `back`: the SA that the error goes into,
// if any. False: there is no room or no address.
bool turn_into_error(const stage_context& context, rte_mbuf* packet, const outbound_sa* back) noexcept {
  auto& m = meta(packet);
  const bool v4 = m.ip_version == 4;
  const std::uint16_t towards = m.ingress == box_index ? m.egress : m.ingress;
  std::array<std::uint8_t, 16> own{}, to{};
  if ((back == nullptr || !own_address_inside(context.tables, back->record, v4, own.data())) &&
      (towards >= port_limit || !own_address(context.tables.ports[towards], v4, own.data())))
    return false;
  std::memcpy(to.data(), ip_header(packet) + (v4 ? 12 : 8), v4 ? 4 : 16);
  rte_pktmbuf_adj(packet, m.l2_length);
  const std::size_t quoted = std::min<std::size_t>(rte_pktmbuf_data_len(packet), v4 ? quote_v4 : quote_v6);
  rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(rte_pktmbuf_data_len(packet) - quoted));
  const std::size_t headers = v4 ? sizeof(ipv4_header) + 8 : sizeof(ipv6_header) + 8;
  auto* at = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, static_cast<std::uint16_t>(headers)));
  if (at == nullptr) return false;
  const auto code = code_for(static_cast<icmp_error_kind>(m.error), v4);
  const std::uint16_t mtu = m.size_limit;
  if (v4)
    write_v4(at, headers + quoted, own.data(), to.data(), code, mtu);
  else
    write_v6(at, headers + quoted, own.data(), to.data(), code, mtu);
  m.l2_length = 0;
  m.ip_length = static_cast<std::uint16_t>(headers + quoted);
  m.protocol = v4 ? protocol_icmp : protocol_icmpv6;
  m.l4_offset = static_cast<std::uint16_t>(headers - 8);
  m.traffic_class = v4 ? error_class_v4 : 0;
  m.source_port = m.destination_port = 0;
  m.fragment = m.later_fragment = m.has_ports = m.decrypted = false;
  m.wait_started_ms = 0;
  m.out_sa = nullptr;
  m.next_hop = nullptr;
  return true;
}

// What came out of a tunnel has its sender behind it: the error goes back by the SA whose selectors hold the quoted
// packet the other way round (RFC 4301 6.2), and never in clear.
void send_back(stage_context& context, rte_mbuf* packet, outbound_sa* sa) noexcept {
  auto& m = meta(packet);
  const auto way = context.tables.routes->lookup(sa->record.remote, sa->record.spi);
  if (way.verdict != route_verdict::forward && way.verdict != route_verdict::unresolved)
    return context.drop(packet, drop_reason::icmp_error_suppressed);
  m.egress = way.port;
  m.next_hop = way.next_hop;
  m.ingress = box_index;
  m.out_sa = sa;
  m.generation = context.generation;
  context.switch_path(packet, path_id::outbound, stage_id::policy);
}

}  // namespace

void icmp_error(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    auto& m = meta(packet);
    const bool from_tunnel = m.decrypted;
    auto* back = from_tunnel ? sa_back(context.tables, packet) : nullptr;
    if (must_not_answer(packet, m) || (from_tunnel && back == nullptr) || !spend_error(context) ||
        !turn_into_error(context, packet, back)) {
      // Its own drop was counted when it came here.
      context.drop(packet, drop_reason::icmp_error_suppressed);
      continue;
    }
    if (from_tunnel) {
      send_back(context, packet, back);
    } else if (m.ingress == box_index) {  // our own kernel is the sender
      m.ingress = m.egress;
      context.switch_path(packet, path_id::to_box, stage_id::policy);
    } else {
      m.egress = m.ingress;
      m.ingress = box_index;
      context.go_on(packet, stage_id::icmp_error);
    }
  }
}

}  // namespace trunkgate
