// Two files of figures compared: what changed, and what is noise.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataplane/core/result.hpp"

namespace trunkgate::bench {

// One figure in both files. The best of the runs counts: the lowest cost, the highest rate.
struct figure_change {
  enum class verdict { same, faster, slower };
  std::string name;
  double before = 0, after = 0;
  double noise = 0;  // as a part of `before`: what two measurements of the same thing may differ by
  bool higher_is_better = false;

  [[nodiscard]] double change() const { return after / before - 1; }
  [[nodiscard]] verdict is() const;
};

struct comparison {
  std::vector<figure_change> figures;
  std::vector<std::string> only_before, only_after;
  std::vector<std::string> notes;  // what else differs between the two
  [[nodiscard]] bool anything_slower() const;
};

// `before` and `after` as `bench --json` writes them. Refuses what is no such file, what had wrong packets, and, unless
// `any_machine`, figures of two machines.
[[nodiscard]] result<comparison> compare_figures(const nlohmann::json& before, const nlohmann::json& after,
                                                 bool any_machine);
[[nodiscard]] std::string comparison_text(const comparison& found);

// `trunkgate bench diff`: prints the comparison. Whether nothing is slower.
[[nodiscard]] result<bool> print_difference(const std::string& before_file, const std::string& after_file,
                                            bool any_machine);

}  // namespace trunkgate::bench
