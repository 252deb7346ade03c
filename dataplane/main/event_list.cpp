#include "dataplane/main/event_list.hpp"

#include <algorithm>
#include <chrono>

namespace trunkgate {
namespace {

constexpr std::uint64_t unknown_spi_interval_ns = 1'000'000'000;

template <class Clock>
std::uint64_t now_ns() {
  return static_cast<std::uint64_t>(Clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace

void event_list::add(api::event happened) {
  if (happened.kind == api::event_kind::unknown_spi) {
    const auto now = now_ns<std::chrono::steady_clock>();
    if (last_unknown_spi_ns_ != 0 && now - last_unknown_spi_ns_ < unknown_spi_interval_ns) return;
    last_unknown_spi_ns_ = now;
  }
  happened.number = ++last_number_;
  // Later than the one before also where the wall clock was set back: readers tell old from new by it.
  happened.unix_ns = last_unix_ns_ = std::max(now_ns<std::chrono::system_clock>(), last_unix_ns_ + 1);
  if (events_.size() == events_kept) events_.pop_front();
  events_.push_back(happened);
}

const api::event* event_list::next(std::uint64_t after) const {
  if (after >= last_number_) return nullptr;
  const std::uint64_t oldest = events_.front().number;
  return &events_[after < oldest ? 0 : after + 1 - oldest];
}

}  // namespace trunkgate
