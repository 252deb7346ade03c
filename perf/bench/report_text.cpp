#include "controlplane/cli/table.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/report.hpp"
#include "perf/bench/report_figures.hpp"

namespace trunkgate::bench {
namespace {

using enum table::alignment;

severity how(std::uint64_t wrong) { return wrong == 0 ? severity::fine : severity::problem; }

std::string sum_of_checks(std::uint64_t verified, std::uint64_t wrong) {
  return count(verified) + " packets compared byte by byte, " + (wrong == 0 ? "none" : count(wrong)) + " wrong.\n";
}
template <class Result>
std::string checks_text(const std::vector<Result>& list) {
  std::uint64_t verified = 0, wrong = 0;
  for (const auto& result : list) {
    verified += result.checked.verified;
    wrong += result.checked.wrong;
  }
  return sum_of_checks(verified, wrong);
}

std::string crypto_table(const std::vector<crypto_result>& list) {
  table rows({{"SUITE"},
              {"ENGINE"},
              {"DIRECTION"},
              {"SIZE", right},
              {"KEYS", right},
              {"CYCLES", right},
              {"MEDIAN", right},
              {"MAX", right},
              {"WRONG", right}});
  for (const auto& result : list) {
    const auto cycles = spread_of(result.cycles);
    rows.add(how(result.checked.wrong),
             {std::string(info(result.suite).name), result.engine, result.encrypt ? "encrypt" : "decrypt",
              result.sizes.name(), count(result.keys), number(cycles.min), number(cycles.median), number(cycles.max),
              count(result.checked.wrong)});
  }
  return rows.text({}) + "TSC cycles per packet, minimum over the runs; size: the inner packet's.\n" +
         checks_text(list);
}

std::string esp_table(const std::vector<esp_result>& list, const machine_report& machine) {
  table rows({{"DIR"},
              {"SUITE"},
              {"SIZE", right},
              {"SAS", right},
              {"CYCLES", right},
              {"MEDIAN", right},
              {"MAX", right},
              {"CRYPTO", right},
              {"OWN", right},
              {"RATIO", right},
              {"MPPS", right},
              {"GBPS", right},
              {"WRONG", right}});
  for (const auto& result : list) {
    const auto cycles = spread_over(result.runs, &pass_figures::total);
    const double crypto = spread_over(result.runs, &pass_figures::crypto).min;
    const double rate = mpps(cycles.median, machine);
    rows.add(how(result.checked.wrong),
             {std::string(name(result.which)), std::string(info(result.suite).name), result.sizes.name(),
              count(result.sas), number(cycles.min), number(cycles.median), number(cycles.max), number(crypto),
              number(cycles.min - crypto), number(cycles.min / crypto, 1), number(rate, 2),
              number(gbps(rate, result.sizes), 1), count(result.checked.wrong)});
  }
  std::string out = rows.text({}) +
                    "TSC cycles per packet, minimum over the runs; own: without crypto; ratio: cycles to crypto;\n"
                    "rates at the median.\n" +
                    checks_text(list);
  const esp_result* before = nullptr;
  for (const auto& result : list) {
    if (before == nullptr || before->sas != result.sas || before->suite != result.suite)
      out += count(result.sas) + (result.sas == 1 ? " SA of " : " SAs of ") + std::string(info(result.suite).name) +
             " in both gateways: " + number(result.bytes_per_sa * result.sas / 1e6, 1) + " MB, added in " +
             number(result.add_seconds, 2) + " s.\n";
    before = &result;
  }
  return out;
}

std::string forward_table(const std::vector<forward_result>& list, const machine_report& machine) {
  table rows({{"SIZE", right},
              {"FLOWS", right},
              {"CYCLES", right},
              {"MEDIAN", right},
              {"MAX", right},
              {"MPPS", right},
              {"GBPS", right},
              {"WRONG", right}});
  for (const auto& result : list) {
    const auto cycles = spread_over(result.runs, &pass_figures::total);
    const double rate = mpps(cycles.median, machine);
    rows.add(how(result.checked.wrong),
             {result.sizes.name(), count(result.flows), number(cycles.min), number(cycles.median), number(cycles.max),
              number(rate, 2), number(gbps(rate, result.sizes), 1), count(result.checked.wrong)});
  }
  return rows.text({}) + "TSC cycles per packet, minimum over the runs; rates at the median.\n" + checks_text(list);
}

std::string memory_table(const std::vector<memory_result>& list) {
  table rows({{"OBJECT"},
              {"COUNT", right},
              {"BYTES EACH", right},
              {"TABLE, MB", right},
              {"SECONDS", right},
              {"US EACH", right},
              {"LAST MIN", right},
              {"MEDIAN", right},
              {"WRONG", right}});
  for (const auto& result : list) {
    const auto& figures = result.figures;
    rows.add(how(figures.wrong),
             {std::string(result.object->name), count(result.count), number(figures.bytes_each),
              figures.fixed_bytes != 0 ? number(figures.fixed_bytes / 1e6, 1) : "", number(figures.add_seconds, 3),
              number(figures.add_seconds * 1e6 / result.count, 2),
              figures.last_add_us ? number(figures.last_add_us->min, 1) : "",
              figures.last_add_us ? number(figures.last_add_us->median, 1) : "", count(figures.wrong)});
  }
  return rows.text({}) +
         "Table: what is there before the first. Last: microseconds of each of the last 1,000 adds, or per\n"
         "object over the batches of 1,000. SA pair: an outbound SA with its selectors, and its inbound SA.\n";
}

std::string rebuild_text(const rebuild_result& result) {
  const auto& figures = result.figures;
  table rows({{"WORKER'S TURNS OF 64"},
              {"TURNS", right},
              {"MEDIAN, US", right},
              {"LONGEST, US", right},
              {"PREEMPTED", right}});
  for (const auto& [when, turns] :
       {std::pair("without", &figures.quiet), std::pair("during a rebuild", &figures.rebuild)})
    rows.add(severity::fine, {when, count(turns->turns), number(turns->median_us, 1), number(turns->longest_us, 1),
                              count(turns->preempted)});
  return "\n" + count(result.rules) + " operator's rules compiled and swapped in " + number(figures.build_seconds, 3) +
         " s while a worker forwarded\n" + rows.text({}) +
         "Turns in which the kernel gave the processor to another thread are counted as preempted only.\n" +
         sum_of_checks(figures.verified, figures.wrong);
}

std::string stage_table(const std::string& title, const std::vector<pass_figures>& runs) {
  const auto& run = fastest(runs);
  table rows({{"STAGE"}, {"CYCLES", right}});
  double between = run.total;  // of the turn that no stage counts: polling, rings, the clock
  for (std::size_t s = 0; s < stage_count; ++s) {
    if (run.stages[s] != 0) rows.add(severity::fine, {std::string(stage_names[s]), number(run.stages[s], 1)});
    between -= run.stages[s];
  }
  rows.add(severity::fine, {"between stages", number(std::max(0.0, between), 1)});
  rows.add(severity::fine, {"total", number(run.total, 1)});
  if (run.crypto != 0) rows.add(severity::fine, {"of it crypto", number(run.crypto, 1)});
  return "\n" + title + ", fastest run\n" + rows.text({});
}

}  // namespace

std::string result_tables(const results& measured, const machine_report& machine, bool stages) {
  std::string out;
  if (!measured.crypto.empty()) out += crypto_table(measured.crypto);
  if (!measured.esp.empty()) out += esp_table(measured.esp, machine);
  if (!measured.forward.empty()) out += forward_table(measured.forward, machine);
  if (!measured.memory.empty()) out += memory_table(measured.memory);
  for (const auto& result : measured.rebuild) out += rebuild_text(result);
  if (!measured.rate.empty()) out += rate_table(measured.rate, machine) + latency_table(measured.latency);
  if (!measured.ike.empty()) out += ike_table(measured.ike);
  for (const auto& figures : measured.scale) out += scale_text(figures);
  if (!stages) return out;
  for (const auto& result : measured.esp)
    out += stage_table(std::string(name(result.which)) + " " + std::string(info(result.suite).name) + " " +
                           result.sizes.name() + " B, " + count(result.sas) + (result.sas == 1 ? " SA" : " SAs"),
                       result.runs);
  for (const auto& result : measured.forward)
    out += stage_table("forward " + result.sizes.name() + " B, " + count(result.flows) + " flows", result.runs);
  return out;
}

std::string checks_text(const results& measured) {
  std::uint64_t verified = 0;
  for (const auto& result : measured.crypto) verified += result.checked.verified;
  for (const auto& result : measured.esp) verified += result.checked.verified;
  for (const auto& result : measured.forward) verified += result.checked.verified;
  return sum_of_checks(verified, wrong_in(measured));
}

std::uint64_t wrong_in(const results& measured) {
  std::uint64_t wrong = 0;
  for (const auto& result : measured.crypto) wrong += result.checked.wrong;
  for (const auto& result : measured.esp) wrong += result.checked.wrong;
  for (const auto& result : measured.forward) wrong += result.checked.wrong;
  for (const auto& result : measured.memory) wrong += result.figures.wrong;
  for (const auto& result : measured.rebuild) wrong += result.figures.wrong;
  for (const auto& one : measured.rate) wrong += one.checked.wrong;
  for (const auto& figures : measured.scale) wrong += wrong_in(figures);
  return wrong;
}

}  // namespace trunkgate::bench
