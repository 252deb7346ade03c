// What both forms of the report work out of the runs.
#pragma once

#include <algorithm>

#include "perf/bench/report.hpp"

namespace trunkgate::bench {

template <class Member>
[[nodiscard]] spread spread_over(const std::vector<pass_figures>& runs, Member member) {
  std::vector<double> values;
  for (const auto& run : runs) values.push_back(run.*member);
  return spread_of(std::move(values));
}
[[nodiscard]] inline std::vector<double> microseconds(std::vector<double> seconds) {
  for (auto& one : seconds) one *= 1e6;
  return seconds;
}
[[nodiscard]] inline const pass_figures& fastest(const std::vector<pass_figures>& runs) {
  return *std::ranges::min_element(runs, {}, &pass_figures::total);
}
[[nodiscard]] inline double mpps(double cycles, const machine_report& machine) {
  return static_cast<double>(machine.tsc_hz) / cycles / 1e6;
}
// Of inner IP packets.
[[nodiscard]] inline double gbps(double rate, packet_sizes sizes) { return rate * sizes.mean() * 8 / 1e3; }

}  // namespace trunkgate::bench
