// esp_encapsulate: RFC 4303 3.3: trailer, sequence number, IV and outer header around each packet, then one crypto
// burst.
#include <algorithm>

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/inbound_lookup.hpp"
#include "dataplane/stages/room.hpp"
#include "dataplane/stages/tell.hpp"
#include "dataplane/stages/transport_mode.hpp"
#include "dataplane/stages/tunnel_interface.hpp"

namespace trunkgate {
namespace {

// RFC 4303 2.4: pad to the block, pad bytes 1, 2, 3, ..., pad length, next header, behind the packet's last `size`
// bytes. Gives the payload's new length; 0 if the buffer has no room for it and the ICV.
std::uint32_t append_trailer(rte_mbuf* packet, const outbound_sa& sa, std::uint32_t size,
                             std::uint8_t next_header) noexcept {
  const std::uint32_t padded = (size + 2 + sa.block - 1) & ~(sa.block - 1u);
  const std::uint32_t pad = padded - size - 2;
  auto* at =
      reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(packet, static_cast<std::uint16_t>(padded - size + sa.icv)));
  if (at == nullptr) return 0;
  for (std::uint32_t i = 0; i < pad; ++i) at[i] = static_cast<std::uint8_t>(i + 1);
  at[pad] = static_cast<std::uint8_t>(pad);
  at[pad + 1] = next_header;
  return padded;
}

// RFC 4303 2.7: zeros behind the inner packet, up to a size that says nothing about it, and no further than the path
// takes. The inner packet's own length says where it ends. False: the buffer has no room.
bool pad_for_confidentiality(rte_mbuf* packet, const outbound_sa& sa) noexcept {
  // api::tfc_padding_to_mtu is above any.
  const std::uint32_t wanted = std::min(sa.tfc_padding, sa.inner_mtu(meta(packet).size_limit));
  const std::uint32_t size = rte_pktmbuf_data_len(packet);
  if (size >= wanted) return true;
  auto* at = rte_pktmbuf_append(packet, static_cast<std::uint16_t>(wanted - size));
  if (at == nullptr) return false;
  std::memset(at, 0, wanted - size);
  return true;
}

// What the outer header takes from the inner one.
struct copied_fields {
  std::uint8_t traffic_class;
  std::uint16_t fragment;        // DF, where the outer header is IPv4
  std::uint32_t flow_label = 0;  // where both are IPv6
};

// RFC 4301 5.1.2, as the SA is told to.
void choose_fields(const outbound_sa& sa, const std::uint8_t* inner, copied_fields& fields) noexcept {
  const auto& wanted = sa.record.outer;
  // RFC 6040 4.1: the compatibility mode marks nothing.
  const unsigned ecn = wanted.ecn == api::ecn_mode::normal ? fields.traffic_class & 3u : 0;
  fields.traffic_class = static_cast<std::uint8_t>(wanted.dscp[fields.traffic_class >> 2] << 2 | ecn);
  if (wanted.df != api::df_mode::copy)
    fields.fragment = wanted.df == api::df_mode::set ? ipv4_header::dont_fragment : 0;
  if (wanted.flow_label == api::flow_label_copy && inner[0] >> 4 == 6) {
    be32 first;
    std::memcpy(&first, inner, sizeof first);
    fields.flow_label = first.host() & 0xf'ffff;
  }
}

// RFC 3948 2.1: the checksum stays 0.
void write_udp(const std::uint8_t* ports, std::uint8_t* udp, std::uint32_t size) noexcept {
  std::memcpy(udp, ports, sizeof(udp_header));
  const be16 length(static_cast<std::uint16_t>(size));
  std::memcpy(udp + 4, &length, sizeof length);
}

// RFC 4301 5.1.2: lengths, identification, what is copied, checksum.
void write_outer(const outbound_sa& sa, std::uint8_t* outer, std::uint32_t total,
                 const copied_fields& fields) noexcept {
  // Sizes that the compiler knows: a handful of moves instead of a call.
  std::uint8_t* udp = outer + (sa.outer_v6 ? sizeof(ipv6_header) : sizeof(ipv4_header));
  if (sa.outer_v6) {
    auto* ip = reinterpret_cast<ipv6_header*>(outer);
    std::memcpy(outer, sa.outer.data(), sizeof *ip);
    ip->version_class_label = be32(ip->version_class_label.host() |
                                   static_cast<std::uint32_t>(fields.traffic_class) << 20 | fields.flow_label);
    ip->payload_length = be16(static_cast<std::uint16_t>(total - sizeof(ipv6_header)));
  } else {
    auto* ip = reinterpret_cast<ipv4_header*>(outer);
    std::memcpy(outer, sa.outer.data(), sizeof *ip);
    // RFC 6864 4.3: must not come twice soon where the packet may be cut. It is the low half of its sequence number.
    const auto id = static_cast<std::uint16_t>(sa.sequence.get() + 1);
    ip->traffic_class = fields.traffic_class;
    ip->total_length = be16(static_cast<std::uint16_t>(total));
    ip->id = be16(id);
    ip->fragment = be16(fields.fragment);
    ip->checksum =
        be16(checksum_fold(std::uint64_t{sa.outer_sum} + fields.traffic_class + total + id + fields.fragment));
  }
  if (sa.udp) write_udp(sa.outer.data() + (udp - outer), udp, total - static_cast<std::uint32_t>(udp - outer));
}

// UDP over IPv6 may not go without a checksum to hosts that do not know better (RFC 8200 8.1).
void fill_udp6_checksum(std::uint8_t* outer, const packet_meta& m) noexcept {
  auto* udp = outer + m.l4_offset;
  const auto udp_length = static_cast<std::uint32_t>(m.ip_length - m.l4_offset);
  const std::uint64_t sum = checksum_add(0, outer + 8, 32) + udp_length + protocol_udp;
  const std::uint16_t folded = checksum_fold(checksum_add(sum, udp, udp_length));
  const be16 checksum(folded == 0 ? 0xffff : folded);
  std::memcpy(udp + 6, &checksum, sizeof checksum);
}

void write_iv(stage_context& context, const outbound_sa& sa, std::uint8_t* iv, std::uint64_t sequence) noexcept {
  if (sa.counter_iv) {
    // RFC 4106 3.1: unique per key. The epoch makes it so across processes, the sequence number within one.
    const be64 counter(std::uint64_t{sa.iv_epoch} << 48 | (sequence & 0xffff'ffff'ffff));
    std::memcpy(iv, &counter, sizeof counter);
  } else {
    context.ivs.fill(iv, sa.iv);  // RFC 3602 3: unpredictable
  }
}

copied_fields fields_of(const packet_meta& m, const std::uint8_t* inner) noexcept {
  const bool df = m.ip_version == 6 || (inner[6] & 0x40) != 0;
  return {.traffic_class = m.traffic_class, .fragment = df ? ipv4_header::dont_fragment : std::uint16_t{0}};
}

// Tunnel mode: the whole packet, without its frame header, is the payload. Gives where ESP begins; nullptr: the buffer
// has no room.
[[gnu::always_inline]] inline std::uint8_t* wrap_in_outer(rte_mbuf* packet, const outbound_sa& sa, esp_op& op,
                                                          copied_fields fields) noexcept {
  auto& m = meta(packet);
  op.payload_length =
      append_trailer(packet, sa, rte_pktmbuf_data_len(packet), m.ip_version == 4 ? protocol_ipv4 : protocol_ipv6);
  if (op.payload_length == 0) return nullptr;
  const auto front = static_cast<std::uint16_t>(sa.outer_length + sizeof(esp_header) + sa.iv);
  auto* outer = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, front));
  if (outer == nullptr) return nullptr;
  if (rte_pktmbuf_data_len(packet) > m.size_limit) fields.fragment = 0;  // fragment_outer cuts it
  write_outer(sa, outer, rte_pktmbuf_data_len(packet), fields);
  m.ip_version = sa.outer_v6 ? 6 : 4;
  m.l4_offset = sa.outer_v6 ? sizeof(ipv6_header) : sizeof(ipv4_header);
  return outer + sa.outer_length;
}

std::uint8_t* wrap_tunnel(rte_mbuf* packet, const outbound_sa& sa, esp_op& op) noexcept {
  const auto fields = fields_of(meta(packet), ip_header(packet));
  rte_pktmbuf_adj(packet, meta(packet).l2_length);
  return wrap_in_outer(packet, sa, op, fields);
}

// The same for an SA that is not plain.
[[gnu::noinline]] std::uint8_t* wrap_tunnel_as_told(rte_mbuf* packet, const outbound_sa& sa, esp_op& op) noexcept {
  auto fields = fields_of(meta(packet), ip_header(packet));
  choose_fields(sa, ip_header(packet), fields);
  rte_pktmbuf_adj(packet, meta(packet).l2_length);
  if (!pad_for_confidentiality(packet, sa)) return nullptr;
  return wrap_in_outer(packet, sa, op, fields);
}

// Transport mode: ESP goes between the packet's own headers (RFC 4303 3.1.1). Gives where it begins, as above.
[[gnu::noinline]] std::uint8_t* wrap_transport(rte_mbuf* packet, const outbound_sa& sa, esp_op& op) noexcept {
  auto& m = meta(packet);
  rte_pktmbuf_adj(packet, m.l2_length);
  auto* ip = rte_pktmbuf_mtod(packet, std::uint8_t*);
  const auto place = place_for_esp(ip, m.ip_version);
  op.payload_length =
      append_trailer(packet, sa, rte_pktmbuf_data_len(packet) - std::uint32_t{place.offset}, ip[place.next_header_at]);
  if (op.payload_length == 0) return nullptr;
  const auto added = static_cast<std::uint16_t>(sa.outer_length + sizeof(esp_header) + sa.iv);
  auto* moved = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, added));
  if (moved == nullptr) return nullptr;
  std::memmove(moved, ip, place.offset);
  const std::uint32_t total = rte_pktmbuf_data_len(packet);
  rewrite_headers(moved, m.ip_version, place, sa.udp ? protocol_udp : protocol_esp, total);
  if (sa.udp) write_udp(sa.outer.data(), moved + place.offset, total - place.offset);
  m.l4_offset = place.offset;
  return moved + place.offset + sa.outer_length;
}

// For when the SA's lifetime is due.
[[gnu::cold, gnu::noinline]] void tell_due(stage_context& context, outbound_sa& sa) noexcept {
  tell_limits(context, sa);
  if (sa.sequence.get() < sa.near_end || sa.near_end == above_all) return;
  sa.near_end = above_all;
  (void)sa.lifetime.soften(api::sa_limit::sequence);
  tell(context, limit_event(api::event_kind::sequence_near_end, sa.record, api::sa_limit::sequence));
}

[[gnu::cold, gnu::noinline]] void tell_exhausted(stage_context& context, outbound_sa& sa) noexcept {
  if (sa.lifetime.expire(api::sa_limit::sequence))
    tell(context, limit_event(api::event_kind::sequence_exhausted, sa.record, api::sa_limit::sequence));
}

// Everything but the cryptography. False: the packet was dropped.
bool wrap(stage_context& context, rte_mbuf* packet, outbound_sa& sa, esp_op& op) noexcept {
  auto& m = meta(packet);
  const auto refuse = [&](drop_reason why) {
    context.drop(packet, sa.counters, why);
    return false;
  };
  if (const auto expired = sa.lifetime.expired(); expired != api::sa_limit::none) [[unlikely]]
    return refuse(reason_of(expired));
  const std::uint16_t inner_length = m.ip_length;
  if (sa.plain) {
    op.esp = wrap_tunnel(packet, sa, op);
  } else {
    // RFC 4301 4.1: transport mode protects whole packets only.
    if (sa.transport && m.fragment) return refuse(drop_reason::transport_fragment);
    op.esp = sa.transport ? wrap_transport(packet, sa, op) : wrap_tunnel_as_told(packet, sa, op);
  }
  if (op.esp == nullptr) return refuse(drop_reason::packet_too_big);
  const std::uint64_t sequence = sa.next_sequence();
  if (sequence == 0) [[unlikely]] {
    tell_exhausted(context, sa);
    return refuse(drop_reason::esp_sequence_exhausted);
  }
  const esp_header esp{sa.spi, be32(static_cast<std::uint32_t>(sequence))};
  std::memcpy(op.esp, &esp, sizeof esp);
  write_iv(context, sa, op.esp + sizeof esp, sequence);
  op.sequence_high = static_cast<std::uint32_t>(sequence >> 32);
  op.key = sa.key;
  op.ok = false;
  sa.counters.packets.add(1);
  sa.counters.bytes.add(inner_length);
  if (sa.lifetime.due(sa.counters.packets.get(), sa.counters.bytes.get())) [[unlikely]]
    tell_due(context, sa);
  // From here on it is the outer packet.
  m.l2_length = 0;
  m.ip_length = static_cast<std::uint16_t>(rte_pktmbuf_data_len(packet));
  return true;
}

// As policy looks for it: the selectors, then the route.
outbound_sa* find_sa(const forwarding_tables& tables, rte_mbuf* packet, std::uint16_t worker) noexcept {
  const auto key = flow_key_of(packet);
  if (const auto found = tables.selectors->find(key, worker); found.needed()) return found.sa;
  const auto way = tables.routes->lookup(destination_of(packet), meta(packet).flow_hash);
  return by_interface(tables, way.port, key, worker).sa;
}

// The SA, on its own worker; nullptr if the packet has left. While a packet crosses from one worker to another the
// tables may change and its SA be freed: the pointer counts only within the generation in which it was found.
outbound_sa* own_sa(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (m.generation != context.generation) {
    m.out_sa = find_sa(context.tables, packet, context.worker);
    m.generation = context.generation;
    // A transport SA is for the box's own packets alone, as in policy.
    if (m.out_sa == nullptr || (m.out_sa->transport && m.ingress != box_index)) {
      context.drop(packet, drop_reason::no_sa);
      return nullptr;
    }
  }
  if (m.out_sa->owner != context.worker) {
    context.hand_over(packet, m.out_sa->owner, stage_id::esp_encapsulate);
    return nullptr;
  }
  return m.out_sa;
}

}  // namespace

void esp_encapsulate(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  burst_array<esp_op> ops;
  burst_array<rte_mbuf*> packets;
  std::size_t count = 0;
  for (auto* packet : burst) {
    auto* sa = own_sa(context, packet);
    if (sa == nullptr) continue;
    auto& m = meta(packet);
    if (m.size_limit == size_unknown && !fits_its_sa(context, m)) [[unlikely]] {
      context.put(packet, stage_id::fragment);  // policy took it for one that fits, as nearly all do
      continue;
    }
    if (wrap(context, packet, *sa, ops[count])) packets[count++] = packet;
  }
  context.crypto.encrypt(ops.first(count));
  for (std::size_t i = 0; i < count; ++i) {
    auto& m = meta(packets[i]);
    auto& sa = *m.out_sa;
    if (!ops[i].ok) {
      context.drop(packets[i], sa.counters, drop_reason::esp_encryption_failed);
      continue;
    }
    sa.counters.last_used_ms.set(context.now_ms);
    if (sa.udp && sa.outer_v6) fill_udp6_checksum(rte_pktmbuf_mtod(packets[i], std::uint8_t*), m);
    m.out_sa = nullptr;  // nothing behind this stage may hold on to the SA
    if (m.ip_length > m.size_limit)
      context.switch_path(packets[i], path_id::outer_cut, stage_id::esp_encapsulate);
    else
      context.go_on(packets[i], stage_id::esp_encapsulate);
  }
}

}  // namespace trunkgate
