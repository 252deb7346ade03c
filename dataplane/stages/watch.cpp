#include "dataplane/stages/watch.hpp"

#include <algorithm>

#include <rte_cycles.h>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/parse.hpp"
#include "dataplane/stages/context.hpp"

namespace trunkgate {
namespace {

std::span<const std::uint8_t> bytes_of(rte_mbuf* packet, std::uint32_t from) noexcept {
  const std::uint32_t size = rte_pktmbuf_data_len(packet);
  from = std::min(from, size);
  return {rte_pktmbuf_mtod_offset(packet, const std::uint8_t*, from), size - from};
}

bool on(const packet_meta& m, path_id path) noexcept { return m.path == static_cast<std::uint8_t>(path); }

// classify finds the port a moment later: until then the device's number stands in `egress`.
std::uint16_t port_of(const forwarding_tables& tables, rte_mbuf* frame) noexcept {
  const auto& m = meta(frame);
  if (on(m, path_id::from_box)) return box_index;
  std::uint16_t vlan = 0;
  const auto bytes = bytes_of(frame, 0);
  constexpr std::size_t tag_end = sizeof(ethernet_header) + sizeof(vlan_header);
  if (bytes.size() >= tag_end && (bytes[12] << 8 | bytes[13]) == ethertype_vlan)
    vlan = static_cast<std::uint16_t>((bytes[14] << 8 | bytes[15]) & 0xfff);
  for (std::uint16_t i = 0; i < port_limit; ++i) {
    const auto& port = tables.ports[i];
    if (port.present.load(std::memory_order_acquire) && port.device == m.egress && port.vlan == vlan) return i;
  }
  return no_port;
}

// The SA a packet is about to meet. Only where the stage itself may follow the pointer: SAs come and go.
void name_sa(const stage_context& context, stage_id stage, const packet_meta& m, watch_record& record) noexcept {
  if (on(m, path_id::inbound_esp) && stage != stage_id::policy && m.in_sa != nullptr) {
    record.sa = watch_sa::in;
    record.spi = m.in_sa->record.spi;
  }
  const bool behind_policy =
      stage == stage_id::mss_clamp || stage == stage_id::fragment || stage == stage_id::esp_encapsulate;
  if (behind_policy && on(m, path_id::outbound) && m.generation == context.generation && m.out_sa != nullptr) {
    record.sa = watch_sa::out;
    record.spi = m.out_sa->spi.host();
  }
}

// Whether the packet is what a tunnel carries, in clear: out of one, or on its way into one.
bool is_inner(const packet_meta& m, stage_id stage) noexcept {
  const bool encapsulated = on(m, path_id::outbound) && (stage == stage_id::forward || stage == stage_id::tx);
  return !encapsulated && (m.decrypted || m.out_sa != nullptr);
}

// How much of a dropped packet may be shown. In esp_decapsulate its payload may be decrypted, or half so, where it
// lies: that is neither what was on the wire nor anything authentic. The frame as it came has been captured already.
std::uint32_t showable(const packet_meta& m, stage_id stage) noexcept {
  if (stage != stage_id::esp_decapsulate || m.l2_length == 0) return UINT32_MAX;
  return m.l2_length + m.l4_offset + static_cast<std::uint32_t>(sizeof(esp_header)) +
         (m.in_udp ? static_cast<std::uint32_t>(sizeof(udp_header)) : 0);
}

}  // namespace

// A packet may carry an id of an earlier watch: it waited for a neighbour meanwhile.
bool worker_watch::watched(const packet_meta& m) const noexcept {
  if (m.trace_id == 0) return false;
  if (plan_.capture) return m.trace_id == plan_.first_id;
  const std::uint32_t n = (m.trace_id + watch_plan::ids - plan_.first_id) % watch_plan::ids;
  return n < std::min(plan_.begun.load(std::memory_order_relaxed), plan_.limit);
}

watch_record* worker_watch::note(const stage_context& context, watch_event event, rte_mbuf* packet,
                                 std::uint64_t tsc) noexcept {
  auto* record = ring.stage();
  if (record == nullptr) return nullptr;
  const auto& m = meta(packet);
  *record = watch_record{};
  record->tsc = tsc;
  record->event = event;
  record->trace_id = m.trace_id;
  record->path = m.path;
  record->worker = context.worker;
  record->ingress = m.ingress;
  record->egress = m.egress;
  record->length = rte_pktmbuf_pkt_len(packet);
  return record;
}

void worker_watch::copy(watch_record* record, rte_mbuf* packet, std::uint32_t skipped,
                        std::uint32_t limit) const noexcept {
  const std::uint32_t whole = rte_pktmbuf_pkt_len(packet);
  skipped = std::min(skipped, whole);
  record->length = whole - skipped;
  const std::uint32_t wanted = std::min({record->length, ring.captured(), limit});
  auto* into = watch_ring::bytes_of(record);
  for (const auto* part = packet; part != nullptr && record->captured < wanted; part = part->next) {
    const std::uint32_t size = rte_pktmbuf_data_len(part);
    const std::uint32_t from = std::min(skipped, size);
    skipped -= from;
    const std::uint32_t count = std::min(size - from, wanted - record->captured);
    std::memcpy(into + record->captured, rte_pktmbuf_mtod_offset(part, const std::uint8_t*, from), count);
    record->captured += count;
  }
}

// The headline of a traced packet. parse_ip works on a copy: it has not been the packet's turn yet.
void worker_watch::note_begun(const stage_context& context, stage_id stage, rte_mbuf* packet) noexcept {
  auto* record = note(context, watch_event::begun, packet, stage == stage_id::classify ? context.now_tsc : rte_rdtsc());
  if (record == nullptr) return;
  record->stage = stage;
  packet_meta parsed = meta(packet);
  std::span<const std::uint8_t> ip;
  if (stage == stage_id::classify) {
    record->ingress = port_of(context.tables, packet);
    record->egress = no_port;
    const auto frame = bytes_of(packet, 0);
    const std::size_t tag = frame.size() >= sizeof(ethernet_header) && (frame[12] << 8 | frame[13]) == ethertype_vlan;
    ip = bytes_of(packet, static_cast<std::uint32_t>(sizeof(ethernet_header) + tag * sizeof(vlan_header)));
  } else {
    ip = bytes_of(packet, parsed.l2_length);
  }
  if (const auto addresses = addresses_of_ip(ip)) {
    record->addresses = *addresses;
    (void)parse_ip(ip, parsed, true);  // as far as it comes
    record->ip_version = static_cast<std::uint8_t>(ip[0] >> 4);
    record->protocol = parsed.protocol != 0 ? parsed.protocol : record->ip_version == 4 ? ip[9] : ip[6];
    record->has_ports = parsed.has_ports;
    record->source_port = parsed.source_port;
    record->destination_port = parsed.destination_port;
  }
  ring.publish(1);
}

namespace {

// What the packet was dropped for before it became this error.
drop_reason reason_of(icmp_error_kind kind) noexcept {
  switch (kind) {
    case icmp_error_kind::too_big: return drop_reason::packet_too_big;
    case icmp_error_kind::no_route: return drop_reason::no_route;
    case icmp_error_kind::unreachable: return drop_reason::route_unreachable;
    default: return drop_reason::hop_limit_expired;
  }
}

}  // namespace

void worker_watch::note_entered(const stage_context& context, stage_id stage, rte_mbuf* packet,
                                std::uint64_t tsc) noexcept {
  const auto& m = meta(packet);
  if (stage == stage_id::forward && m.wait_started_ms != 0) return;  // it asks again each millisecond
  auto* record = note(context, watch_event::entered, packet, tsc);
  if (record == nullptr) return;
  record->stage = stage;
  name_sa(context, stage, m, *record);
  if (stage != stage_id::classify) {
    record->protocol = m.protocol;
    record->ip_version = m.ip_version;
    if (on(m, path_id::errors)) {
      record->drop = reason_of(static_cast<icmp_error_kind>(m.error));
      record->error_mtu = m.size_limit;
    }
    if (const auto addresses = addresses_of_ip(bytes_of(packet, m.l2_length))) record->addresses = *addresses;
  } else {
    record->ingress = record->egress = no_port;
  }
  ring.publish(1);
}

void worker_watch::capture_inner(const stage_context& context, stage_id stage, rte_mbuf* packet,
                                 std::uint64_t tsc) noexcept {
  const auto& m = meta(packet);
  const bool out = stage == stage_id::esp_encapsulate;
  // On its own worker: else it is handed over first and comes by here again.
  if (out && (m.generation != context.generation || m.out_sa == nullptr || m.out_sa->owner != context.worker)) return;
  auto* record = note(context, out ? watch_event::inner_out : watch_event::inner_in, packet, tsc);
  if (record == nullptr) return;
  record->stage = stage;
  name_sa(context, stage, m, *record);
  copy(record, packet, m.l2_length);
  ring.publish(1);
}

// The filter, where a packet is seen the first time and where ESP has given its inner addresses away.
bool worker_watch::begin(const stage_context& context, stage_id stage, rte_mbuf* packet) noexcept {
  const bool frame = stage == stage_id::classify;
  if (!frame && stage != stage_id::verify_selectors) return false;
  if (plan_.filter.count != 0) {
    const auto bytes = bytes_of(packet, frame ? 0 : meta(packet).l2_length);
    const auto addresses = frame ? addresses_of_frame(bytes) : addresses_of_ip(bytes);
    if (!addresses || !plan_.filter.matches(*addresses)) return false;
  }
  auto& m = meta(packet);
  if (!plan_.capture) {
    if (plan_.begun.load(std::memory_order_relaxed) >= plan_.limit) return false;
    const auto n = plan_.begun.fetch_add(1, std::memory_order_relaxed);
    if (n >= plan_.limit) return false;
    m.trace_id = plan_.id(n);
    note_begun(context, stage, packet);
    return true;
  }
  m.trace_id = plan_.first_id;
  if (!frame || !plan_.wire || on(m, path_id::from_box)) return true;
  if (auto* record = note(context, watch_event::frame_in, packet, context.now_tsc); record != nullptr) {
    record->ingress = port_of(context.tables, packet);
    record->framed = true;
    copy(record, packet, 0);
    ring.publish(1);
  }
  return true;
}

void worker_watch::entered(const stage_context& context, stage_id stage, std::span<rte_mbuf* const> burst) noexcept {
  const std::uint64_t tsc = rte_rdtsc();
  stage_ = stage;
  for (auto* packet : burst) {
    if (!watched(meta(packet)) && !begin(context, stage, packet)) continue;
    if (!plan_.capture)
      note_entered(context, stage, packet, tsc);
    else if (plan_.inner && (stage == stage_id::esp_encapsulate || stage == stage_id::verify_selectors))
      capture_inner(context, stage, packet, tsc);
  }
}

void worker_watch::dropped(const stage_context& context, rte_mbuf* packet, drop_reason reason) noexcept {
  const auto& m = meta(packet);
  if (!watched(m)) return;
  const bool inner = is_inner(m, stage_);
  if (plan_.capture && !(inner ? plan_.inner : plan_.wire)) return;
  auto* record = note(context, watch_event::dropped, packet, rte_rdtsc());
  if (record == nullptr) return;
  record->drop = reason;
  record->stage = stage_;
  record->inner = inner;
  // As long as no stage has taken the frame header off, the frame is whole; in classify nobody has measured it yet.
  record->framed = m.l2_length != 0 || m.ip_length == 0;
  if (plan_.capture) copy(record, packet, 0, showable(m, stage_));
  ring.publish(1);
}

void worker_watch::leaving(const stage_context& context, watch_event event,
                           std::span<rte_mbuf* const> packets) noexcept {
  if (plan_.capture && (event != watch_event::sent || !plan_.wire)) return;
  const std::uint64_t now = rte_rdtsc();
  for (std::size_t i = 0; i < packets.size(); ++i) {
    if (!watched(meta(packets[i]))) continue;
    auto* record = note(context, plan_.capture ? watch_event::frame_out : event, packets[i], now);
    if (record == nullptr) continue;
    record->position = static_cast<std::uint16_t>(i);
    record->framed = true;
    if (plan_.capture) copy(record, packets[i], 0);
  }
}

void worker_watch::left(std::size_t taken) noexcept {
  const std::uint64_t tsc = rte_rdtsc();
  std::uint32_t shown = 0;
  // A trace tells when the device has it; a capture when it left, or an answer could seem to have come before.
  for (; shown < ring.staged_count() && ring.staged(shown)->position < taken; ++shown)
    if (!plan_.capture) ring.staged(shown)->tsc = tsc;
  ring.publish(shown);
}

}  // namespace trunkgate
