#include <cmath>

#include "controlplane/cli/table.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/report_figures.hpp"

namespace trunkgate::bench {
namespace {

using enum table::alignment;
using json = nlohmann::ordered_json;

constexpr double mega = 1e6;

double rounded(double value, double to = 1000) { return std::round(value * to) / to; }
json spread_json(std::vector<double> values, double unit) {
  const auto all = spread_of(std::move(values));
  return {{"min", rounded(all.min / unit)}, {"median", rounded(all.median / unit)}, {"max", rounded(all.max / unit)}};
}
json size_of(packet_sizes sizes) { return sizes.is_imix() ? json("imix") : json(sizes.largest()); }

std::string three(const std::vector<double>& values, double unit, int digits) {
  if (values.empty()) return "";
  const auto all = spread_of(values);
  return number(all.min / unit, digits) + " " + number(all.median / unit, digits) + " " +
         number(all.max / unit, digits);
}

}  // namespace

std::string rate_result::limit(const machine_report& machine) const {
  if (generator_limited) return "generator";
  if (gateway_share < 0.9) return "other work";
  const double cycles = static_cast<double>(machine.tsc_hz) / spread_of(mrr).max;
  return engine_cycles >= cycles / 2 ? "crypto" : "own work";
}

std::string rate_table(const std::vector<rate_result>& list, const machine_report& machine) {
  table rows({{"SUITE"},
              {"SIZE", right},
              {"MRR, MPPS", right},
              {"NDR", right},
              {"PDR", right},
              {"GBPS", right},
              {"LIMIT"},
              {"WRONG", right}});
  std::string notes;
  for (const auto& one : list) {
    // What the generator could not exceed is no rate of the gateway's.
    rows.add(one.checked.wrong != 0 ? severity::problem : severity::fine,
             {std::string(info(one.suite).name), one.sizes.name(), one.generator_limited ? "" : three(one.mrr, mega, 2),
              three(one.ndr, mega, 2), three(one.pdr, mega, 2),
              one.ndr.empty() ? "" : number(gbps(spread_of(one.ndr).median / mega, one.sizes), 1), one.limit(machine),
              count(one.checked.wrong)});
    if (one.generator_limited)
      notes += one.sizes.name() + " bytes: the generator gave no more than " + number(one.offered / mega, 2) +
               " million packets a second, and the\ngateway took them all: how many it could take is not known.\n";
  }
  return rows.text({}) +
         "Minimum, median, maximum. MRR: delivered when offered all the generator can. NDR, PDR: the highest\n"
         "rate with no packet lost, and with 0.5 % lost, by halving. Gbit/s of inner packets at NDR.\n" +
         notes;
}

std::string latency_table(const std::vector<latency_result>& list) {
  if (list.empty()) return "\nNo rate without loss, and so no latency.\n";
  table rows({{"SUITE"},
              {"SIZE", right},
              {"LOAD", right},
              {"P50, US", right},
              {"P99", right},
              {"P99.9", right},
              {"LOST", right}});
  for (const auto& one : list)
    rows.add(severity::fine, {std::string(info(one.suite).name), one.sizes.name(), number(one.load * 100) + " %",
                              three(one.p50, 1, 1), three(one.p99, 1, 1), three(one.p999, 1, 1), count(one.lost)});
  return "\n" + rows.text({}) +
         "Microseconds from the receive ring to the transmit ring, at a part of the NDR: minimum, median,\n"
         "maximum over the runs.\n";
}

json rate_json(const rate_result& one, const machine_report& machine) {
  json out{{"bench", "rate"}, {"direction", "out"},     {"suite", info(one.suite).name}, {"size", size_of(one.sizes)},
           {"sas", 1},        {"runs", one.mrr.size()}, {"limit", one.limit(machine)}};
  if (!one.generator_limited) out["mrr_mpps"] = spread_json(one.mrr, mega);
  if (!one.ndr.empty()) out["ndr_mpps"] = spread_json(one.ndr, mega);
  if (!one.pdr.empty()) out["pdr_mpps"] = spread_json(one.pdr, mega);
  out["offered_mpps"] = rounded(one.offered / mega);
  out["engine_cycles"] = rounded(one.engine_cycles);
  out["judged"] = one.checked.judged;
  out["wrong"] = one.checked.wrong;
  return out;
}

json latency_json(const latency_result& one) {
  return {{"bench", "latency"},
          {"direction", "out"},
          {"suite", info(one.suite).name},
          {"size", size_of(one.sizes)},
          {"load", one.load},
          {"runs", one.p50.size()},
          {"p50_us", spread_json(one.p50, 1)},
          {"p99_us", spread_json(one.p99, 1)},
          {"p999_us", spread_json(one.p999, 1)},
          {"lost", one.lost},
          {"wrong", 0}};
}

}  // namespace trunkgate::bench
