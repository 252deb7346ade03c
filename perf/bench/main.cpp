// trunkgate-bench: measures this machine. `trunkgate bench esp ...` runs it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>

#include <rte_mbuf.h>

#include "perf/bench/report.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::bench;

constexpr unsigned pool_packets = 12287;  // a round in flight, one more being written, and the cache
constexpr std::uint32_t memory_mb = 512;  // two routing tables of 64 MB, reassembly, the buffers

std::atomic<bool> stop{false};

int fail(const std::string& why) {
  std::cerr << "trunkgate bench: " << why << (why.ends_with('\n') ? "" : "\n");
  return 1;
}

void show_progress(const std::string& text) {
  if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

direction_figures pick(const run_figures& run, direction which) {
  if (which == direction::out) return run.out;
  if (which == direction::in) return run.in;
  direction_figures both{run.out.total + run.in.total, run.out.crypto + run.in.crypto, {}};
  for (std::size_t s = 0; s < stage_count; ++s) both.stages[s] = run.out.stages[s] + run.in.stages[s];
  return both;
}

// All runs of one suite, number of SAs and size; fewer when it is stopped, none before the first has ended.
void measure(esp_bench& bench, esp_suite suite, std::uint32_t sas, std::uint16_t size, const esp_options& options,
             std::vector<esp_result>& results) {
  checker checked(size, sas);
  const std::uint64_t judged_before = bench.judged();
  std::vector<run_figures> runs;
  // The first packets fill caches and tables: they are checked, not timed.
  auto warm = bench.run(checked, std::max(round_packets, sas), stop);
  while (warm && runs.size() < options.runs) {
    show_progress(std::string(info(suite).name) + ", " + std::to_string(sas) + " SAs, " + std::to_string(size) +
                  " bytes: run " + std::to_string(runs.size() + 1) + " of " + std::to_string(options.runs));
    auto run = bench.run(checked, options.packets, stop);
    if (!run) break;
    runs.push_back(*run);
  }
  show_progress("");
  if (runs.empty()) return;
  for (const auto which : options.directions) {
    esp_result result{which, suite, size, sas, {}, checked.verified(), checked.wrong(), bench.judged() - judged_before};
    for (const auto& run : runs) result.runs.push_back(pick(run, which));
    results.push_back(std::move(result));
  }
}

result<void> measure_all(const esp_options& options, const crypto_engines& engines, std::vector<esp_result>& results) {
  rte_mempool* pool = rte_pktmbuf_pool_create("bench", pool_packets, 256, sizeof(packet_meta),
                                              packet_headroom + link_mtu + 128, SOCKET_ID_ANY);
  if (pool == nullptr) return failure("no memory for packet buffers");
  for (const auto suite : options.suites)
    for (const auto sas : options.sas) {
      if (stop) return {};
      auto bench = esp_bench::make(pool, engines, suite, sas);
      if (!bench) return std::unexpected(bench.error());
      for (const auto size : options.sizes)
        if (!stop) measure(*bench, suite, sas, size, options, results);
    }
  return {};
}

int run_esp(const esp_options& options) {
  auto eal = start_eal({.hugepages = true, .memory_mb = memory_mb, .pci_devices = {}});
  if (!eal) return fail(eal.error().reason);
  auto engines = crypto_engines::start();
  if (!engines) return fail(engines.error().reason);
  const auto machine = describe_machine(*engines, *eal);
  std::signal(SIGINT, [](int) { stop = true; });
  std::cout << machine_text(machine) << "\n" << std::flush;
  std::vector<esp_result> results;
  if (auto measured = measure_all(options, *engines, results); !measured) return fail(measured.error().reason);
  if (stop) std::cout << "stopped: what was measured so far\n";
  std::cout << result_table(results, machine);
  if (options.stages) std::cout << stage_table(results);
  if (!options.json_file.empty()) {
    std::ofstream file(options.json_file);
    file << to_json(machine, results).dump(2) << "\n";
    if (!file.flush()) return fail(options.json_file + ": can't be written");
  }
  const bool wrong = std::ranges::any_of(results, [](const auto& result) { return result.wrong != 0; });
  if (wrong) return fail("packets were lost or damaged: the figures mean nothing");
  return stop ? 130 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  for (const auto& word : words)
    if (word == "--help" || word == "-h" || word == "help") {
      std::cout << usage();
      return 0;
    }
  if (words.empty() || words.front() != "esp")
    return fail(
        (words.empty() ? "what? There is: esp" : "there is no benchmark \"" + words.front() + "\"; there is: esp") +
        "\n" + usage());
  const auto options = parse_esp_options(std::span(words).subspan(1));
  if (!options) return fail(options.error().reason);
  return run_esp(*options);
}
