// esp_decapsulate: RFC 4303 3.4: sequence check, authentication, decryption, and the inner packet out of its padding.
#include <algorithm>
#include <bit>
#include <optional>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/parse.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/inbound_lookup.hpp"
#include "dataplane/stages/tell.hpp"
#include "dataplane/stages/transport_mode.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t pass_limit = 3;  // ESP inside ESP inside ESP is followed, no deeper

struct pending {
  rte_mbuf* packet;
  std::uint64_t sequence;
};

std::uint32_t esp_offset(const packet_meta& m) noexcept {
  return m.l4_offset + (m.in_udp ? static_cast<std::uint32_t>(sizeof(udp_header)) : 0);
}

// Everything that can be said before the key is used. Fills `op` and `sequence`.
drop_reason prepare(const inbound_sa& sa, rte_mbuf* packet, esp_op& op, std::uint64_t& sequence) noexcept {
  const auto& m = meta(packet);
  if (const auto expired = sa.lifetime.expired(); expired != api::sa_limit::none) return reason_of(expired);
  if (m.in_udp != sa.udp) return drop_reason::esp_wrong_encapsulation;
  // A NAT may rewrite the source of encapsulated ESP; without one it is the peer's address.
  if (!sa.udp && !comes_from(packet, sa.remote)) return drop_reason::esp_wrong_endpoint;
  std::uint32_t size = m.ip_length - esp_offset(m);
  if (m.in_udp) {  // ESP ends where UDP says
    be16 udp_length;
    std::memcpy(&udp_length, ip_header(packet) + m.l4_offset + 4, 2);
    size = udp_length.host() - static_cast<std::uint32_t>(sizeof(udp_header));
  }
  const std::uint32_t fixed = static_cast<std::uint32_t>(sizeof(esp_header)) + sa.iv + sa.icv;
  if (size < fixed + 4) return drop_reason::esp_truncated;  // at least pad length and next header, 4-aligned (2.4)
  op.esp = ip_header(packet) + esp_offset(m);
  op.payload_length = size - fixed;
  if ((op.payload_length & (sa.block - 1u)) != 0) return drop_reason::esp_bad_length;
  be32 wire;
  std::memcpy(&wire, op.esp + 4, sizeof wire);
  const std::uint32_t low = wire.host();
  if (sa.esn) {
    const auto inferred = sa.window.infer(low);
    if (!inferred) return drop_reason::esp_replayed;
    sequence = *inferred;
  } else {
    sequence = low;
  }
  if (sequence == 0) return drop_reason::esp_sequence_zero;
  if (!sa.window.check(sequence)) return drop_reason::esp_replayed;
  op.sequence_high = static_cast<std::uint32_t>(sequence >> 32);
  op.key = sa.key;
  return drop_reason::none;
}

// RFC 4303 2.4: the padding counts 1, 2, 3, ... Gives the payload's length without trailer; nothing if it is wrong.
std::optional<std::uint32_t> strip_trailer(const std::uint8_t* payload, std::uint32_t length,
                                           std::uint8_t& next_header) noexcept {
  const std::uint32_t pad = payload[length - 2];
  next_header = payload[length - 1];
  if (pad + 2 > length) return std::nullopt;
  const std::uint8_t* padding = payload + length - 2 - pad;
  for (std::uint32_t i = 0; i < pad; ++i)
    if (padding[i] != i + 1) return std::nullopt;
  return length - 2 - pad;
}

// RFC 6040 4.2, the outer header's congestion mark: `inner` is changed; false if the packet must go.
bool merge_ecn(std::uint8_t* inner, std::uint8_t outer_class) noexcept {
  constexpr std::uint8_t ect1 = 1, ce = 3;
  const std::uint8_t outer = outer_class & 3;
  const bool v4 = inner[0] >> 4 == 4;
  const std::uint8_t own = v4 ? inner[1] & 3 : (inner[1] >> 4) & 3;
  if (outer == ce && own == 0) return false;
  const bool set = (outer == ce && own != ce) || (outer == ect1 && own == 2);
  if (!set) return true;
  if (v4) {
    auto* ip = reinterpret_cast<ipv4_header*>(inner);
    const auto before = static_cast<std::uint16_t>(inner[0] << 8 | inner[1]);
    inner[1] = static_cast<std::uint8_t>((inner[1] & ~3) | outer);
    ip->checksum = checksum_update(ip->checksum, before, static_cast<std::uint16_t>(inner[0] << 8 | inner[1]));
  } else {
    inner[1] = static_cast<std::uint8_t>((inner[1] & ~0x30) | outer << 4);
  }
  return true;
}

// Cuts the packet to `length` bytes from `from` on, which are an IP packet, and parses it for its next pass.
[[gnu::always_inline]] inline drop_reason start_next_pass(rte_mbuf* packet, const std::uint8_t* from,
                                                          std::uint32_t length) noexcept {
  auto& m = meta(packet);
  rte_pktmbuf_adj(packet, static_cast<std::uint16_t>(from - rte_pktmbuf_mtod(packet, std::uint8_t*)));
  rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(rte_pktmbuf_data_len(packet) - length));
  m.l2_length = 0;
  m.decrypted = true;
  m.in_udp = false;
  packet->ol_flags = 0;
  if (++m.passes >= pass_limit) return drop_reason::too_many_passes;
  return parse_ip({from, length}, m, false);
}

// Transport mode: what was protected goes back behind the headers it came with.
[[gnu::noinline]] drop_reason unwrap_transport(rte_mbuf* packet, std::uint8_t* payload, std::uint32_t length,
                                               std::uint8_t next_header) noexcept {
  const auto& m = meta(packet);
  const bool in_udp = m.in_udp;
  const auto place = place_of_esp(ip_header(packet), m.ip_version, m.l4_offset);
  if (place.offset == 0) return drop_reason::ipv6_bad_extension;
  auto* ip = payload - place.offset;
  std::memmove(ip, ip_header(packet), place.offset);
  rewrite_headers(ip, m.ip_version, place, next_header, place.offset + length);
  if (const auto wrong = start_next_pass(packet, ip, place.offset + length); wrong != drop_reason::none) return wrong;
  if (in_udp) renew_transport_checksum(packet);
  return drop_reason::none;
}

// The packet becomes its inner packet.
drop_reason unwrap(rte_mbuf* packet, const inbound_sa& sa, const esp_op& op) noexcept {
  const auto& m = meta(packet);
  std::uint8_t next_header = 0;
  std::uint8_t* payload = op.esp + sizeof(esp_header) + sa.iv;
  const auto stripped = strip_trailer(payload, op.payload_length, next_header);
  if (next_header == protocol_none) return drop_reason::esp_dummy;
  if (!stripped) return drop_reason::esp_bad_padding;
  const std::uint32_t length = *stripped;
  if (sa.transport) return unwrap_transport(packet, payload, length, next_header);
  if (next_header != protocol_ipv4 && next_header != protocol_ipv6) return drop_reason::esp_bad_next_header;
  const std::uint8_t outer_class = m.traffic_class;
  if (const auto wrong = start_next_pass(packet, payload, length); wrong != drop_reason::none) return wrong;
  if ((m.ip_version == 4) != (next_header == protocol_ipv4)) return drop_reason::ip_bad_version;
  // The peer may have padded behind the packet (RFC 4303 2.7).
  if (length > m.ip_length) rte_pktmbuf_trim(packet, static_cast<std::uint16_t>(length - m.ip_length));
  return merge_ecn(payload, outer_class) ? drop_reason::none : drop_reason::ecn_congestion_lost;
}

bool peer_is_elsewhere(const inbound_sa& sa, rte_mbuf* packet) noexcept {
  return sa.udp && (meta(packet).source_port != sa.record.remote_port || !comes_from(packet, sa.remote));
}

void finish(stage_context& context, const pending& p, const esp_op& op) noexcept {
  auto& sa = *meta(p.packet).in_sa;
  if (!op.ok) return context.drop(p.packet, sa.counters, drop_reason::esp_integrity_failed);
  // Asked again: a copy may have stood earlier in this very burst.
  if (!sa.window.check(p.sequence)) return context.drop(p.packet, sa.counters, drop_reason::esp_replayed);
  if (sa.window.accept(p.sequence)) {
    sa.slot->highest_accepted.store(p.sequence, std::memory_order_relaxed);
    // Only now: what is replayed or late may come from where the peer was, or from who recorded it (RFC 7296 2.23).
    if (sa.follow_peer && peer_is_elsewhere(sa, p.packet)) [[unlikely]]
      tell_peer_moved(context, sa, p.packet);
  }
  sa.counters.last_used_ms.set(context.now_ms);
  if (const auto wrong = unwrap(p.packet, sa, op); wrong != drop_reason::none)
    return context.drop(p.packet, sa.counters, wrong);
  context.go_on_to_selectors(p.packet, stage_id::esp_decapsulate);
}

// The SA, on its own worker; nullptr if the packet has left.
inbound_sa* own_sa(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (m.in_sa == nullptr) {  // from another worker, or just reassembled: the SA may have gone meanwhile
    const auto match = find_inbound(context.tables, packet);
    if (match.sa == nullptr) {
      drop_unmatched(context, packet, match.drop == drop_reason::none ? drop_reason::esp_unknown_spi : match.drop);
      return nullptr;
    }
    m.in_sa = match.sa;
  }
  if (m.in_sa->owner != context.worker) {
    const std::uint16_t owner = m.in_sa->owner;
    m.in_sa = nullptr;  // no pointer to an SA crosses workers
    context.hand_over(packet, owner, stage_id::esp_decapsulate);
    return nullptr;
  }
  return m.in_sa;
}

}  // namespace

void esp_decapsulate(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  burst_array<esp_op> ops;
  burst_array<pending> packets;
  std::size_t count = 0;
  for (auto* packet : burst) {
    auto* sa = own_sa(context, packet);
    if (sa == nullptr) continue;
    std::uint64_t sequence = 0;
    ops[count].ok = false;
    if (const auto wrong = prepare(*sa, packet, ops[count], sequence); wrong != drop_reason::none) {
      context.drop(packet, sa->counters, wrong);
      continue;
    }
    packets[count++] = {packet, sequence};
  }
  context.crypto.decrypt(ops.first(count));
  for (std::size_t i = 0; i < count; ++i) finish(context, packets[i], ops[i]);
}

}  // namespace trunkgate
