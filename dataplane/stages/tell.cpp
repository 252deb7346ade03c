#include "dataplane/stages/tell.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {
namespace {

ip_address source_of(rte_mbuf* packet) noexcept {
  const auto* ip = ip_header(packet);
  return meta(packet).ip_version == 4 ? ip_address::from_bytes(ip_family::v4, ip + 12)
                                      : ip_address::from_bytes(ip_family::v6, ip + 8);
}

void tell_unknown_spi(stage_context& context, rte_mbuf* packet) noexcept {
  constexpr std::uint64_t interval_ms = 1000;
  if (context.last_unknown_spi_ms != 0 && context.now_ms - context.last_unknown_spi_ms < interval_ms) return;
  context.last_unknown_spi_ms = context.now_ms;
  api::event told;
  told.kind = api::event_kind::unknown_spi;
  told.direction = api::sa_direction::inbound;
  const auto* ip = ip_header(packet);
  const auto& m = meta(packet);
  be32 spi;
  std::memcpy(&spi, ip + m.l4_offset + (m.protocol == protocol_udp ? sizeof(udp_header) : 0), sizeof spi);
  told.spi = spi.host();
  told.source = source_of(packet);
  tell(context, told);
}

}  // namespace

void tell_acquire(stage_context& context, trap& wanted) noexcept {
  if (!wanted.due(context.now_ms)) return;
  api::event told;
  told.kind = api::event_kind::acquire;
  told.tunnel = wanted.record.tunnel;
  told.child = wanted.record.child;
  tell(context, told);
}

void tell_peer_moved(stage_context& context, inbound_sa& sa, rte_mbuf* packet) noexcept {
  constexpr std::uint64_t interval_ms = 1000;
  if (sa.peer_told_ms != 0 && context.now_ms - sa.peer_told_ms < interval_ms) return;
  sa.peer_told_ms = context.now_ms;
  auto told = limit_event(api::event_kind::peer_moved, sa.record, api::sa_limit::none);
  told.source = source_of(packet);
  told.source_port = meta(packet).source_port;
  tell(context, told);
}

void drop_unmatched(stage_context& context, rte_mbuf* packet, drop_reason reason) noexcept {
  if (reason == drop_reason::esp_unknown_spi) tell_unknown_spi(context, packet);
  context.drop(packet, reason);
}

}  // namespace trunkgate
