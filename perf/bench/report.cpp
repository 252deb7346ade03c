#include "perf/bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <set>

#include <openssl/crypto.h>
#include <rte_cycles.h>
#include <rte_version.h>

#include "controlplane/cli/machine.hpp"
#include "controlplane/cli/table.hpp"

namespace trunkgate::bench {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* interesting_flags[] = {"aes",        "pclmulqdq", "avx2",    "sha_ni",    "vaes",
                                             "vpclmulqdq", "gfni",      "avx512f", "hypervisor"};

std::string number(double value, int digits = 0) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
double rounded(double value) { return std::round(value * 100) / 100; }

template <class Member>
spread spread_over(const esp_result& result, Member member) {
  std::vector<double> values;
  for (const auto& run : result.runs) values.push_back(run.*member);
  return spread_of(values);
}
const direction_figures& fastest(const esp_result& result) {
  return *std::ranges::min_element(result.runs, {}, &direction_figures::total);
}
double mpps(const spread& cycles, const machine_report& machine) {
  return static_cast<double>(machine.tsc_hz) / cycles.median / 1e6;
}
double gbps(const esp_result& result, double rate) { return rate * result.size * 8 / 1e3; }

std::string where(const esp_result& result) {
  return std::string(name(result.which)) + " " + std::string(info(result.suite).name) + " " +
         std::to_string(result.size) + " B, " + std::to_string(result.sas) + (result.sas == 1 ? " SA" : " SAs");
}

// A part of the turn that no stage counts: polling, rings, the clock.
double between_stages(const direction_figures& run) {
  double sum = 0;
  for (const double cycles : run.stages) sum += cycles;
  return std::max(0.0, run.total - sum);
}

}  // namespace

spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  const double median = values.size() % 2 != 0 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), median, values.back()};
}

machine_report describe_machine(const crypto_engines& engines, const eal_report& eal) {
  const auto facts = read_machine("/");
  machine_report report;
  report.cpu = facts.cpu_model;
  for (const auto* flag : interesting_flags)
    if (facts.cpu_flags.contains(flag)) report.flags.emplace_back(flag);
  report.tsc_hz = rte_get_tsc_hz();
  report.engines.assign(engines.choices().begin(), engines.choices().end());
  report.hugepages = eal.hugepages;
  if (!eal.hugepages) report.warnings.push_back("no hugepages: " + eal.note);
  double load = 0;
  if (::getloadavg(&load, 1) == 1 && load > 0.5)
    report.warnings.push_back("other work ran on this machine (load " + number(load, 1) +
                              "): compare minimum with minimum");
  if (facts.cpu_flags.contains("hypervisor"))
    report.warnings.emplace_back("a virtual machine: its host may take cycles unseen");
  if (!facts.cpu_flags.contains("constant_tsc"))
    report.warnings.emplace_back("the time stamp counter does not run at a constant rate");
#ifndef __OPTIMIZE__
  report.warnings.emplace_back("built without optimisation");
#endif
  return report;
}

std::string machine_text(const machine_report& machine) {
  std::string out = machine.cpu + ", TSC " + number(static_cast<double>(machine.tsc_hz) / 1e6) + " MHz";
  for (const auto& flag : machine.flags) out += " " + flag;
  out += "\n";
  for (const auto& warning : machine.warnings) out += "note: " + warning + "\n";
  return out;
}

std::string result_table(const std::vector<esp_result>& results, const machine_report& machine) {
  using enum table::alignment;
  table rows({{"DIRECTION"},
              {"SUITE"},
              {"SIZE", right},
              {"SAS", right},
              {"CYCLES", right},
              {"MEDIAN", right},
              {"MAX", right},
              {"CRYPTO", right},
              {"OWN WORK", right},
              {"MPPS", right},
              {"GBIT/S", right},
              {"VERIFIED", right},
              {"WRONG", right}});
  for (const auto& result : results) {
    const auto cycles = spread_over(result, &direction_figures::total);
    const auto crypto = spread_over(result, &direction_figures::crypto);
    const double rate = mpps(cycles, machine);
    rows.add(result.wrong == 0 ? severity::fine : severity::problem,
             {std::string(name(result.which)), std::string(info(result.suite).name), std::to_string(result.size),
              std::to_string(result.sas), number(cycles.min), number(cycles.median), number(cycles.max),
              number(crypto.min), number(cycles.min - crypto.min), number(rate, 2), number(gbps(result, rate), 2),
              std::to_string(result.verified), std::to_string(result.wrong)});
  }
  return rows.text({}) +
         "TSC cycles per packet, minimum over the runs; own work: cycles less crypto; rates at the median.\n";
}

std::string stage_table(const std::vector<esp_result>& results) {
  using enum table::alignment;
  std::string out;
  for (const auto& result : results) {
    const auto& run = fastest(result);
    table rows({{"STAGE"}, {"CYCLES", right}});
    for (std::size_t s = 0; s < stage_count; ++s)
      if (run.stages[s] != 0) rows.add(severity::fine, {std::string(stage_names[s]), number(run.stages[s], 1)});
    rows.add(severity::fine, {"between stages", number(between_stages(run), 1)});
    rows.add(severity::fine, {"total", number(run.total, 1)});
    rows.add(severity::fine, {"of it crypto", number(run.crypto, 1)});
    out += "\n" + where(result) + ", fastest run\n" + rows.text({});
  }
  return out;
}

json to_json(const machine_report& machine, const std::vector<esp_result>& results) {
  json engines = json::object();
  for (const auto& choice : machine.engines) engines[std::string(info(choice.suite).name)] = choice.engine->name();
  json out;
  out["machine"] = {{"cpu", machine.cpu},
                    {"flags", machine.flags},
                    {"tsc_hz", machine.tsc_hz},
                    {"engines", engines},
                    {"versions",
                     {{"trunkgate", TRUNKGATE_VERSION},
                      {"dpdk", rte_version()},
                      {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)}}},
                    {"hugepages", machine.hugepages},
                    {"warnings", machine.warnings}};
  out["results"] = json::array();
  for (const auto& result : results) {
    const auto cycles = spread_over(result, &direction_figures::total);
    const auto crypto = spread_over(result, &direction_figures::crypto);
    const auto& run = fastest(result);
    json stages = json::object();
    for (std::size_t s = 0; s < stage_count; ++s)
      if (run.stages[s] != 0) stages[std::string(stage_names[s])] = rounded(run.stages[s]);
    const double rate = mpps(cycles, machine);
    out["results"].push_back(
        {{"bench", "esp"},
         {"direction", name(result.which)},
         {"suite", info(result.suite).name},
         {"size", result.size},
         {"sas", result.sas},
         {"workers", 1},
         {"runs", result.runs.size()},
         {"cycles_per_packet",
          {{"min", rounded(cycles.min)}, {"median", rounded(cycles.median)}, {"max", rounded(cycles.max)}}},
         {"crypto_cycles_per_packet", {{"min", rounded(crypto.min)}, {"median", rounded(crypto.median)}}},
         {"stages", stages},
         {"mpps", rounded(rate)},
         {"gbps", rounded(gbps(result, rate))},
         {"verified", result.verified},
         {"judged", result.judged},
         {"wrong", result.wrong}});
  }
  return out;
}

}  // namespace trunkgate::bench
