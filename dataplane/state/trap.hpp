// A child that must be protected and is keyed by IKE: what takes its packets while no SA of it does.
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/api/messages.hpp"

namespace trunkgate {

struct trap {
  explicit trap(const api::trap_record& wanted) : record(wanted) {}

  // Whether it is time to tell that a packet wants the child: once a second, whichever worker asks. Any thread.
  [[nodiscard]] bool due(std::uint64_t now_ms) noexcept {
    constexpr std::uint64_t interval_ms = 1000;
    auto last = told_ms_.load(std::memory_order_relaxed);
    // Another worker's clock may be a turn ahead.
    return (last == 0 || now_ms >= last + interval_ms) &&
           told_ms_.compare_exchange_strong(last, now_ms, std::memory_order_relaxed);
  }

  const api::trap_record record;

 private:
  std::atomic<std::uint64_t> told_ms_{0};
};

}  // namespace trunkgate
