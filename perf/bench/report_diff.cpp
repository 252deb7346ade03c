#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>

#include "controlplane/cli/table.hpp"
#include "perf/bench/diff.hpp"
#include "perf/bench/numbers.hpp"

namespace trunkgate::bench {
namespace {

using enum table::alignment;

std::string verdict_text(const figure_change& one) {
  using enum figure_change::verdict;
  if (one.is() == same) return "same";
  // Of a cost: so much less time for each; of a rate: so many more.
  return (one.is() == faster ? "faster " : "slower ") + number(std::abs(one.change()) * 100, 1) + " %";
}

int digits_for(double value) { return value < 100 ? 2 : 0; }

result<nlohmann::json> read_figures(const std::string& path) {
  std::ifstream file(path);
  if (!file) return failure(path + ": can't be read");
  auto read = nlohmann::json::parse(file, nullptr, false);
  if (read.is_discarded()) return failure(path + ": is no JSON");
  return read;
}

}  // namespace

std::string comparison_text(const comparison& found) {
  table rows({{"FIGURE"}, {"BEFORE", right}, {"AFTER", right}, {"NOISE", right}, {"CHANGE"}});
  std::size_t slower = 0, faster = 0;
  for (const auto& one : found.figures) {
    slower += one.is() == figure_change::verdict::slower;
    faster += one.is() == figure_change::verdict::faster;
    rows.add(one.is() == figure_change::verdict::slower ? severity::problem : severity::fine,
             {one.name, number(one.before, digits_for(one.before)), number(one.after, digits_for(one.before)),
              "+-" + number(one.noise * 100, 1) + " %", verdict_text(one)});
  }
  std::string out;
  for (const auto& note : found.notes) out += "note: " + note + "\n";
  out += rows.text({});
  for (const auto& name : found.only_before) out += "only before: " + name + "\n";
  for (const auto& name : found.only_after) out += "only after: " + name + "\n";
  return out + count(slower) + " slower, " + count(faster) + " faster, " +
         count(found.figures.size() - slower - faster) +
         " the same. Minima are compared, of rates maxima; the noise is three\n"
         "standard deviations of their difference, from the spread of the runs in both files.\n";
}

result<bool> print_difference(const std::string& before_file, const std::string& after_file, bool any_machine) {
  const auto before = read_figures(before_file), after = read_figures(after_file);
  if (!before) return std::unexpected(before.error());
  if (!after) return std::unexpected(after.error());
  const auto found = compare_figures(*before, *after, any_machine);
  if (!found) return std::unexpected(found.error());
  std::cout << comparison_text(*found);
  return !found->anything_slower();
}

}  // namespace trunkgate::bench
