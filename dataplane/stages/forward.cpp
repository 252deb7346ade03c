// forward: the frame around the packet: next hop's and our own MAC, VLAN tag.
#include <utility>

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/inbound_lookup.hpp"

namespace trunkgate {
namespace {

constexpr std::uint32_t wait_limit_ms = 1500;  // the kernel asks three times, a second apart at most
constexpr std::size_t waiting_limit = 64;      // packets of one worker
constexpr std::uint64_t failed_retry_ms = 100;

struct frame_header {
  std::array<std::uint8_t, sizeof(ethernet_header) + sizeof(vlan_header)> bytes;
  std::uint16_t length = 0;
};

frame_header header_for(const port_entry& port, const std::array<std::uint8_t, 6>& destination,
                        std::uint8_t ip_version) noexcept {
  const be16 ethertype(ip_version == 0 ? ethertype_arp : ip_version == 4 ? ethertype_ipv4 : ethertype_ipv6);
  frame_header made;
  auto* header = reinterpret_cast<ethernet_header*>(made.bytes.data());  // alignment 1
  header->destination = destination;
  header->source = port.mac;
  header->ethertype = port.vlan != 0 ? be16(ethertype_vlan) : ethertype;
  const vlan_header tag{be16(port.vlan), ethertype};
  std::memcpy(made.bytes.data() + sizeof *header, &tag, sizeof tag);
  made.length = sizeof *header + (port.vlan != 0 ? sizeof tag : 0);
  return made;
}

// Writes the frame header in front of the IP header, in place of what was there. False: no headroom.
bool write_frame(rte_mbuf* packet, const frame_header& header) noexcept {
  auto& m = meta(packet);
  rte_pktmbuf_adj(packet, m.l2_length);
  auto* at = rte_pktmbuf_prepend(packet, header.length);
  if (at == nullptr) return false;
  // Sizes that the compiler knows.
  if (header.length == sizeof(ethernet_header))
    std::memcpy(at, header.bytes.data(), sizeof(ethernet_header));
  else
    std::memcpy(at, header.bytes.data(), sizeof header.bytes);
  m.l2_length = header.length;
  return true;
}

std::array<std::uint8_t, 6> mac_of(std::uint64_t mac_and_state) noexcept {
  std::array<std::uint8_t, 6> mac;
  std::memcpy(mac.data(), &mac_and_state, mac.size());  // first byte lowest
  return mac;
}

void ask_for(stage_context& context, const ip_address& address, std::uint16_t port) noexcept {
  (void)context.outlets.resolve(context.outlets.pipeline, {.address = address, .port = port});
}

// Only what goes through in clear has a sender to tell: ESP is our own, and errors are not answered by errors.
void lose(stage_context& context, rte_mbuf* packet, drop_reason reason) noexcept {
  if (meta(packet).path == static_cast<std::uint8_t>(path_id::bypass)) return context.answer_error(packet, reason);
  context.drop(packet, reason);
}

// No MAC yet: the packet waits in a small queue while the kernel asks for it.
void wait_for_neighbour(stage_context& context, rte_mbuf* packet, const ip_address& next_hop, bool failed) noexcept {
  auto& m = meta(packet);
  const auto now = static_cast<std::uint32_t>(context.now_ms) | 1u;  // 0 means: not waiting
  if (failed) {
    // The kernel gave up: ask again, but this packet is lost.
    if (context.now_ms - context.last_resolve_ms >= failed_retry_ms) {
      context.last_resolve_ms = context.now_ms;
      ask_for(context, next_hop, m.egress);
    }
    return lose(context, packet, drop_reason::neighbour_unresolved);
  }
  if (m.wait_started_ms == 0) {
    if (context.waiting.count >= waiting_limit) return context.drop(packet, drop_reason::neighbour_queue_full);
    m.wait_started_ms = now;
    ask_for(context, next_hop, m.egress);
  } else if (now - m.wait_started_ms > wait_limit_ms) {
    return lose(context, packet, drop_reason::neighbour_unresolved);
  }
  context.waiting.packets[context.waiting.count++] = packet;
}

// The adjacency, found now if policy could not know it. nullptr: the packet has been dealt with.
adjacency* find_next_hop(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (m.next_hop != nullptr) return m.next_hop;
  const auto destination = destination_of(packet);
  const auto way = context.tables.routes->lookup(destination, m.flow_hash);
  if (is_tunnel_port(way.port)) {  // what is not encrypted yet never comes here: this is ESP, or an ICMP error
    const bool error = m.path == static_cast<std::uint8_t>(path_id::errors);
    context.drop(packet, error ? drop_reason::icmp_error_suppressed : drop_reason::peer_behind_tunnel);
    return nullptr;
  }
  m.egress = way.port;
  switch (way.verdict) {
    case route_verdict::forward: return m.next_hop = way.next_hop;
    case route_verdict::unresolved: wait_for_neighbour(context, packet, destination, false); return nullptr;
    case route_verdict::unreachable: lose(context, packet, drop_reason::route_unreachable); return nullptr;
    default: lose(context, packet, drop_reason::no_route); return nullptr;
  }
}

void frame_for(stage_context& context, rte_mbuf* packet, const std::array<std::uint8_t, 6>& destination) noexcept {
  const auto& port = context.tables.ports[meta(packet).egress];
  if (!port.up.load(std::memory_order_relaxed)) return context.drop(packet, drop_reason::port_down);
  if (!write_frame(packet, header_for(port, destination, meta(packet).ip_version)))
    return context.drop(packet, drop_reason::packet_too_big);
  context.go_on(packet, stage_id::forward);
}

bool waits_for(rte_mbuf* packet, const adjacency& hop) noexcept {
  const auto& m = meta(packet);
  if (m.next_hop != nullptr) return m.next_hop == &hop;
  return m.egress == hop.port && destination_of(packet) == hop.address;
}

// What waited for this neighbour goes before what found it known: no packet of a flow or an SA overtakes another.
void release_waiting(stage_context& context, const adjacency& hop,
                     const std::array<std::uint8_t, 6>& destination) noexcept {
  auto& waiting = context.waiting;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < waiting.count; ++i) {
    auto* packet = waiting.packets[i];
    if (!waits_for(packet, hop)) {
      waiting.packets[kept++] = packet;
      continue;
    }
    meta(packet).egress = hop.port;
    frame_for(context, packet, destination);
  }
  waiting.count = kept;
}

void forward_one(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  std::array<std::uint8_t, 6> destination;
  if (m.path == static_cast<std::uint8_t>(path_id::from_box)) {
    destination = rte_pktmbuf_mtod(packet, const ethernet_header*)->destination;  // the kernel has chosen
  } else {
    auto* hop = find_next_hop(context, packet);
    if (hop == nullptr) return;
    const std::uint64_t state = hop->mac_and_state.load(std::memory_order_acquire);
    if ((state & adjacency::usable_bit) == 0)
      return wait_for_neighbour(context, packet, hop->address, (state & adjacency::failed_bit) != 0);
    if (hop->used.load(std::memory_order_relaxed) == 0) hop->used.store(1, std::memory_order_relaxed);
    destination = mac_of(state);
    m.egress = hop->port;
    if (context.waiting.count != 0) release_waiting(context, *hop, destination);
  }
  frame_for(context, packet, destination);
}

// Packets that came earlier go first when their next hop has answered meanwhile.
void forward_waiting(stage_context& context) noexcept {
  const std::size_t count = std::exchange(context.waiting.count, 0);
  for (std::size_t i = 0; i < count; ++i) forward_one(context, context.waiting.packets[i]);
}

// The last next hop's frame header: the packets of a burst often go the same way. A change of the neighbour or the port
// counts from the next burst on.
struct last_way {
  const adjacency* hop = nullptr;
  std::uint8_t ip_version = 0;
  std::uint16_t egress = no_port;
  frame_header header{};
};

bool is_same_way(const last_way& last, const packet_meta& m) noexcept {
  return m.next_hop != nullptr && m.next_hop == last.hop && m.ip_version == last.ip_version &&
         m.path != static_cast<std::uint8_t>(path_id::from_box);
}

// As forward_one() went with this packet, if it did.
void remember(const stage_context& context, const adjacency& hop, std::uint8_t ip_version, last_way& last) noexcept {
  const std::uint64_t state = hop.mac_and_state.load(std::memory_order_acquire);
  const auto& port = context.tables.ports[hop.port];
  if ((state & adjacency::usable_bit) == 0 || !port.up.load(std::memory_order_relaxed)) return;
  last = {
      .hop = &hop, .ip_version = ip_version, .egress = hop.port, .header = header_for(port, mac_of(state), ip_version)};
}

}  // namespace

void forward(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  if (context.waiting.count != 0) forward_waiting(context);
  last_way last;
  for (auto* packet : burst) {
    auto& m = meta(packet);
    if (!is_same_way(last, m) || context.waiting.count != 0) {
      const auto* hop = m.path == static_cast<std::uint8_t>(path_id::from_box) ? nullptr : m.next_hop;
      const std::uint8_t ip_version = m.ip_version;
      forward_one(context, packet);
      if (hop != nullptr) remember(context, *hop, ip_version, last);
      continue;
    }
    m.egress = last.egress;
    if (write_frame(packet, last.header))
      context.go_on(packet, stage_id::forward);
    else
      context.drop(packet, drop_reason::packet_too_big);
  }
}

}  // namespace trunkgate
