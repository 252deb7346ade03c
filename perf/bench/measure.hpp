// Everything that was asked for, one measurement after the other.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "perf/bench/report.hpp"

namespace trunkgate::bench {

struct observer {
  const std::atomic<bool>& stop;                          // ends early; what has been measured stays
  std::function<void(const std::string& text)> progress;  // what is being measured now
};

[[nodiscard]] result<void> measure(const bench_options& options, const crypto_engines& engines, const observer& by,
                                   results& into);

// What every row of the targets needs (targets.hpp), however little it is.
[[nodiscard]] result<void> measure_targets(const bench_options& options, const crypto_engines& engines,
                                           const observer& by, results& into);

// A gateway under load from a generator in another thread: rates, and latency below them.
[[nodiscard]] result<void> measure_latency(const bench_options& options, const crypto_engines& engines,
                                           const observer& by, results& into);

// IKE needs no engine and no memory of DPDK's.
[[nodiscard]] result<void> measure_ike(const bench_options& options, const observer& by, results& into);

}  // namespace trunkgate::bench
