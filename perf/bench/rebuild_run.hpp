// Whether a worker stalls while the operator's rules are compiled anew and swapped.
#pragma once

#include <atomic>

#include "perf/bench/gateway_side.hpp"
#include "perf/bench/spread.hpp"

namespace trunkgate::bench {

// A worker's turns over some time, microseconds; each turn takes 64 packets.
struct turn_figures {
  double median_us = 0, longest_us = 0;
  std::uint64_t turns = 0;
  // Turns in which the kernel gave the processor to another thread: they say nothing of the worker and are left out.
  std::uint64_t preempted = 0;
};

struct rebuild_figures {
  double build_seconds = 0;
  turn_figures quiet, rebuild;  // over the same time without and with a rebuild
  std::uint64_t verified = 0, wrong = 0;
};

[[nodiscard]] result<rebuild_figures> measure_rebuild(rte_mempool* pool, const crypto_engines& engines,
                                                      std::uint32_t rules);

}  // namespace trunkgate::bench
