// fragment: what is larger than its way is cut before encryption (RFC 4301 8.2), or its sender is told the size that
// fits.
#include <rte_ip_frag.h>

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"

namespace trunkgate {
namespace {

constexpr std::uint16_t parts_limit = 64;  // a 64 KiB datagram on a path of 1,280 bytes takes 52

std::uint16_t room_for(const stage_context& context, const packet_meta& m) noexcept {
  const std::uint16_t mtu =
      m.egress < port_limit ? context.tables.ports[m.egress].mtu.load(std::memory_order_relaxed) : 1280;
  return m.out_sa != nullptr ? m.out_sa->inner_mtu(mtu) : mtu;
}

void cut(stage_context& context, rte_mbuf* packet, std::uint16_t room) noexcept {
  const auto m = meta(packet);
  rte_pktmbuf_adj(packet, m.l2_length);
  meta(packet).l2_length = 0;
  std::array<rte_mbuf*, parts_limit> parts;
  const std::int32_t count =
      rte_ipv4_fragment_copy_nonseg_packet(packet, parts.data(), parts_limit, room, context.pool);
  if (count < 0) return context.drop(packet, drop_reason::fragmentation_failed);
  rte_pktmbuf_free(packet);
  for (std::int32_t i = 0; i < count; ++i) {
    auto* part = parts[static_cast<std::size_t>(i)];
    auto* ip = rte_pktmbuf_mtod(part, ipv4_header*);
    ip->checksum = be16(0);
    ip->checksum = be16(checksum_fold(checksum_add(0, ip, ip->header_length())));
    part->ol_flags = 0;
    auto& own = meta(part) = m;
    own.l2_length = 0;
    own.ip_length = ip->total_length.host();
    own.fragment = true;
    own.later_fragment = i != 0;
    context.go_on(part, stage_id::fragment);
  }
}

}  // namespace

void fragment(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    const auto& m = meta(packet);
    const std::uint16_t room = room_for(context, m);
    if (m.ip_length <= room) {
      context.go_on(packet, stage_id::fragment);
    } else if (m.ip_version == 4 && (ip_header(packet)[6] & 0x40) == 0) {  // DF is clear
      cut(context, packet, room);
    } else {
      context.answer_error(packet, icmp_error_kind::too_big, room);
    }
  }
}

}  // namespace trunkgate
