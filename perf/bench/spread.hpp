// Least, middle and most of repeated measurements.
#pragma once

#include <vector>

namespace trunkgate::bench {

struct spread {
  double min = 0, median = 0, max = 0;
};
[[nodiscard]] spread spread_of(std::vector<double> values);  // at least one

}  // namespace trunkgate::bench
