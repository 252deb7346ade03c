// What was measured, for people and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "drivers/crypto/engine.hpp"
#include "drivers/port/eal.hpp"
#include "perf/bench/esp_run.hpp"
#include "perf/bench/options.hpp"

namespace trunkgate::bench {

struct spread {
  double min = 0, median = 0, max = 0;
};
[[nodiscard]] spread spread_of(std::vector<double> values);  // at least one

// All runs of one direction, suite, size and number of SAs.
struct esp_result {
  direction which = direction::out;
  esp_suite suite{};
  std::uint16_t size = 0;
  std::uint32_t sas = 0;
  std::vector<direction_figures> runs;
  std::uint64_t verified = 0, wrong = 0, judged = 0;
};

struct machine_report {
  std::string cpu;
  std::vector<std::string> flags;
  std::uint64_t tsc_hz = 0;
  std::vector<engine_choice> engines;
  bool hugepages = false;
  std::vector<std::string> warnings;  // why these figures may be worse than the machine
};
[[nodiscard]] machine_report describe_machine(const crypto_engines& engines, const eal_report& eal);

[[nodiscard]] std::string machine_text(const machine_report& machine);
[[nodiscard]] std::string result_table(const std::vector<esp_result>& results, const machine_report& machine);
[[nodiscard]] std::string stage_table(const std::vector<esp_result>& results);
[[nodiscard]] nlohmann::ordered_json to_json(const machine_report& machine, const std::vector<esp_result>& results);

}  // namespace trunkgate::bench
