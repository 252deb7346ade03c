// What was measured, for people (100 columns) and as JSON.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "drivers/crypto/engine.hpp"
#include "drivers/port/eal.hpp"
#include "perf/bench/crypto_run.hpp"
#include "perf/bench/esp_run.hpp"
#include "perf/bench/ike_run.hpp"
#include "perf/bench/options.hpp"
#include "perf/bench/rebuild_run.hpp"
#include "perf/bench/spread.hpp"

namespace trunkgate::bench {

// What was compared on the way.
struct checks {
  std::uint64_t verified = 0, wrong = 0, judged = 0;
};

// All runs of one engine, suite, size, number of keys and direction.
struct crypto_result {
  std::string engine;
  esp_suite suite{};
  packet_sizes sizes{0};
  std::uint32_t keys = 0;
  bool encrypt = false;
  std::vector<double> cycles;
  checks checked;
};

// All runs of one direction, suite, size and number of SAs.
struct esp_result {
  direction which = direction::out;
  esp_suite suite{};
  packet_sizes sizes{0};
  std::uint32_t sas = 0;
  std::vector<pass_figures> runs;
  checks checked;
  double bytes_per_sa = 0, add_seconds = 0;  // of both gateways' SAs
};

// All runs of one size and number of flows.
struct forward_result {
  packet_sizes sizes{0};
  std::uint32_t flows = 0;
  std::vector<pass_figures> runs;
  checks checked;
};

struct memory_result {
  const object_row* object = nullptr;
  std::uint32_t count = 0;
  object_figures figures;
};

struct rebuild_result {
  std::uint32_t rules = 0;
  rebuild_figures figures;
};

// All runs of one way to prove oneself and one key exchange, of one role.
struct ike_result {
  ike_kind kind;
  bool initiator = false;
  std::uint32_t peers = 0;                 // of each run
  std::vector<double> rates{};             // handshakes for each second of a processor
  std::vector<double> baseline{};          // seconds of its public-key operations alone, of each run
  double bytes = 0, configured_bytes = 0;  // of a peer with one child; of a tunnel that is down
};

struct machine_report;

// All runs of the rates of one suite and size, in packets per second.
struct rate_result {
  esp_suite suite{};
  packet_sizes sizes{0};
  std::vector<double> mrr{}, ndr{}, pdr{};  // the last two are empty where the generator was the limit
  double offered = 0;                       // by the generator, at most
  bool generator_limited = false;
  double gateway_share = 1;  // of a processor, in the best of those runs
  double engine_cycles = 0;  // the engine alone, per packet
  checks checked{};
  // What kept it from more: "generator", "other work" on its processor, "crypto" (half of the cycles, or more), or the
  // gateway's "own work".
  [[nodiscard]] std::string limit(const machine_report& machine) const;
};

// Microseconds, of each run, at a part of the NDR.
struct latency_result {
  esp_suite suite{};
  packet_sizes sizes{0};
  double load = 0;
  std::vector<double> p50{}, p99{}, p999{};
  std::uint64_t lost = 0;
};

struct machine_report {
  std::string cpu;
  std::vector<std::string> flags;
  std::uint64_t tsc_hz = 0;  // 0: nothing is measured by it
  std::vector<engine_choice> engines;
  bool hugepages = false;
  std::vector<std::string> warnings;  // why these figures may be worse than the machine
};
[[nodiscard]] machine_report describe_machine(const crypto_engines& engines, const eal_report& eal);
// Of what needs neither DPDK nor an engine.
[[nodiscard]] machine_report describe_machine();
[[nodiscard]] std::string machine_text(const machine_report& machine);
[[nodiscard]] nlohmann::ordered_json machine_json(const machine_report& machine);

// One benchmark's results. Only the lists of what was asked for are filled.
struct results {
  std::vector<crypto_result> crypto;
  std::vector<esp_result> esp;
  std::vector<forward_result> forward;
  std::vector<memory_result> memory;
  std::vector<rebuild_result> rebuild;
  std::vector<rate_result> rate;
  std::vector<latency_result> latency;
  std::vector<ike_result> ike;
  std::vector<scale_figures> scale;
};
[[nodiscard]] std::string result_tables(const results& measured, const machine_report& machine, bool stages);
// How many packets were compared, and how many were wrong.
[[nodiscard]] std::string checks_text(const results& measured);
[[nodiscard]] nlohmann::ordered_json to_json(const results& measured, const machine_report& machine);
[[nodiscard]] std::string rate_table(const std::vector<rate_result>& list, const machine_report& machine);
[[nodiscard]] std::string latency_table(const std::vector<latency_result>& list);
[[nodiscard]] nlohmann::ordered_json rate_json(const rate_result& one, const machine_report& machine);
[[nodiscard]] nlohmann::ordered_json latency_json(const latency_result& one);
[[nodiscard]] std::string ike_table(const std::vector<ike_result>& list);
[[nodiscard]] std::string scale_text(const scale_figures& figures);
// Tunnels that are not as they should be.
[[nodiscard]] std::uint64_t wrong_in(const scale_figures& figures);
[[nodiscard]] std::uint64_t wrong_in(const results& measured);

}  // namespace trunkgate::bench
