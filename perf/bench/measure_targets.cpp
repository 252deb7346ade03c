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

bool same_measurement(const esp_result& a, const esp_result& b) {
  return a.which == b.which && a.suite == b.suite && a.sizes == b.sizes && a.sas == b.sas;
}
bool same_measurement(const forward_result& a, const forward_result& b) {
  return a.sizes == b.sizes && a.flows == b.flows;
}

template <class Result>
void merge(std::vector<Result> runs, std::vector<Result>& into) {
  for (auto& one : runs) {
    const auto before = std::ranges::find_if(into, [&](const auto& other) { return same_measurement(one, other); });
    if (before == into.end()) {
      into.push_back(std::move(one));
      continue;
    }
    before->runs.insert(before->runs.end(), one.runs.begin(), one.runs.end());
    before->checked.verified += one.checked.verified;
    before->checked.wrong += one.checked.wrong;
    before->checked.judged += one.checked.judged;
  }
}

void merge(results once, results& into) {
  merge(std::move(once.esp), into.esp);
  merge(std::move(once.forward), into.forward);
  into.memory.insert(into.memory.end(), once.memory.begin(), once.memory.end());
}

}  // namespace

result<void> measure_targets(const bench_options& options, const crypto_engines& engines, const observer& by,
                             results& into) {
  // One run of everything, then the next: what disturbs the machine for some seconds takes one run from each row, not
  // all runs from one.
  for (std::uint32_t pass = 1; pass <= options.runs && !by.stop; ++pass) {
    const observer shown{by.stop, [&](const std::string& text) {
                           by.progress("pass " + std::to_string(pass) + " of " + std::to_string(options.runs) + ": " +
                                       text.substr(0, text.rfind(": ")));
                         }};
    for (auto part : parts_of(options)) {
      if (part.what->name == "memory" && pass != 1) continue;  // bytes are bytes
      part.runs = 1;
      results once;
      if (auto done = measure(part, engines, shown, once); !done) return done;
      merge(std::move(once), into);
    }
  }
  return {};
}

}  // namespace trunkgate::bench
