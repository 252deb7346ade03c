// reassemble: fragments of ESP for this gateway become whole packets before the SA is looked up (RFC 4303 3.4.1), and
// so do those of all UDP for the box, since ESP may be inside.
#include <algorithm>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/parse.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/inbound_lookup.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t next_header_fragment = 44;

rte_mbuf* give_to_table(stage_context& context, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  auto* ip = ip_header(packet);
  if (m.ip_version == 4) {
    packet->l3_len = m.l4_offset;
    return rte_ipv4_frag_reassemble_packet(context.reassembly, &context.death_row, packet, context.now_tsc,
                                           reinterpret_cast<rte_ipv4_hdr*>(ip));
  }
  auto* fragment = reinterpret_cast<rte_ipv6_fragment_ext*>(ip + sizeof(ipv6_header));
  packet->l3_len = sizeof(ipv6_header) + sizeof(rte_ipv6_fragment_ext);
  return rte_ipv6_frag_reassemble_packet(context.reassembly, &context.death_row, packet, context.now_tsc,
                                         reinterpret_cast<rte_ipv6_hdr*>(ip), fragment);
}

// Frees what the table gave up, under one name. Some parts may hang together already: rte_ip_frag had begun to chain
// them when it saw that others are missing.
void free_dead(stage_context& context, drop_reason reason) noexcept {
  auto& row = context.death_row;
  if (row.cnt == 0) return;
  unsigned parts = 0;
  for (std::uint32_t i = 0; i < row.cnt; ++i) parts += row.row[i]->nb_segs;
  context.fragments_held -= parts;
  context.drops[static_cast<std::size_t>(reason)].add(parts);
  rte_ip_frag_free_death_row(&row, 4);
}

// Why rte_ip_frag put what it put on the death row. The newest part alone found no room in the table; with others it
// does not fit them. Without it the others had waited too long, and it took their place.
drop_reason reason_of_death(const rte_ip_frag_death_row& row, const rte_mbuf* packet) noexcept {
  const auto* end = row.row + row.cnt;
  if (std::find(row.row, end, packet) == end) return drop_reason::fragment_timeout;
  return row.cnt == 1 ? drop_reason::fragment_table_full : drop_reason::fragment_mismatch;
}

// Gives the packet to the table; the whole packet if this was its last missing part. The table owns it otherwise, or
// the packet has been dropped.
rte_mbuf* add_fragment(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  packet->l2_len = m.l2_length;
  const std::size_t header = m.ip_version == 4 ? m.l4_offset : sizeof(ipv6_header) + sizeof(rte_ipv6_fragment_ext);
  drop_reason refused = drop_reason::none;
  // rte_ip_frag joins what has its fragment header right behind the IPv6 header.
  if (m.ip_version == 6 && ip_header(packet)[6] != next_header_fragment)
    refused = drop_reason::fragment_not_reassembled;
  else if (m.ip_length <= header)
    refused = drop_reason::fragment_mismatch;
  else if (context.fragments_held >= context.fragments_limit)
    refused = drop_reason::fragment_table_full;
  if (refused != drop_reason::none) {
    context.drop(packet, refused);
    return nullptr;
  }
  ++context.fragments_held;
  auto* whole = give_to_table(context, packet);
  if (whole != nullptr) context.fragments_held -= whole->nb_segs;
  // Each time: the row has room for 32 packets' parts, and rte_ip_frag does not look.
  free_dead(context, reason_of_death(context.death_row, packet));
  return whole;
}

void renew_checksum(rte_mbuf* packet) noexcept {
  if (meta(packet).ip_version != 4) return;
  auto* ip = reinterpret_cast<ipv4_header*>(ip_header(packet));
  ip->checksum = be16(0);
  ip->checksum = be16(checksum_fold(checksum_add(0, ip, ip->header_length())));
}

// ESP must fit one buffer, because the stages behind work on contiguous bytes. A large IKE message or other UDP for the
// box need not: as a chain of buffers it goes by its headers, which were in its first fragment, and only to the kernel.
void pass_chain(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (m.ip_version == 6) m.l4_offset -= sizeof(rte_ipv6_fragment_ext);  // rte_ip_frag took it out
  const std::size_t marker = m.l2_length + m.l4_offset + sizeof(udp_header);
  const std::uint32_t length = rte_pktmbuf_pkt_len(packet) - m.l2_length;
  bool in_clear =
      m.protocol == protocol_udp && m.has_ports && length <= 0xffff && rte_pktmbuf_data_len(packet) >= marker + 4;
  if (in_clear && m.destination_port == port_nat_traversal) {  // IKE has the non-ESP marker there (RFC 3948 2.2)
    be32 spi;
    std::memcpy(&spi, rte_pktmbuf_mtod_offset(packet, const std::uint8_t*, marker), sizeof spi);
    in_clear = spi.host() == 0;
  }
  if (!in_clear) return context.drop(packet, drop_reason::fragment_not_reassembled);
  m.ip_length = static_cast<std::uint16_t>(length);
  m.fragment = m.later_fragment = false;
  renew_checksum(packet);
  context.switch_path(packet, path_id::outbound, stage_id::classify);
}

// What was put together is parsed anew.
void classify_whole(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (rte_pktmbuf_linearize(packet) != 0) return pass_chain(context, packet);
  const std::span<const std::uint8_t> bytes{ip_header(packet),
                                            static_cast<std::size_t>(rte_pktmbuf_data_len(packet)) - m.l2_length};
  // rte_ip_frag leaves the header's checksum to a device.
  if (const auto wrong = parse_ip(bytes, m, true); wrong != drop_reason::none) return context.drop(packet, wrong);
  const auto esp = find_inbound(context.tables, packet);
  if (esp.drop != drop_reason::none) return context.drop(packet, esp.drop);
  if (esp.for_us && esp.sa != nullptr) {
    m.in_sa = esp.sa;
    m.in_udp = esp.in_udp;
    return context.go_on(packet, stage_id::reassemble);
  }
  renew_checksum(packet);
  context.switch_path(packet, path_id::outbound, stage_id::classify);  // some other UDP for the box, whole now
}

}  // namespace

void reassemble(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    if (!meta(packet).fragment) {
      context.go_on(packet, stage_id::reassemble);
      continue;
    }
    if (auto* whole = add_fragment(context, packet); whole != nullptr) classify_whole(context, whole);
  }
}

void expire_fragments(stage_context& context) noexcept {
  for (bool more = true; more;) {  // as many at a time as the death row takes
    rte_ip_frag_table_del_expired_entries(context.reassembly, &context.death_row, context.now_tsc);
    more = context.death_row.cnt != 0;
    free_dead(context, drop_reason::fragment_timeout);
  }
}

}  // namespace trunkgate
