// How much of its life an SA has used up: what it carried against its limits (RFC 4301 4.4.2.1).
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/api/messages.hpp"

namespace trunkgate {

// Packets and bytes are the owning worker's to judge, seconds the control thread's. What a limit was reached by is set
// once, by whoever sees it first: who got `true` tells of it.
class sa_lifetime {
 public:
  struct reached {
    api::sa_limit soft = api::sa_limit::none, hard = api::sa_limit::none;
  };

  // The owner, after each packet: whether there is something to do. One comparison each.
  [[nodiscard]] bool due(std::uint64_t packets, std::uint64_t bytes) const noexcept {
    return packets >= next_packets_ || bytes >= next_bytes_;
  }
  // The owner: something else is to be told of as soon as the next packet is through.
  void make_due() noexcept { next_packets_ = 0; }
  // The owner when due(), and before an SA is used: which limits were reached that were not before.
  reached judge(const api::sa_record& record, std::uint64_t packets, std::uint64_t bytes) noexcept;

  // Other limits than before are set: nothing is reached until judge(). Control thread, while no worker knows the SA.
  void restart() noexcept {
    softened_.store(api::sa_limit::none, std::memory_order_relaxed);
    expired_.store(api::sa_limit::none, std::memory_order_relaxed);
  }
  // Any thread. True: it was not reached before.
  bool soften(api::sa_limit by) noexcept { return set(softened_, by); }
  bool expire(api::sa_limit by) noexcept { return set(expired_, by); }
  [[nodiscard]] api::sa_limit softened() const noexcept { return softened_.load(std::memory_order_relaxed); }
  // Not `none`: the SA must not carry another packet.
  [[nodiscard]] api::sa_limit expired() const noexcept { return expired_.load(std::memory_order_relaxed); }

 private:
  static bool set(std::atomic<api::sa_limit>& to, api::sa_limit by) noexcept {
    auto before = api::sa_limit::none;
    return to.compare_exchange_strong(before, by, std::memory_order_relaxed);
  }

  std::uint64_t next_packets_ = ~0ull, next_bytes_ = ~0ull;  // the next limit of each
  std::atomic<api::sa_limit> softened_{api::sa_limit::none}, expired_{api::sa_limit::none};
};

// What is told of an SA whose limit was reached. Number and time are for who keeps the events.
[[nodiscard]] api::event limit_event(api::event_kind kind, const api::sa_record& record, api::sa_limit limit) noexcept;

}  // namespace trunkgate
