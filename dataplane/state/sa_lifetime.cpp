#include "dataplane/state/sa_lifetime.hpp"

#include <algorithm>

namespace trunkgate {
namespace {

using api::sa_limit;

sa_limit limit_reached(const api::lifetime_limits& limits, std::uint64_t packets, std::uint64_t bytes) noexcept {
  if (limits.packets != 0 && packets >= limits.packets) return sa_limit::packets;
  if (limits.bytes != 0 && bytes >= limits.bytes) return sa_limit::bytes;
  return sa_limit::none;
}

// The nearest of the two limits that lies ahead.
std::uint64_t next_of(std::uint64_t soft, std::uint64_t hard, std::uint64_t now) noexcept {
  std::uint64_t next = ~0ull;
  for (const std::uint64_t limit : {soft, hard})
    if (limit > now) next = std::min(next, limit);
  return next;
}

std::uint64_t value_of(const api::lifetime_limits& limits, sa_limit limit) noexcept {
  switch (limit) {
    case sa_limit::packets: return limits.packets;
    case sa_limit::bytes: return limits.bytes;
    case sa_limit::seconds: return limits.seconds;
    default: return 0;
  }
}

}  // namespace

sa_lifetime::reached sa_lifetime::judge(const api::sa_record& record, std::uint64_t packets,
                                        std::uint64_t bytes) noexcept {
  reached now;
  if (const auto by = limit_reached(record.soft, packets, bytes); by != sa_limit::none && soften(by)) now.soft = by;
  if (const auto by = limit_reached(record.hard, packets, bytes); by != sa_limit::none && expire(by)) now.hard = by;
  next_packets_ = next_of(record.soft.packets, record.hard.packets, packets);
  next_bytes_ = next_of(record.soft.bytes, record.hard.bytes, bytes);
  return now;
}

api::event limit_event(api::event_kind kind, const api::sa_record& record, sa_limit limit) noexcept {
  api::event told;
  told.kind = kind;
  told.limit = limit;
  told.value = value_of(kind == api::event_kind::hard_expire ? record.hard : record.soft, limit);
  told.direction = record.direction;
  told.spi = record.spi;
  told.pair = record.pair;
  told.tunnel = record.tunnel;
  told.child = record.child;
  return told;
}

}  // namespace trunkgate
