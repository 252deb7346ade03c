#include "perf/bench/rate_search.hpp"

namespace trunkgate::bench {

double highest_rate(double most, double loss_allowed, const std::function<double(double rate)>& loss_at) {
  double good = 0, bad = most;
  if (loss_at(most) <= loss_allowed) return most;
  while (bad - good > search_width * most) {
    const double middle = (good + bad) / 2;
    (loss_at(middle) <= loss_allowed ? good : bad) = middle;
  }
  return good;
}

}  // namespace trunkgate::bench
