#include "perf/bench/measure.hpp"

#include <algorithm>

#include "perf/bench/forward_run.hpp"

namespace trunkgate::bench {
namespace {

std::string counted(std::uint32_t number, const char* what) { return std::to_string(number) + " " + what; }

// Runs of one measurement; fewer when it is stopped. `once(packets)` gives nothing then.
template <class Once>
auto repeat(const bench_options& options, const observer& by, const std::string& what, std::uint32_t warm_up,
            Once&& once) {
  std::vector<typename std::invoke_result_t<Once, std::uint32_t>::value_type> runs;
  // The first packets fill caches and tables: they are checked, not timed.
  if (!once(warm_up)) return runs;
  while (runs.size() < options.runs) {
    by.progress(what + ": run " + std::to_string(runs.size() + 1) + " of " + std::to_string(options.runs));
    auto run = once(options.packets);
    if (!run) break;
    runs.push_back(*run);
  }
  return runs;
}

pass_figures pick(const run_figures& run, direction which) {
  if (which == direction::out) return run.out;
  if (which == direction::in) return run.in;
  pass_figures both{run.out.total + run.in.total, run.out.crypto + run.in.crypto, {}};
  for (std::size_t s = 0; s < stage_count; ++s) both.stages[s] = run.out.stages[s] + run.in.stages[s];
  return both;
}

result<void> measure_esp(const bench_options& options, const crypto_engines& engines, const observer& by,
                         std::vector<esp_result>& into, esp_suite suite, std::uint32_t sas, buffer_pools& pools) {
  const auto what = std::string(info(suite).name) + ", " + counted(sas, "SAs");
  by.progress(what + ": adding them");
  auto pool = pools.for_packets(packet_sizes::imix());
  if (!pool) return std::unexpected(pool.error());
  auto bench = esp_bench::make(*pool, engines, suite, sas);
  if (!bench) return std::unexpected(bench.error());
  for (const auto sizes : options.sizes) {
    auto buffers = pools.for_packets(sizes);
    if (!buffers) return std::unexpected(buffers.error());
    checker checked(sizes, sas);
    const auto judged_before = bench->judged();
    const auto runs = repeat(options, by, what + ", " + sizes.name() + " bytes", std::max(round_packets, sas),
                             [&](std::uint32_t packets) { return bench->run(*buffers, checked, packets, by.stop); });
    if (runs.empty()) return {};
    for (const auto which : options.directions) {
      auto& result = into.emplace_back();
      result.which = which;
      result.suite = suite;
      result.sizes = sizes;
      result.sas = sas;
      for (const auto& run : runs) result.runs.push_back(pick(run, which));
      result.checked = {checked.verified(), checked.wrong(), bench->judged() - judged_before};
      result.bytes_per_sa = bench->pair().bytes_per_sa;
      result.add_seconds = bench->pair().add_seconds;
    }
  }
  return {};
}

result<void> measure_forward(const bench_options& options, const crypto_engines& engines, const observer& by,
                             std::vector<forward_result>& into, std::uint32_t flows, buffer_pools& pools) {
  auto pool = pools.for_packets(packet_sizes::imix());
  if (!pool) return std::unexpected(pool.error());
  auto bench = forward_bench::make(*pool, engines, flows);
  if (!bench) return std::unexpected(bench.error());
  for (const auto sizes : options.sizes) {
    auto buffers = pools.for_packets(sizes);
    if (!buffers) return std::unexpected(buffers.error());
    checker checked(sizes, flows);
    auto runs = repeat(options, by, "forward, " + counted(flows, "flows, ") + sizes.name() + " bytes",
                       std::max(round_packets, flows),
                       [&](std::uint32_t packets) { return bench->run(*buffers, checked, packets, by.stop); });
    if (runs.empty()) return {};
    into.push_back({sizes, flows, std::move(runs), {checked.verified(), checked.wrong(), 0}});
  }
  return {};
}

result<void> measure_crypto(const bench_options& options, const esp_engine& engine, const observer& by,
                            std::vector<crypto_result>& into, esp_suite suite, std::uint32_t keys) {
  for (const auto sizes : options.sizes) {
    auto bench = crypto_bench::make(engine, suite, keys);
    if (!bench) return std::unexpected(bench.error());
    const std::string engine_name(engine.name());
    const auto runs = repeat(
        options, by,
        std::string(info(suite).name) + ", " + engine_name + ", " + counted(keys, "keys, ") + sizes.name() + " bytes",
        std::max(options.packets / 4, keys),
        [&](std::uint32_t packets) { return bench->run(sizes, packets, by.stop); });
    if (runs.empty()) return {};
    for (const bool encrypt : {true, false}) {
      auto& result = into.emplace_back();
      result = {engine_name, suite, sizes, keys, encrypt, {}, {bench->verified(), bench->wrong(), bench->judged()}};
      for (const auto& run : runs) result.cycles.push_back(encrypt ? run.encrypt : run.decrypt);
    }
  }
  return {};
}

result<void> measure_memory(const bench_options& options, const crypto_engines& engines, const observer& by,
                            results& into) {
  for (const auto* object : options.objects)
    for (const auto wanted : options.counts) {
      if (by.stop) return {};
      const auto count = std::min(wanted, object->most);
      by.progress(std::string(object->name) + ", " + std::to_string(count));
      auto figures = object->measure(engines, count);
      if (!figures) return std::unexpected(figures.error());
      into.memory.push_back({object, count, *figures});
    }
  if (!options.rebuild || by.stop) return {};
  buffer_pools pools;
  auto pool = pools.for_packets(packet_sizes::imix());
  if (!pool) return std::unexpected(pool.error());
  const auto rules = std::min(most_rules, *std::ranges::max_element(options.counts));
  by.progress(counted(rules, "rules rebuilt while a worker forwards"));
  auto figures = measure_rebuild(*pool, engines, rules);
  if (!figures) return std::unexpected(figures.error());
  into.rebuild.push_back({rules, *figures});
  return {};
}

}  // namespace

result<void> measure(const bench_options& options, const crypto_engines& engines, const observer& by, results& into) {
  const auto what = options.what->name;
  if (what == "targets") return measure_targets(options, engines, by, into);
  if (what == "latency") return measure_latency(options, engines, by, into);
  if (what == "memory") return measure_memory(options, engines, by, into);
  buffer_pools pools;
  if (what == "forward") {
    for (const auto flows : options.counts) {
      if (by.stop) return {};
      if (auto done = measure_forward(options, engines, by, into.forward, flows, pools); !done) return done;
    }
    return {};
  }
  for (const auto suite : options.suites)
    for (const auto count : options.counts) {
      if (what == "esp" && !by.stop)
        if (auto done = measure_esp(options, engines, by, into.esp, suite, count, pools); !done) return done;
      for (const auto& engine : engines.engines())
        if (what == "crypto" && engine->supports(suite) && !by.stop)
          if (auto done = measure_crypto(options, *engine, by, into.crypto, suite, count); !done) return done;
    }
  return {};
}

}  // namespace trunkgate::bench
