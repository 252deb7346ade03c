#include "controlplane/ike/sa/timers.hpp"

namespace trunkgate::ike {

timers::key timers::add(timer_clock::time_point when, entry what) {
  const key which{when, ++count_};
  const bool first = waiting_.empty() || which < waiting_.begin()->first;
  waiting_.emplace(which, std::move(what));
  if (first && changed_) changed_();
  return which;
}

// What goes with a function may own timers, which cancel themselves here.
timers::~timers() { const auto gone = std::exchange(waiting_, {}); }

void timers::cancel(const key& which) { waiting_.erase(which); }

std::optional<timer_clock::time_point> timers::next() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->first.first;
}

void timers::run_due(timer_clock::time_point now) {
  while (!waiting_.empty() && waiting_.begin()->first.first <= now) {
    auto due = std::move(waiting_.begin()->second);
    waiting_.erase(waiting_.begin());
    if (due.owner != nullptr) due.owner->clock_ = nullptr;
    due.run();
  }
}

}  // namespace trunkgate::ike
