#include <algorithm>
#include <cmath>

#include "perf/bench/report.hpp"
#include "perf/bench/report_figures.hpp"

namespace trunkgate::bench {
namespace {

using json = nlohmann::ordered_json;

double rounded(double value) { return std::round(value * 100) / 100; }
json rounded(const spread& values) {
  return {{"min", rounded(values.min)}, {"median", rounded(values.median)}, {"max", rounded(values.max)}};
}

json size_of(packet_sizes sizes) {
  if (sizes.is_imix()) return "imix";
  return sizes.largest();
}

void add_checks(json& into, const checks& checked) {
  into["verified"] = checked.verified;
  if (checked.judged != 0) into["judged"] = checked.judged;
  into["wrong"] = checked.wrong;
}

json stages_of(const pass_figures& run) {
  json stages = json::object();
  for (std::size_t s = 0; s < stage_count; ++s)
    if (run.stages[s] != 0) stages[std::string(stage_names[s])] = rounded(run.stages[s]);
  return stages;
}

void add_rates(json& into, packet_sizes sizes, double cycles, const machine_report& machine) {
  const double rate = mpps(cycles, machine);
  into["mpps"] = rounded(rate);
  into["gbps"] = rounded(gbps(rate, sizes));
}

json entry(const crypto_result& result) {
  json out{{"bench", "crypto"},
           {"suite", info(result.suite).name},
           {"direction", result.encrypt ? "encrypt" : "decrypt"},
           {"size", size_of(result.sizes)},
           {"keys", result.keys},
           {"engine", result.engine},
           {"runs", result.cycles.size()},
           {"cycles_per_packet", rounded(spread_of(result.cycles))}};
  add_checks(out, result.checked);
  return out;
}

json entry(const esp_result& result, const machine_report& machine) {
  const auto cycles = spread_over(result.runs, &pass_figures::total);
  const auto crypto = spread_over(result.runs, &pass_figures::crypto);
  json out{{"bench", "esp"},
           {"direction", name(result.which)},
           {"suite", info(result.suite).name},
           {"size", size_of(result.sizes)},
           {"sas", result.sas},
           {"workers", 1},
           {"runs", result.runs.size()},
           {"cycles_per_packet", rounded(cycles)},
           {"crypto_cycles_per_packet", {{"min", rounded(crypto.min)}, {"median", rounded(crypto.median)}}},
           {"stages", stages_of(fastest(result.runs))},
           {"bytes_per_sa", rounded(result.bytes_per_sa)},
           {"add_seconds", result.add_seconds}};
  add_rates(out, result.sizes, cycles.median, machine);
  add_checks(out, result.checked);
  return out;
}

json entry(const forward_result& result, const machine_report& machine) {
  const auto cycles = spread_over(result.runs, &pass_figures::total);
  json out{{"bench", "forward"},
           {"size", size_of(result.sizes)},
           {"flows", result.flows},
           {"workers", 1},
           {"runs", result.runs.size()},
           {"cycles_per_packet", rounded(cycles)},
           {"stages", stages_of(fastest(result.runs))}};
  add_rates(out, result.sizes, cycles.median, machine);
  add_checks(out, result.checked);
  return out;
}

json entry(const memory_result& result) {
  const auto& figures = result.figures;
  json out{{"bench", "memory"},
           {"object", result.object->name},
           {"count", result.count},
           {"bytes_each", rounded(figures.bytes_each)},
           {"counted_by", result.object->counted_by},
           {"add_seconds", figures.add_seconds}};
  if (figures.fixed_bytes != 0) out["fixed_bytes"] = rounded(figures.fixed_bytes);
  if (figures.last_add_us) out["last_add_us"] = rounded(*figures.last_add_us);
  out["verified"] = figures.verified;
  out["wrong"] = figures.wrong;
  return out;
}

json turns(const turn_figures& figures) {
  return {{"median", rounded(figures.median_us)},
          {"longest", rounded(figures.longest_us)},
          {"turns", figures.turns},
          {"preempted", figures.preempted}};
}

json entry(const rebuild_result& result) {
  const auto& figures = result.figures;
  return {{"bench", "memory"},
          {"object", "rule_rebuild"},
          {"count", result.rules},
          {"add_seconds", figures.build_seconds},
          {"turn_us_quiet", turns(figures.quiet)},
          {"turn_us_rebuild", turns(figures.rebuild)},
          {"verified", figures.verified},
          {"wrong", figures.wrong}};
}

json entry(const ike_result& result) {
  // A handshake that fails ends the measurement: there are no wrong ones in a result.
  return {{"bench", "ike"},
          {"role", result.initiator ? "initiator" : "responder"},
          {"auth", result.kind.auth},
          {"ke", result.kind.key_exchange},
          {"runs", result.rates.size()},
          {"peers", result.peers},
          {"handshakes_per_cpu_second", rounded(spread_of(result.rates))},
          {"public_key_us", rounded(spread_of(microseconds(result.baseline)))},
          {"ratio_to_public_key", rounded(1 / spread_of(result.rates).median / spread_of(result.baseline).median)},
          {"bytes_per_peer", rounded(result.bytes)},
          {"configured_bytes", rounded(result.configured_bytes)},
          {"wrong", 0}};
}

json entry(const scale_figures& figures) {
  return {{"bench", "ike"},
          {"peers", figures.peers},
          {"lifetime", figures.lifetime},
          {"up", figures.up},
          {"seconds_to_up", rounded(figures.seconds_to_up)},
          {"child_rekeys", figures.child_rekeys},
          {"ike_rekeys", figures.ike_rekeys},
          {"not_rekeyed", figures.not_rekeyed},
          {"failures", figures.failures},
          {"first_failure", figures.first_failure},
          {"oldest_child_seconds", rounded(figures.oldest_child)},
          {"oldest_ike_sa_seconds", rounded(figures.oldest_ike_sa)},
          {"longest_silence_seconds", rounded(figures.longest_silence)},
          {"silence_limit_seconds", rounded(figures.silence_limit)},
          {"latest_timer_ms", rounded(figures.latest_timer_ms)},
          {"cpu_share", figures.cpu_share},
          {"wrong", wrong_in(figures)}};
}

}  // namespace

json to_json(const results& measured, const machine_report& machine) {
  json list = json::array();
  for (const auto& result : measured.crypto) list.push_back(entry(result));
  for (const auto& result : measured.esp) list.push_back(entry(result, machine));
  for (const auto& result : measured.forward) list.push_back(entry(result, machine));
  for (const auto& result : measured.memory) list.push_back(entry(result));
  for (const auto& result : measured.rebuild) list.push_back(entry(result));
  for (const auto& one : measured.rate) list.push_back(rate_json(one, machine));
  for (const auto& one : measured.latency) list.push_back(latency_json(one));
  for (const auto& result : measured.ike) list.push_back(entry(result));
  for (const auto& figures : measured.scale) list.push_back(entry(figures));
  return {{"machine", machine_json(machine)}, {"results", list}};
}

}  // namespace trunkgate::bench
