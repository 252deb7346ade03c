#include <algorithm>

#include "perf/bench/measure.hpp"
#include "perf/bench/targets.hpp"

namespace trunkgate::bench {
namespace {

bench_options like(const bench_options& options, std::string_view benchmark_name) {
  auto part = options;
  part.what = find_benchmark(benchmark_name);
  part.sizes.clear();
  part.directions.clear();
  return part;
}

template <class Value>
void add_once(std::vector<Value>& into, const Value& value) {
  if (!std::ranges::contains(into, value)) into.push_back(value);
}

// Neighbouring rows of one suite and number of SAs are one measurement: both directions and all sizes at once.
std::vector<bench_options> parts_of(const bench_options& options) {
  std::vector<bench_options> parts;
  const target_row* before = nullptr;
  for (const auto& row : target_rows()) {
    const bool same =
        before != nullptr && before->what == row.what && before->suite == row.suite && before->count == row.count;
    before = &row;
    if (!same) {
      using enum target_row::kind;
      parts.push_back(like(options, row.what == esp ? "esp" : row.what == forward ? "forward" : "memory"));
      parts.back().suites = {row.suite};
      parts.back().counts = {row.count};
      if (row.what == sa_pair) parts.back().objects = {std::ranges::find(object_rows, "sa_pair", &object_row::name)};
    }
    add_once(parts.back().sizes, packet_sizes(row.size));
    add_once(parts.back().directions, row.which);
  }
  return parts;
}

}  // namespace

result<void> measure_targets(const bench_options& options, const crypto_engines& engines, const observer& by,
                             results& into) {
  for (const auto& part : parts_of(options))
    if (auto done = measure(part, engines, by, into); !done) return done;
  return {};
}

}  // namespace trunkgate::bench
