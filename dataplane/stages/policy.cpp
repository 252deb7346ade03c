// policy: the SPD's answer for each packet (RFC 4301 5.1, 5.2), from the flow cache or, once per flow, from the tables.
#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/flow.hpp"
#include "dataplane/stages/inbound_lookup.hpp"
#include "dataplane/stages/mss_clamp.hpp"
#include "dataplane/stages/quoted_flow.hpp"
#include "dataplane/stages/room.hpp"
#include "dataplane/stages/size_report.hpp"
#include "dataplane/stages/tell.hpp"
#include "dataplane/stages/tunnel_interface.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t no_path = static_cast<std::uint8_t>(path_id::count_);

flow_verdict discard(drop_reason reason) noexcept { return {.path = no_path, .drop = reason}; }
// Must be protected, and no SA is there.
flow_verdict unprotected(trap* demanded) noexcept {
  return {.path = no_path, .drop = drop_reason::no_sa, .demanded = demanded};
}
flow_verdict take(path_id path, std::uint16_t egress, adjacency* next_hop) noexcept {
  return {.path = static_cast<std::uint8_t>(path), .egress = egress, .next_hop = next_hop};
}

// What IPv6 needs on a link. Solicitations and advertisements of neighbours never cross a router, so their hop limit is
// still 255 (RFC 4861 7.1); our own multicast listener reports let switches pass them on (RFC 3810 5.2.13).
bool is_neighbour_discovery(const packet_meta& m, std::uint8_t type, std::uint8_t hop_limit) noexcept {
  constexpr std::uint8_t solicitation = 135, advertisement = 136, report = 131, done = 132, report_v2 = 143;
  if (hop_limit == 255) return type == solicitation || type == advertisement;
  return m.ingress == box_index && hop_limit == 1 && (type == report || type == done || type == report_v2);
}

// ICMP whose verdict is not that of the other packets of its addresses.
special_packet special_of(const forwarding_tables& tables, rte_mbuf* packet, const packet_meta& m) noexcept {
  const bool v6 = m.protocol == protocol_icmpv6 && m.ip_version == 6;
  if ((!v6 && m.protocol != protocol_icmp) || m.fragment) return special_packet::none;
  constexpr std::uint8_t redirect_v4 = 5, router_advertisement = 134, redirect_v6 = 137;
  const auto* ip = ip_header(packet);
  const std::uint8_t type = ip[m.l4_offset];
  if (v6 ? type == router_advertisement || type == redirect_v6 : type == redirect_v4)
    return special_packet::route_change;
  if (read_size_report(tables, packet)) return special_packet::size_report;
  return v6 && is_neighbour_discovery(m, type, ip[7]) ? special_packet::neighbour_discovery : special_packet::none;
}

// What the packet alone does not say; true if that changed its key.
bool make_special(const forwarding_tables& tables, rte_mbuf* packet, flow_key& key) noexcept {
  const auto& m = meta(packet);
  const auto special = special_of(tables, packet, m);
  if (m.ingress != box_index && special == special_packet::none) return false;
  key.egress = m.ingress == box_index ? m.egress : std::uint16_t{0};
  key.special = special;
  return true;
}

// Of the box's own port; a NAT may have given the peer any other (RFC 7296 2.23). Through 4500 comes and goes what has
// the non-ESP marker, and keep-alives go: ESP there was classify's.
bool is_ike(const flow_key& key, std::uint16_t own_port) noexcept {
  return key.protocol == protocol_udp && key.has_ports != 0 && (own_port == port_ike || own_port == port_nat_traversal);
}

// To be protected by `sa`: the way out is the way to the peer.
flow_verdict protect_with(stage_context& context, const flow_key& key, outbound_sa* sa) noexcept {
  // Transport mode is for what the box itself sends (RFC 4301 4.1): nobody else has its address.
  if (sa->transport && key.ingress != box_index) return discard(drop_reason::ip_martian_source);
  const auto way = context.tables.routes->lookup(sa->record.remote, sa->record.spi);
  if (is_tunnel_port(way.port)) return discard(drop_reason::peer_behind_tunnel);
  switch (way.verdict) {
    case route_verdict::forward:
    case route_verdict::unresolved: break;
    case route_verdict::unreachable: return discard(drop_reason::route_unreachable);
    default: return discard(drop_reason::no_route);
  }
  auto verdict = take(path_id::outbound, way.port, way.next_hop);
  verdict.sa = sa;
  return verdict;
}

// By an SA's selectors, or dropped by a trap's; nothing where no selectors hold it.
std::optional<flow_verdict> by_selectors(stage_context& context, const flow_key& key) noexcept {
  const auto found = context.tables.selectors->find(key, context.worker);
  if (found.sa != nullptr) return protect_with(context, key, found.sa);
  if (found.demanded != nullptr) return unprotected(found.demanded);
  return std::nullopt;
}

// RFC 4301 6.1: an ICMP error of a host or router behind us, whose own address no tunnel carries, goes with the traffic
// that it answers. It must come from where the quoted packet was going: otherwise anybody outside could have us sign
// it.
outbound_sa* sa_by_quote(stage_context& context, rte_mbuf* packet, const flow_key& key) noexcept {
  if (!is_icmp_error(key)) return nullptr;
  const auto flow = answered_flow(packet);
  if (!flow) return nullptr;
  const auto& m = meta(packet);
  if (!m.decrypted && m.ingress != box_index) {
    const auto behind = ip_address::from_bytes(flow->family, flow->source.data());
    if (context.tables.routes->lookup(behind, 0).port != m.ingress) return nullptr;
  }
  return context.tables.selectors->match(*flow);
}

// Into the interface of a tunnel: by its SA or not at all.
flow_verdict through_interface(stage_context& context, const flow_key& key, std::uint16_t port) noexcept {
  const auto found = by_interface(context.tables, port, key, context.worker);
  return found.sa == nullptr ? unprotected(found.demanded) : protect_with(context, key, found.sa);
}

// A rule's or the default's answer where nothing demands protection but, perhaps, the interface that the route names.
flow_verdict pass(stage_context& context, const flow_key& key, const route_result& way, path_id path) noexcept {
  if (path != path_id::to_box && is_tunnel_port(way.port)) return through_interface(context, key, way.port);
  if (path != path_id::bypass) return take(path, way.port, nullptr);
  switch (way.verdict) {
    case route_verdict::forward:
    case route_verdict::unresolved: return take(path_id::bypass, way.port, way.next_hop);
    case route_verdict::unreachable: return discard(drop_reason::route_unreachable);
    case route_verdict::multicast: return discard(drop_reason::ip_multicast);
    default: return discard(drop_reason::no_route);
  }
}

// The first of the operator's rules that matches, or nullptr. `path`: where bypass leads.
const operator_rules::rule* find_rule(const forwarding_tables& tables, const flow_key& key, const route_result& way,
                                      path_id path) noexcept {
  const auto* rules = tables.rules.load(std::memory_order_acquire);
  const auto* rule = rules == nullptr ? nullptr : rules->match(key, path == path_id::to_box ? box_index : way.port);
  if (rule != nullptr) rule->flows->add(1);
  return rule;
}

// The ordered SPD: the operator's rules, then the selectors of SAs and traps, then the interface that the route names,
// then discard.
flow_verdict ask_spd(stage_context& context, rte_mbuf* packet, const flow_key& key, const route_result& way,
                     path_id path) noexcept {
  const auto& tables = context.tables;
  const auto* rule = find_rule(tables, key, way, path);
  if (rule != nullptr) {
    if (rule->record.action == api::policy_action::discard) return discard(drop_reason::policy_discard);
    if (rule->record.action == api::policy_action::bypass) return pass(context, key, way, path);
  }
  if (const auto verdict = by_selectors(context, key)) return *verdict;
  if (auto* sa = sa_by_quote(context, packet, key); sa != nullptr) return protect_with(context, key, sa);
  if (rule != nullptr)
    return path == path_id::to_box ? discard(drop_reason::no_sa) : through_interface(context, key, way.port);
  // In clear, although the tunnel's other end would have had to protect it.
  if (tables.selectors->find(key.reversed()).needed()) return discard(drop_reason::cleartext_must_be_protected);
  if (path != path_id::to_box && is_tunnel_port(way.port)) return through_interface(context, key, way.port);
  // Where no way leads out, no rule could name the port.
  if (path == path_id::bypass && way.verdict == route_verdict::none) return discard(drop_reason::no_route);
  if (path == path_id::bypass && way.verdict == route_verdict::unreachable)
    return discard(drop_reason::route_unreachable);
  return discard(drop_reason::no_policy);
}

// From the kernel: it has chosen port and neighbour already.
flow_verdict decide_from_box(stage_context& context, rte_mbuf* packet, const flow_key& key) noexcept {
  const route_result way{.verdict = route_verdict::forward, .port = key.egress};
  if (!is_tunnel_port(key.egress) &&
      (key.special == special_packet::neighbour_discovery || is_ike(key, key.source_port)))
    return pass(context, key, way, path_id::from_box);
  return ask_spd(context, packet, key, way, path_id::from_box);
}

// Out of a tunnel: its selectors were the policy. It goes to the box, into another tunnel, or on in clear on this side.
flow_verdict decide_decrypted(stage_context& context, rte_mbuf* packet, const flow_key& key,
                              const route_result& way) noexcept {
  if (way.verdict == route_verdict::local) return take(path_id::to_box, box_index, nullptr);
  if (const auto verdict = by_selectors(context, key)) return *verdict;
  if (auto* sa = sa_by_quote(context, packet, key); sa != nullptr) return protect_with(context, key, sa);
  return pass(context, key, way, path_id::bypass);
}

// Whether `port` is the tunnel's unprotected side (RFC 4301 3.1): where its ESP goes out. Where that is not known it
// may be.
bool is_unprotected_side(const forwarding_tables& tables, std::uint16_t interface, std::uint16_t port) noexcept {
  const auto* sa = tables.ports[interface].sa.load(std::memory_order_acquire);
  return sa == nullptr || tables.routes->lookup(sa->record.remote, sa->record.spi).port == port;
}

// Out of a tunnel with an interface: its selectors are any-any and judge nothing, so the operator's rules do, as on any
// port; what none of them names passes, but not in clear to where the tunnel's ESP comes from
// (docs/decisions/0011-route-based-tunnels.md).
flow_verdict decide_from_interface(stage_context& context, const flow_key& key, const route_result& way,
                                   path_id path) noexcept {
  const auto& tables = context.tables;
  const auto* rule = find_rule(tables, key, way, path);
  if (rule != nullptr && rule->record.action == api::policy_action::discard)
    return discard(drop_reason::policy_discard);
  // A peer may not speak for the networks of another tunnel.
  if (rule == nullptr && tables.selectors->find(key.reversed()).needed())
    return discard(drop_reason::cleartext_must_be_protected);
  if (path == path_id::to_box || (rule != nullptr && rule->record.action == api::policy_action::bypass))
    return pass(context, key, way, path);
  if (const auto verdict = by_selectors(context, key)) return *verdict;
  if (rule != nullptr) return through_interface(context, key, way.port);
  const bool leads_out = way.verdict == route_verdict::forward || way.verdict == route_verdict::unresolved;
  if (leads_out && is_unprotected_side(tables, key.ingress, way.port)) return discard(drop_reason::no_policy);
  return pass(context, key, way, path);
}

flow_verdict decide(stage_context& context, rte_mbuf* packet, const flow_key& key, std::uint32_t hash) noexcept {
  const auto& m = meta(packet);
  if (m.ingress == box_index) return decide_from_box(context, packet, key);
  const auto way = context.tables.routes->lookup(destination_of(packet), hash);
  const bool for_box =
      way.verdict == route_verdict::local || way.verdict == route_verdict::multicast || m.link_multicast;
  if (for_box && (key.special == special_packet::neighbour_discovery || is_ike(key, key.destination_port)))
    return take(path_id::to_box, box_index, nullptr);
  // No rule needs to let it pass: icmp_in takes it.
  if (for_box && key.special == special_packet::size_report) return take(path_id::to_box, box_index, nullptr);
  // Also where a rule lets ICMP in: the kernel would believe it.
  if (for_box && key.special == special_packet::route_change) return discard(drop_reason::route_change_refused);
  const auto path = for_box ? path_id::to_box : path_id::bypass;
  if (is_tunnel_port(m.ingress)) return decide_from_interface(context, key, way, path);
  if (m.decrypted) return decide_decrypted(context, packet, key, way);
  auto verdict = ask_spd(context, packet, key, way, path);
  if (way.verdict == route_verdict::multicast && verdict.drop == drop_reason::no_policy)
    verdict = discard(drop_reason::ip_multicast);
  return verdict;
}

// RFC 1812 5.3.1, RFC 8200 3: a packet that goes through loses one hop. False: it was its last.
bool spend_hop(rte_mbuf* packet, const packet_meta& m) noexcept {
  auto* ip = ip_header(packet);
  std::uint8_t& hops = m.ip_version == 4 ? ip[8] : ip[7];
  if (hops <= 1) return false;
  if (m.ip_version == 4) {
    auto* header = reinterpret_cast<ipv4_header*>(ip);
    header->checksum = checksum_one_hop_later(header->checksum);
  }
  --hops;
  return true;
}

// Nothing for mss_clamp and fragment, as nearly always: two stages less. Whether it fits its SA, esp_encapsulate sees,
// which has the SA at hand. Who watches sees every stage.
bool fits_as_it_is(const stage_context& context, rte_mbuf* packet, path_id path) noexcept {
  auto& m = meta(packet);
  if (context.watch != nullptr || opens_tcp(packet)) return false;
  m.size_limit = size_unknown;
  return path == path_id::outbound || m.ip_length <= port_room(context, m.egress);
}

void carry_out(stage_context& context, rte_mbuf* packet, const flow_verdict& verdict) noexcept {
  auto& m = meta(packet);
  if (verdict.drop != drop_reason::none) {
    if (verdict.demanded != nullptr) tell_acquire(context, *verdict.demanded);
    return context.answer_error(packet, verdict.drop);
  }
  const auto path = static_cast<path_id>(verdict.path);
  // A chain of buffers is for the kernel only (see reassemble): the stages of the other paths need one piece.
  if (packet->nb_segs != 1 && path != path_id::to_box)
    return context.drop(packet, drop_reason::fragment_not_reassembled);
  m.egress = verdict.egress;
  m.next_hop = verdict.next_hop;
  m.out_sa = verdict.sa;
  if (verdict.sa != nullptr) {
    verdict.sa->prefetch();
    __builtin_prefetch(ip_header(packet) - outer_header_limit, 1);  // where the outer header will be
  }
  m.generation = context.generation;
  const bool through = (path == path_id::outbound || path == path_id::bypass) && m.ingress != box_index;
  if (through && !spend_hop(packet, m)) return context.answer_error(packet, drop_reason::hop_limit_expired);
  const bool short_way = through && fits_as_it_is(context, packet, path);
  context.switch_path(packet, path, short_way ? stage_id::fragment : stage_id::policy);
}

// ARP passes between the wire and the kernel, and nowhere else.
void pass_arp(stage_context& context, rte_mbuf* packet) noexcept {
  const bool from_box = meta(packet).ingress == box_index;
  context.switch_path(packet, from_box ? path_id::from_box : path_id::to_box, stage_id::policy);
}

// ESP inside what came out of an SA, for this gateway again: nested tunnels. What no SA opens is not the kernel's
// either (RFC 4301 5.2). True: the packet has left.
bool enters_another_sa(stage_context& context, rte_mbuf* packet) noexcept {
  auto& m = meta(packet);
  if (!m.decrypted || (m.protocol != protocol_esp && m.destination_port != port_nat_traversal) || m.fragment)
    return false;
  const auto match = find_inbound(context.tables, packet);
  if (match.drop != drop_reason::none) {
    context.drop(packet, match.drop);
    return true;
  }
  if (match.sa == nullptr) return false;
  m.in_sa = match.sa;
  m.in_udp = match.in_udp;
  m.path = static_cast<std::uint8_t>(path_id::inbound_esp);
  context.put(packet, stage_id::esp_decapsulate);
  return true;
}

// What the flow cache does not know. Of ICMP errors it learns nothing: each quotes another packet.
[[gnu::noinline]] flow_verdict decide_anew(stage_context& context, rte_mbuf* packet, const flow_key& key,
                                           std::uint32_t hash) noexcept {
  context.flow_misses.add(1);
  const auto verdict = decide(context, packet, key, hash);
  if (!is_icmp_error(key)) context.flows.store(key, hash, context.generation, verdict);
  return verdict;
}

}  // namespace

void policy(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  burst_array<flow_key> keys;
  burst_array<std::uint32_t> hashes;
  for (std::size_t i = 0; i < burst.size(); ++i) {
    if (meta(burst[i]).ip_version == 0) continue;
    // The usual key is hashed from registers: whoever reads in large pieces what was written in small ones waits.
    const auto words = flow_words_of(burst[i]);
    hashes[i] = flow_cache::hash(words);
    keys[i] = std::bit_cast<flow_key>(words);
    if (make_special(context.tables, burst[i], keys[i])) [[unlikely]]
      hashes[i] = flow_cache::hash(keys[i]);
    context.flows.prefetch(hashes[i]);
  }
  for (std::size_t i = 0; i < burst.size(); ++i) {
    auto* packet = burst[i];
    if (meta(packet).ip_version == 0) [[unlikely]] {
      pass_arp(context, packet);
      continue;
    }
    meta(packet).flow_hash = hashes[i];
    if (enters_another_sa(context, packet)) continue;
    flow_verdict fresh;
    const auto* verdict = context.flows.find(keys[i], hashes[i], context.generation);
    if (verdict != nullptr) {
      context.flow_hits.add(1);
    } else {
      fresh = decide_anew(context, packet, keys[i], hashes[i]);
      verdict = &fresh;
    }
    carry_out(context, packet, *verdict);
  }
}

}  // namespace trunkgate
