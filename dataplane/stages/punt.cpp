// punt: what is for the box itself goes to the kernel through the port's TAP, policed by kind.
#include <algorithm>

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/ike_front.hpp"

namespace trunkgate {
namespace {

bool is_ike(const packet_meta& m) noexcept {
  return m.protocol == protocol_udp && (m.destination_port == port_ike || m.destination_port == port_nat_traversal);
}

punt_class class_of(rte_mbuf* packet, const std::uint8_t* ip) noexcept {
  const auto& m = meta(packet);
  if (m.ip_version == 0) return punt_class::arp_nd;
  switch (m.protocol) {
    case protocol_icmpv6:
      return !m.later_fragment && ip[m.l4_offset] >= 133 && ip[m.l4_offset] <= 137 ? punt_class::arp_nd
                                                                                   : punt_class::icmp;
    case protocol_icmp: return punt_class::icmp;
    case protocol_udp:
    case protocol_tcp:
      return m.destination_port == port_sip || m.destination_port == port_sips ? punt_class::sip : punt_class::rest;
    default: return punt_class::rest;
  }
}

// The kernel wants an untagged Ethernet frame to its own MAC; a decrypted packet has no frame of its own any more, and
// needs none on its tunnel's interface.
bool frame_for_kernel(const stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  constexpr auto plain = static_cast<std::uint16_t>(sizeof(ethernet_header));
  if (is_tunnel_port(m.ingress)) return m.l2_length == 0;
  if (m.l2_length == plain) return true;
  ethernet_header header{};
  if (m.l2_length != 0)
    header = *rte_pktmbuf_mtod(packet, const ethernet_header*);
  else {
    header.destination = context.tables.ports[m.ingress].mac;
    header.source = header.destination;
    header.source[0] ^= 2;  // not our own: the kernel drops frames that claim to come from itself
  }
  header.ethertype = be16(m.ip_version == 0 ? ethertype_arp : m.ip_version == 4 ? ethertype_ipv4 : ethertype_ipv6);
  rte_pktmbuf_adj(packet, m.l2_length);
  auto* at = rte_pktmbuf_prepend(packet, plain);
  if (at == nullptr) return false;
  std::memcpy(at, &header, sizeof header);
  m.l2_length = plain;
  return true;
}

// Whether the box takes one more of its kind now.
bool admits(stage_context& context, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.ip_version == 0 || !is_ike(m))
    return context.policer.admits(class_of(packet, ip_header(packet)), context.now_tsc);
  const auto message = ike_front_of(packet, m.destination_port);
  const auto kind = ike_class(context.tables.ike, message);
  if (context.policer.admits(kind, context.now_tsc)) return true;
  if (kind == punt_class::ike_init) context.tables.ike.had_no_room(*message);
  return false;
}

}  // namespace

void punt(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    if (!admits(context, packet)) {
      context.drop(packet, drop_reason::punt_rate_limited);
      continue;
    }
    const std::uint16_t port = meta(packet).ingress;
    if (port >= port_limit || !frame_for_kernel(context, packet) ||
        !context.outlets.punt(context.outlets.pipeline, packet)) {
      context.drop(packet, drop_reason::punt_ring_full);
      continue;
    }
    context.punted[port].add(1);
  }
}

}  // namespace trunkgate
