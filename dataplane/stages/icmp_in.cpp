// icmp_in: what the network says of our own ESP packets' size is for the SA and not for the kernel (RFC 4301 8.2.1).
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/room.hpp"
#include "dataplane/stages/size_report.hpp"

namespace trunkgate {
namespace {

drop_reason take_report(stage_context& context, const size_report& report) noexcept {
  auto& sa = *report.sa;
  if (!context.policer.admits(punt_class::path_mtu, context.now_tsc)) return drop_reason::punt_rate_limited;
  const auto way = context.tables.routes->lookup(sa.record.remote, sa.record.spi);
  const std::uint16_t mtu = believable_mtu(report, sa.outer_v6, sa.sequence.get(), outer_room(context, sa, way.port));
  if (mtu == 0) {
    sa.mtu_refused.fetch_add(1, std::memory_order_relaxed);
    return drop_reason::path_mtu_refused;
  }
  sa.learned_mtu.learn(mtu, context.now_ms);
  sa.mtu_learned.fetch_add(1, std::memory_order_relaxed);
  return drop_reason::path_mtu_learned;
}

}  // namespace

void icmp_in(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    if (const auto report = read_size_report(context.tables, packet))
      context.drop(packet, take_report(context, *report));
    else
      context.go_on(packet, stage_id::icmp_in);
  }
}

}  // namespace trunkgate
