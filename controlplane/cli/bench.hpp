// What `trunkgate bench` can measure: help, completion and the program that measures are made from this one table.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

struct benchmark {
  std::string_view name;
  std::string_view help;
  std::span<const option_row> options;
  std::size_t files = 0;  // named behind it
};
// The first is what is measured when none is named.
[[nodiscard]] std::span<const benchmark> benchmarks();
[[nodiscard]] const benchmark* find_benchmark(std::string_view name);
[[nodiscard]] std::string benchmark_list();  // "crypto, esp, ..."

}  // namespace trunkgate
