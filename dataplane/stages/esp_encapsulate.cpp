// esp_encapsulate: RFC 4303 3.3: trailer, sequence number, IV and outer header around each packet, then one crypto
// burst.
#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/inbound_lookup.hpp"
#include "dataplane/stages/tunnel_interface.hpp"

namespace trunkgate {
namespace {

// RFC 4303 2.4: pad to the block, pad bytes 1, 2, 3, ..., pad length, next header. Gives the payload's new length; 0 if
// the buffer has no room for it and the ICV.
std::uint32_t append_trailer(rte_mbuf* packet, const outbound_sa& sa, std::uint8_t next_header) noexcept {
  const std::uint32_t size = rte_pktmbuf_data_len(packet);
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

// RFC 4301 5.1.2: lengths, identification, traffic class (DSCP and ECN copied: RFC 6040 4.1), DF copied, checksum.
void write_outer(outbound_sa& sa, std::uint8_t* outer, std::uint32_t total, const packet_meta& m,
                 std::uint16_t fragment) noexcept {
  // Sizes that the compiler knows: a handful of moves instead of a call.
  std::uint8_t* udp = outer + (sa.outer_v6 ? sizeof(ipv6_header) : sizeof(ipv4_header));
  if (sa.outer_v6) {
    auto* ip = reinterpret_cast<ipv6_header*>(outer);
    std::memcpy(outer, sa.outer.data(), sizeof *ip);
    ip->version_class_label = be32(6u << 28 | static_cast<std::uint32_t>(m.traffic_class) << 20);
    ip->payload_length = be16(static_cast<std::uint16_t>(total - sizeof(ipv6_header)));
  } else {
    auto* ip = reinterpret_cast<ipv4_header*>(outer);
    std::memcpy(outer, sa.outer.data(), sizeof *ip);
    const std::uint16_t id = ++sa.ip_id;
    ip->traffic_class = m.traffic_class;
    ip->total_length = be16(static_cast<std::uint16_t>(total));
    ip->id = be16(id);
    ip->fragment = be16(fragment);
    ip->checksum = be16(checksum_fold(std::uint64_t{sa.outer_sum} + m.traffic_class + total + id + fragment));
  }
  if (sa.udp) {
    std::memcpy(udp, sa.outer.data() + (udp - outer), sizeof(udp_header));
    const be16 length(static_cast<std::uint16_t>(total - (udp - outer)));
    std::memcpy(udp + 4, &length, sizeof length);
  }
}

// UDP over IPv6 may not go without a checksum to hosts that do not know better (RFC 8200 8.1).
void fill_udp6_checksum(std::uint8_t* outer, std::uint32_t total) noexcept {
  const std::uint32_t udp_length = total - static_cast<std::uint32_t>(sizeof(ipv6_header));
  std::uint64_t sum = checksum_add(0, outer + 8, 32) + udp_length + protocol_udp;
  const std::uint16_t folded = checksum_fold(checksum_add(sum, outer + sizeof(ipv6_header), udp_length));
  const be16 checksum(folded == 0 ? 0xffff : folded);
  std::memcpy(outer + sizeof(ipv6_header) + 6, &checksum, sizeof checksum);
}

void write_iv(stage_context& context, const outbound_sa& sa, std::uint8_t* iv, std::uint64_t sequence) noexcept {
  if (sa.counter_iv) {
    // RFC 4106 3.1: unique per key. The epoch makes it so across processes, the sequence number within one.
    const be64 counter(sa.epoch_bits | (sequence & 0xffff'ffff'ffff));
    std::memcpy(iv, &counter, sizeof counter);
  } else {
    context.ivs.fill(iv, sa.iv);  // RFC 3602 3: unpredictable
  }
}

// Everything but the cryptography. False: the packet was dropped.
bool wrap(stage_context& context, rte_mbuf* packet, outbound_sa& sa, esp_op& op) noexcept {
  auto& m = meta(packet);
  const bool v4 = m.ip_version == 4;
  const bool inner_df = !v4 || (ip_header(packet)[6] & 0x40) != 0;
  const std::uint16_t inner_length = m.ip_length;
  rte_pktmbuf_adj(packet, m.l2_length);
  const std::uint32_t payload = append_trailer(packet, sa, v4 ? protocol_ipv4 : protocol_ipv6);
  const auto front = static_cast<std::uint16_t>(sa.outer_length + sizeof(esp_header) + sa.iv);
  auto* outer = payload == 0 ? nullptr : reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, front));
  if (outer == nullptr) {
    sa.counters.other_drops.add(1);
    context.drop(packet, drop_reason::packet_too_big);
    return false;
  }
  const std::uint64_t sequence = sa.next_sequence();
  if (sequence == 0) {
    sa.counters.other_drops.add(1);
    context.drop(packet, drop_reason::esp_sequence_exhausted);
    return false;
  }
  const bool whole = rte_pktmbuf_data_len(packet) <= m.size_limit;                    // or fragment_outer cuts it
  const std::uint16_t fragment = inner_df && whole ? ipv4_header::dont_fragment : 0;  // where the outer header is IPv4
  write_outer(sa, outer, rte_pktmbuf_data_len(packet), m, fragment);
  op.esp = outer + sa.outer_length;
  const esp_header esp{sa.spi, be32(static_cast<std::uint32_t>(sequence))};
  std::memcpy(op.esp, &esp, sizeof esp);
  write_iv(context, sa, op.esp + sizeof esp, sequence);
  op.payload_length = payload;
  op.sequence_high = static_cast<std::uint32_t>(sequence >> 32);
  op.key = sa.key;
  op.ok = false;
  sa.counters.packets.add(1);
  sa.counters.bytes.add(inner_length);
  sa.counters.last_sequence.set(sequence);
  // From here on it is the outer packet.
  m.l2_length = 0;
  m.ip_version = sa.outer_v6 ? 6 : 4;
  m.ip_length = static_cast<std::uint16_t>(rte_pktmbuf_data_len(packet));
  return true;
}

// As policy looks for it: the selectors, then the route.
outbound_sa* find_sa(const forwarding_tables& tables, rte_mbuf* packet) noexcept {
  const auto key = flow_key_of(packet);
  if (auto* sa = tables.selectors->match(key); sa != nullptr) return sa;
  return interface_sa(tables, tables.routes->lookup(destination_of(packet), meta(packet).flow_hash).port, key);
}

// The SA, on its own worker; nullptr if the packet has left. While a packet crosses from one worker to another the
// tables may change and its SA be freed: the pointer counts only within the generation in which it was found.
outbound_sa* own_sa(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (m.generation != context.generation) {
    m.out_sa = find_sa(context.tables, packet);
    m.generation = context.generation;
    if (m.out_sa == nullptr) {
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
    if (sa != nullptr && wrap(context, packet, *sa, ops[count])) packets[count++] = packet;
  }
  context.crypto.encrypt(ops.first(count));
  for (std::size_t i = 0; i < count; ++i) {
    auto& m = meta(packets[i]);
    auto& sa = *m.out_sa;
    if (!ops[i].ok) {
      sa.counters.other_drops.add(1);
      context.drop(packets[i], drop_reason::esp_encryption_failed);
      continue;
    }
    sa.counters.last_used_ms.set(context.now_ms);
    if (sa.udp && sa.outer_v6) fill_udp6_checksum(rte_pktmbuf_mtod(packets[i], std::uint8_t*), m.ip_length);
    m.out_sa = nullptr;  // nothing behind this stage may hold on to the SA
    if (m.ip_length > m.size_limit)
      context.switch_path(packets[i], path_id::outer_cut, stage_id::esp_encapsulate);
    else
      context.go_on(packets[i], stage_id::esp_encapsulate);
  }
}

}  // namespace trunkgate
