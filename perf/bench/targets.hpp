// What the gateway is to reach, figure by figure, and how far it is from there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "perf/bench/report.hpp"

namespace trunkgate::bench {

// The processor on which the targets were set. On another one compare what has the engine's cycles divided out.
inline constexpr std::string_view targets_machine = "AMD Zen 3, TSC 2,445 MHz, AES-NI, VAES and VPCLMULQDQ of 256 bits";

struct target_row {
  enum class kind { esp, forward, sa_pair };
  kind what = kind::esp;
  direction which = direction::out;
  esp_suite suite{};
  std::uint32_t count = 1;  // SAs, flows or pairs
  std::uint16_t size = 0;   // bytes of the inner packet
  double required = 0;      // TSC cycles per packet; of a pair bytes
  double stretch = 0;       // 0: none
  double engine_there = 0;  // the engine alone on `targets_machine`, in cycles; 0: not compared
  [[nodiscard]] std::string name() const;
};
[[nodiscard]] std::span<const target_row> target_rows();
// Cycles per packet of everything but the engine, at most.
[[nodiscard]] double own_target(std::uint16_t size);

// One row with what was measured.
struct target_result {
  const target_row* row = nullptr;
  double min = 0;
  std::optional<double> median;
  double engine = 0;  // of the same run; 0: no engine in it

  [[nodiscard]] double ratio() const { return min / row->required; }
  [[nodiscard]] double own() const { return min - engine; }
  // Total to engine, here and there.
  [[nodiscard]] double times_engine() const { return min / engine; }
  [[nodiscard]] double times_engine_target() const { return row->required / row->engine_there; }
};

// The rows for which something was measured, in the table's order.
[[nodiscard]] std::vector<target_result> target_results(const results& measured);
[[nodiscard]] std::string target_tables(const std::vector<target_result>& list);
[[nodiscard]] nlohmann::ordered_json target_json(const target_result& result);

}  // namespace trunkgate::bench
