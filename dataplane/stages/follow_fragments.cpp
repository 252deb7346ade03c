// follow_fragments: later fragments have no ports, so they take those of their datagram's first one (RFC 4301 7.4).
#include "dataplane/packet/fragment_header.hpp"
#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"

namespace trunkgate {
namespace {

// How much of a transport header no later fragment may reach into (RFC 1858 3.2.2); 0: a protocol without ports.
std::uint32_t header_size(std::uint8_t protocol) noexcept {
  switch (protocol) {
    case protocol_tcp: return sizeof(tcp_header);
    case protocol_udp: return sizeof(udp_header);
    case protocol_sctp: return 12;
    case protocol_icmp:
    case protocol_icmpv6: return 8;
    default: return 0;
  }
}

fragment_key key_of(rte_mbuf* packet, const packet_meta& m, std::uint32_t id) noexcept {
  const auto* ip = ip_header(packet);
  fragment_key key;
  key.id = id;
  key.spi = m.in_sa != nullptr ? m.in_sa->record.spi : 0;
  key.ingress = m.ingress;
  if (m.ip_version == 4) {
    std::memcpy(key.source.data(), ip + 12, 4);
    std::memcpy(key.destination.data(), ip + 16, 4);
    key.protocol = m.protocol;
    key.family = ip_family::v4;
  } else {
    std::memcpy(key.source.data(), ip + 8, 16);
    std::memcpy(key.destination.data(), ip + 24, 16);
    key.family = ip_family::v6;
  }
  return key;
}

void drop(stage_context& context, rte_mbuf* packet, inbound_sa* sa, drop_reason why) noexcept {
  if (sa != nullptr) sa->counters.other_drops.add(1);
  context.drop(packet, why);
}

fragment_table::verdict ask(stage_context& context, rte_mbuf* packet, const packet_meta& m) noexcept {
  using answer = fragment_table::answer;
  const auto found = find_fragment_header({ip_header(packet), m.ip_length}, m);
  if (!found) return {.what = answer::drop, .why = drop_reason::fragment_malformed};
  const auto key = key_of(packet, m, found->id);
  const fragment_part part{found->first, found->end, found->more};
  if (!m.later_fragment)
    return context.fragments.first(key, part, {m.source_port, m.destination_port, m.protocol, m.has_ports},
                                   context.now_ms);
  if (part.first < header_size(m.protocol))
    return context.fragments.refuse(key, drop_reason::fragment_tiny, context.now_ms);
  return context.fragments.later(key, part, packet, context.now_ms);
}

void follow(stage_context& context, rte_mbuf* packet) noexcept {
  using answer = fragment_table::answer;
  // Which datagram it is of says which SA it came out of: so this is the SA of those that waited, too. They hold no
  // pointer to it themselves, for it may go while they wait.
  auto* sa = meta(packet).in_sa;
  const auto verdict = ask(context, packet, meta(packet));
  const auto carry_out = [&](rte_mbuf* one) noexcept {
    auto& m = meta(one);
    if (verdict.what == answer::drop) return drop(context, one, sa, verdict.why);
    m.in_sa = sa;
    m.protocol = verdict.selectors.protocol;
    m.source_port = verdict.selectors.source_port;
    m.destination_port = verdict.selectors.destination_port;
    m.has_ports = verdict.selectors.has_ports;
    context.go_on(one, stage_id::follow_fragments);
  };
  if (verdict.what == answer::wait)
    meta(packet).in_sa = nullptr;
  else
    carry_out(packet);
  for (auto* other : verdict.waited) carry_out(other);
}

}  // namespace

void follow_fragments(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  // While nobody asks for ports, fragments are packets like others.
  const bool wanted = context.tables.ports_decide() || !context.fragments.empty();
  for (auto* packet : burst) {
    const auto& m = meta(packet);
    // The box's own IKE passes by its port, whether rules name ports or not.
    const bool perhaps_ike = m.ingress == box_index && m.protocol == protocol_udp;
    // All of IPv4's fragments name the datagram's protocol.
    if (!(wanted || perhaps_ike) || !m.fragment || (m.ip_version == 4 && header_size(m.protocol) == 0))
      context.go_on(packet, stage_id::follow_fragments);
    else
      follow(context, packet);
  }
}

void expire_followed(stage_context& context) noexcept {
  while (auto* packet = context.fragments.expire(context.now_ms))
    context.drop(packet, drop_reason::fragment_without_first);
}

}  // namespace trunkgate
