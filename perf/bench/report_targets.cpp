#include <cmath>

#include "controlplane/cli/table.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/targets.hpp"

namespace trunkgate::bench {
namespace {

using enum table::alignment;

double rounded(double value) { return std::round(value * 100) / 100; }
std::string size_of(const target_row& row) { return row.size != 0 ? count(row.size) : ""; }

std::string totals(const std::vector<target_result>& list) {
  table rows({{"FIGURE"},
              {"SIZE", right},
              {"MIN", right},
              {"MEDIAN", right},
              {"TARGET", right},
              {"RATIO", right},
              {"AT MEDIAN", right},
              {"STRETCH", right}});
  for (const auto& one : list)
    rows.add(severity::fine, {one.row->name(), size_of(*one.row), number(one.min),
                              one.median ? number(*one.median) : "", number(one.row->required), number(one.ratio(), 2),
                              one.median ? number(*one.median / one.row->required, 2) : "",
                              one.row->stretch != 0 ? number(one.row->stretch) : " "});
  return rows.text({}) +
         "TSC cycles per packet, whole path, one worker; minimum and median over the runs. Ratio: to the\n"
         "target, at the minimum; 1.00 or less is reached. The targets were set on " +
         std::string(targets_machine.substr(0, targets_machine.find(','))) +
         ":\non another processor the next table counts.\n";
}

std::string without_engine(const std::vector<target_result>& list) {
  table rows({{"FIGURE"},
              {"SIZE", right},
              {"ENGINE", right},
              {"X ENGINE", right},
              {"TARGET", right},
              {"RATIO", right},
              {"OWN", right},
              {"TARGET", right},
              {"RATIO", right}});
  for (const auto& one : list) {
    if (one.engine == 0) continue;
    const double own = own_target(one.row->size);
    const bool known = one.row->engine_there != 0;
    rows.add(severity::fine, {one.row->name(), size_of(*one.row), number(one.engine), number(one.times_engine(), 2),
                              known ? number(one.times_engine_target(), 2) : "",
                              known ? number(one.times_engine() / one.times_engine_target(), 2) : "", number(one.own()),
                              number(own), number(one.own() / own, 2)});
  }
  if (rows.empty()) return {};
  return "\n" + rows.text({}) +
         "Engine: it alone, in the same run, on the same packets. X engine: the whole path to that, and the\n"
         "same of the target where it was set. Own: the path without the engine.\n";
}

}  // namespace

std::string target_tables(const std::vector<target_result>& list) { return totals(list) + without_engine(list); }

nlohmann::ordered_json target_json(const target_result& result) {
  const auto& row = *result.row;
  nlohmann::ordered_json out{{"bench", "targets"}, {"figure", row.name()}, {"count", row.count}};
  if (row.size != 0) out["size"] = row.size;
  out["unit"] = row.what == target_row::kind::sa_pair ? "bytes" : "cycles";
  out["min"] = rounded(result.min);
  if (result.median) out["median"] = rounded(*result.median);
  out["target"] = row.required;
  out["ratio"] = rounded(result.ratio());
  if (result.median) out["ratio_at_median"] = rounded(*result.median / row.required);
  if (row.stretch != 0) out["stretch"] = row.stretch;
  if (result.engine != 0) {
    out["engine_cycles"] = rounded(result.engine);
    out["times_engine"] = rounded(result.times_engine());
    if (row.engine_there != 0) out["times_engine_target"] = rounded(result.times_engine_target());
    out["own"] = rounded(result.own());
    out["own_target"] = own_target(row.size);
  }
  out["wrong"] = 0;  // of what was measured for it: those entries count theirs
  return out;
}

}  // namespace trunkgate::bench
