// verify_selectors: what came out of an SA must be what the SA may carry (RFC 4301 5.2 step 4).
#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/flow.hpp"
#include "dataplane/stages/quoted_flow.hpp"
#include "dataplane/stages/tell.hpp"

namespace trunkgate {
namespace {

// RFC 4301 6.2: an ICMP error comes from whichever router had to send it. What counts is that it is about a packet that
// the peer's side could have had from ours by this very tunnel.
bool answers_what_the_sa_carries(const inbound_sa& sa, rte_mbuf* packet) noexcept {
  const auto flow = answered_flow(packet);
  return flow && selectors_allow(sa.record, *flow);
}

// As selectors_allow(), for the usual ones: without the record, which lies far from what else a packet needs.
bool usually_allowed(const inbound_sa& sa, rte_mbuf* packet) noexcept {
  if (meta(packet).ip_version != 4) return false;
  const auto& ip = *reinterpret_cast<const ipv4_header*>(ip_header(packet));
  be32 source, destination;
  std::memcpy(&source, ip.source.data(), sizeof source);
  std::memcpy(&destination, ip.destination.data(), sizeof destination);
  const auto& allowed = sa.usual_selectors;
  return source.host() >= allowed.remote_first && source.host() <= allowed.remote_last &&
         destination.host() >= allowed.local_first && destination.host() <= allowed.local_last;
}

bool allowed(const inbound_sa& sa, rte_mbuf* packet) noexcept {
  return usually_allowed(sa, packet) || selectors_allow(sa.record, flow_key_of(packet)) ||
         answers_what_the_sa_carries(sa, packet);
}

}  // namespace

void verify_selectors(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    auto& m = meta(packet);
    auto& sa = *m.in_sa;
    if (!allowed(sa, packet)) {
      context.drop(packet, sa.counters, drop_reason::selector_mismatch);
      continue;
    }
    if (const auto expired = sa.lifetime.expired(); expired != api::sa_limit::none) {  // within this burst
      context.drop(packet, sa.counters, reason_of(expired));
      continue;
    }
    sa.counters.packets.add(1);
    sa.counters.bytes.add(m.ip_length);
    if (sa.lifetime.due(sa.counters.packets.get(), sa.counters.bytes.get())) [[unlikely]]
      tell_limits(context, sa);
    if (const auto port = sa.port.load(std::memory_order_relaxed); port != no_port) m.ingress = port;
    m.in_sa = nullptr;
    context.go_on(packet, stage_id::verify_selectors);
  }
}

}  // namespace trunkgate
