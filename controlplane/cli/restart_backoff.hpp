// How long a program that died is left dead: longer each time, until it has lived for a while.
#pragma once

#include <algorithm>
#include <chrono>

namespace trunkgate {

class restart_backoff {
 public:
  static constexpr std::chrono::milliseconds shortest{100}, longest{5000};
  static constexpr std::chrono::seconds lives{10};  // who lived this long starts afresh

  // Tells how long to wait before the next start.
  [[nodiscard]] std::chrono::milliseconds died_after(std::chrono::nanoseconds lifetime) {
    if (lifetime >= lives) next_ = shortest;
    const auto wait = next_;
    next_ = std::min(2 * next_, longest);
    return wait;
  }

 private:
  std::chrono::milliseconds next_ = shortest;
};

}  // namespace trunkgate
