// trunkgate-bench: measures this machine. `trunkgate bench ...` runs it.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "perf/bench/diff.hpp"
#include "perf/bench/measure.hpp"
#include "perf/bench/report_html.hpp"
#include "perf/bench/targets.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::bench;

// Buffers, two routing tables of 64 MB, reassembly; for `memory` 100,000 buffers and two routing tables of 100,000.
constexpr std::uint32_t memory_mb = 640;

std::atomic<bool> stop{false};

int fail(const std::string& why) {
  std::cerr << "trunkgate bench: " << why << (why.ends_with('\n') ? "" : "\n");
  return 1;
}

void show_progress(const std::string& text) {
  if (::isatty(STDERR_FILENO) != 0) std::fprintf(stderr, "\r\033[K%s", text.c_str());
}

// False, and said: it could not be written. Nothing to do without a name.
template <class Content>
bool write_file(const std::string& name, Content&& content) {
  if (name.empty()) return true;
  std::ofstream file(name);
  file << content();
  if (file.flush()) return true;
  fail(name + ": can't be written");
  return false;
}

// Shows the machine, lets `measure_all(observer, results)` work, and shows and writes what it found.
template <class Measure>
int report(const bench_options& options, const machine_report& machine, Measure&& measure_all) {
  std::signal(SIGINT, [](int) { stop = true; });
  std::cout << machine_text(machine) << "\n" << std::flush;
  results measured;
  const result<void> done = measure_all(observer{stop, show_progress}, measured);
  show_progress("");
  if (!done) return fail(done.error().reason);
  if (stop) std::cout << "stopped: what was measured so far\n";
  const auto against_targets =
      options.what->name == "targets" ? target_results(measured) : std::vector<target_result>{};
  if (options.what->name == "targets")
    std::cout << target_tables(against_targets) << checks_text(measured);
  else
    std::cout << result_tables(measured, machine, options.stages);
  auto written = to_json(measured, machine);
  for (const auto& one : against_targets) written["results"].push_back(target_json(one));
  if (!write_file(options.json_file, [&] { return written.dump(2) + "\n"; })) return 1;
  if (!write_file(options.html_file, [&] { return html_page(written); })) return 1;
  if (wrong_in(measured) != 0) return fail("something was lost, damaged or not found: the figures mean nothing");
  return stop ? 130 : 0;
}

int run(const bench_options& options) {
  if (options.what->name == "diff") {
    const auto none_slower = print_difference(options.files[0], options.files[1], options.any_machine);
    if (!none_slower) return fail(none_slower.error().reason);
    return *none_slower ? 0 : 1;
  }
  if (options.what->name == "ike")
    return report(options, describe_machine(),
                  [&](const observer& by, results& into) { return measure_ike(options, by, into); });
  auto eal = start_eal({.hugepages = true, .memory_mb = memory_mb, .pci_devices = {}});
  if (!eal) return fail(eal.error().reason);
  auto engines = crypto_engines::start();
  if (!engines) return fail(engines.error().reason);
  return report(options, describe_machine(*engines, *eal),
                [&](const observer& by, results& into) { return measure(options, *engines, by, into); });
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  for (const auto& word : words)
    if (word == "--help" || word == "-h" || word == "help") {
      std::cout << usage();
      return 0;
    }
  const auto options = parse_options(words);
  if (!options) return fail(options.error().reason);
  return run(*options);
}
