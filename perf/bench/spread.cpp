#include "perf/bench/spread.hpp"

#include <algorithm>
#include <cstddef>

namespace trunkgate::bench {

spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), median, values.back()};
}

}  // namespace trunkgate::bench
