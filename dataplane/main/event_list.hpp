// The last things that happened, for the operator's command and for who has subscribed.
#pragma once

#include <cstdint>
#include <deque>

#include "dataplane/api/messages.hpp"

namespace trunkgate {

inline constexpr std::size_t events_kept = 256;

// Control thread.
class event_list {
 public:
  // Gives it number and time. ESP of unknown SPIs is taken once a second only, however many workers see it.
  void add(api::event happened);
  [[nodiscard]] const std::deque<api::event>& all() const { return events_; }  // oldest first
  // The oldest kept event with a number above `after`; nullptr: there is none.
  [[nodiscard]] const api::event* next(std::uint64_t after) const;

 private:
  std::deque<api::event> events_;
  std::uint64_t last_number_ = 0, last_unix_ns_ = 0, last_unknown_spi_ns_ = 0;
};

}  // namespace trunkgate
