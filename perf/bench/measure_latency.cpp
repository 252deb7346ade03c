#include <cmath>

#include "perf/bench/crypto_run.hpp"
#include "perf/bench/load_run.hpp"
#include "perf/bench/measure.hpp"
#include "perf/bench/rate_search.hpp"

namespace trunkgate::bench {
namespace {

constexpr double trial_seconds = 0.05, latency_seconds = 0.2;
constexpr double loads[] = {0.5, 0.9};
// In a pause of the generator the gateway's output fills up, which is not the gateway's fault: the trial is repeated.
constexpr double longest_pause = 0.5e-3;
constexpr int most_repeats = 5;

std::optional<double> loss_at(load_bench& bench, double rate, const std::atomic<bool>& stop) {
  for (int i = 0;; ++i) {
    const auto trial = bench.run(rate, trial_seconds, stop);
    if (!trial) return std::nullopt;
    const bool excused = trial->lost != 0 && trial->longest_pause > longest_pause;
    if (!excused || i == most_repeats) return trial->loss();
  }
}

std::optional<double> search(load_bench& bench, double most, double allowed, const std::atomic<bool>& stop) {
  bool stopped = false;
  const double found = highest_rate(most, allowed, [&](double rate) {
    const auto loss = stopped ? std::nullopt : loss_at(bench, rate, stop);
    stopped |= !loss;
    return loss.value_or(1);
  });
  return stopped ? std::nullopt : std::optional(found);
}

double percentile(const std::vector<double>& sorted, double part) {
  const auto place = static_cast<std::size_t>(std::ceil(part * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(place, 1, sorted.size()) - 1];
}

void measure_latencies(load_bench& bench, const bench_options& options, const observer& by, const rate_result& rates,
                       std::vector<latency_result>& into) {
  const double rate = spread_of(rates.ndr).median;
  if (rate <= 0) return;
  for (const double load : loads) {
    latency_result result{.suite = rates.suite, .sizes = rates.sizes, .load = load};
    by.progress("latency, " + rates.sizes.name() + " bytes, at " + std::to_string(std::lround(load * 100)) + " %");
    for (std::uint32_t i = 0; i < options.runs; ++i) {
      const auto trial = bench.run(load * rate, latency_seconds, by.stop);
      if (!trial || trial->latencies.empty()) return;
      result.p50.push_back(percentile(trial->latencies, 0.5));
      result.p99.push_back(percentile(trial->latencies, 0.99));
      result.p999.push_back(percentile(trial->latencies, 0.999));
      result.lost += trial->lost;
    }
    into.push_back(std::move(result));
  }
}

// The engine alone, so that what limits can be named.
result<double> engine_cycles(const crypto_engines& engines, esp_suite suite, packet_sizes sizes, const observer& by) {
  for (const auto& choice : engines.choices()) {
    if (choice.suite != suite) continue;
    auto bench = crypto_bench::make(*choice.engine, suite, 1);
    if (!bench) return std::unexpected(bench.error());
    double least = 0;
    for (int i = 0; i < 10; ++i)
      if (const auto run = bench->run(sizes, 4096, by.stop); run && (least == 0 || run->encrypt < least))
        least = run->encrypt;
    return least;
  }
  return 0.0;
}

// False: stopped.
bool measure_rates(load_bench& bench, const bench_options& options, const observer& by, rate_result& into) {
  const auto what = "rates, " + into.sizes.name() + " bytes: ";
  by.progress(what + "as fast as the generator can");
  double lost = 0, offered = 0, share = 0;
  for (std::uint32_t i = 0; i < options.runs; ++i) {
    const auto trial = bench.run(0, trial_seconds, by.stop);
    if (!trial) return false;
    into.mrr.push_back(trial->delivered);
    lost += trial->loss();
    offered = std::max(offered, trial->offered);
    share = std::max(share, trial->gateway_share);
  }
  into.offered = offered;
  into.gateway_share = share;
  // A gateway that loses nothing of all that was sent could have done more.
  into.generator_limited = lost / options.runs <= pdr_loss;
  if (into.generator_limited) return true;
  const double most = spread_of(into.mrr).max;
  for (std::uint32_t i = 0; i < options.runs; ++i) {
    by.progress(what + "search " + std::to_string(i + 1) + " of " + std::to_string(options.runs));
    const auto ndr = search(bench, most, ndr_loss, by.stop), pdr = search(bench, most, pdr_loss, by.stop);
    if (!ndr || !pdr) return false;
    into.ndr.push_back(*ndr);
    into.pdr.push_back(*pdr);
  }
  return true;
}

}  // namespace

result<void> measure_latency(const bench_options& options, const crypto_engines& engines, const observer& by,
                             results& into) {
  buffer_pools pools;
  for (const auto suite : options.suites)
    for (const auto sizes : options.sizes) {
      if (by.stop) return {};
      auto pool = pools.for_packets(sizes);
      if (!pool) return std::unexpected(pool.error());
      rate_result rates{.suite = suite, .sizes = sizes};
      const auto engine = engine_cycles(engines, suite, sizes, by);
      if (!engine) return std::unexpected(engine.error());
      rates.engine_cycles = *engine;
      auto bench = load_bench::make(*pool, engines, suite);
      if (!bench) return std::unexpected(bench.error());
      (*bench)->prepare(sizes);
      if (!measure_rates(**bench, options, by, rates) && !by.stop)
        return failure("the gateway under load gives nothing back");
      std::vector<latency_result> latencies;
      if (!rates.ndr.empty() && !by.stop) measure_latencies(**bench, options, by, rates, latencies);
      rates.checked = {(*bench)->checked().judged, (*bench)->checked().wrong, (*bench)->checked().judged};
      if (rates.mrr.empty()) return {};
      into.rate.push_back(std::move(rates));
      into.latency.insert(into.latency.end(), latencies.begin(), latencies.end());
    }
  return {};
}

}  // namespace trunkgate::bench
