// The processor's time of the calling thread.
#pragma once

#include <time.h>

namespace trunkgate::bench {

[[nodiscard]] inline double thread_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace trunkgate::bench
