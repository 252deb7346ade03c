// What stages tell the control plane of, over the worker's ring. Cold: none of it shall weigh on the code around it.
#pragma once

#include "dataplane/stages/context.hpp"

namespace trunkgate {

// Where the ring is full the event is lost; what happened still stands in the SA's status.
[[gnu::cold]] inline void tell(stage_context& context, const api::event& event) noexcept {
  (void)context.outlets.tell(context.outlets.pipeline, event);
}

// Limits that the SA's packets or bytes have reached; for when its lifetime is due.
template <class Sa>
[[gnu::cold, gnu::noinline]] void tell_limits(stage_context& context, Sa& sa) noexcept {
  const auto now = sa.lifetime.judge(sa.record, sa.counters.packets.get(), sa.counters.bytes.get());
  if (now.soft != api::sa_limit::none) tell(context, limit_event(api::event_kind::soft_expire, sa.record, now.soft));
  if (now.hard != api::sa_limit::none) tell(context, limit_event(api::event_kind::hard_expire, sa.record, now.hard));
}

// Why an SA that has expired carries nothing.
[[nodiscard]] inline drop_reason reason_of(api::sa_limit expired) noexcept {
  return expired == api::sa_limit::sequence ? drop_reason::esp_sequence_exhausted : drop_reason::sa_expired;
}

// A packet wants the child, and it has no SA (RFC 4301 4.4.1.2). Told of once a second at most.
[[gnu::cold]] void tell_acquire(stage_context& context, trap& wanted) noexcept;

// Authentic ESP of this SA, still with its outer headers, came from where the peer was not before. As above.
[[gnu::cold, gnu::noinline]] void tell_peer_moved(stage_context& context, inbound_sa& sa, rte_mbuf* packet) noexcept;

// ESP that find_inbound() has no SA for; an unknown SPI is told of, once a second at most.
[[gnu::cold]] void drop_unmatched(stage_context& context, rte_mbuf* packet, drop_reason reason) noexcept;

}  // namespace trunkgate
