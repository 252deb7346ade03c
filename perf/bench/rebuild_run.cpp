#include "perf/bench/rebuild_run.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <thread>

#include <rte_cycles.h>

#include "drivers/port/eal.hpp"
#include "perf/bench/frames.hpp"
#include "perf/bench/memory_meter.hpp"
#include "perf/bench/rule_set.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::uint32_t flows = 64, turn_packets = 64;
constexpr std::uint16_t size = 64;
constexpr std::size_t sample_limit = 1u << 20;

enum class phase : int { idle, quiet, rebuild, end };
constexpr std::size_t phases = 2;  // that are measured

long preemptions() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return used.ru_nivcsw;
}

// One worker that forwards numbered packets in a thread of its own and looks at the clock around each turn.
class watched_worker {
 public:
  explicit watched_worker(gateway_side& side, rte_mempool* pool) : side_(side), pool_(pool), checked_(size, flows) {
    for (auto& samples : samples_) samples.reserve(sample_limit);
    thread_ = std::thread([this] { run(); });
  }
  ~watched_worker() { finish(); }
  watched_worker(const watched_worker&) = delete;
  watched_worker& operator=(const watched_worker&) = delete;

  void enter(phase next) { phase_.store(next, std::memory_order_release); }
  void finish() {
    enter(phase::end);
    if (thread_.joinable()) thread_.join();
  }
  // After finish().
  [[nodiscard]] turn_figures figures(phase of) const {
    const auto at = static_cast<std::size_t>(of) - 1;
    turn_figures out;
    out.turns = samples_[at].size();
    out.preempted = preempted_[at];
    if (samples_[at].empty()) return out;
    const double per_us = static_cast<double>(rte_get_tsc_hz()) / 1e6;
    const auto all = spread_of(samples_[at]);
    out.median_us = all.median / per_us;
    out.longest_us = all.max / per_us;
    return out;
  }
  [[nodiscard]] const checker& checked() const { return checked_; }

 private:
  void run() {
    if (!register_thread()) return checked_.count_wrong(1);
    auto& rcu = side_.tables().rcu;
    rcu.online(0);
    for (phase now = phase::idle; now != phase::end; now = phase_.load(std::memory_order_acquire)) {
      one_turn(now);
      rcu.quiescent(0);
    }
    rcu.offline(0);
  }
  void one_turn(phase now) {
    std::array<rte_mbuf*, turn_packets> frames;
    if (rte_pktmbuf_alloc_bulk(pool_, frames.data(), turn_packets) != 0) return checked_.count_wrong(turn_packets);
    checked_.begin_round(next_number_, turn_packets);
    for (auto* frame : frames) {
      write_frame(frame, side_.clear->description().mac, {next_number_, flow_of(next_number_, flows), size});
      ++next_number_;
    }
    const long before = preemptions();
    const std::uint64_t cycles = side_.pass(*side_.clear, frames);
    const bool preempted = preemptions() != before;
    if (now == phase::quiet || now == phase::rebuild) {
      const auto at = static_cast<std::size_t>(now) - 1;
      if (preempted)
        ++preempted_[at];
      else if (samples_[at].size() < sample_limit)
        samples_[at].push_back(static_cast<double>(cycles));
    }
    take_all(*side_.wire, [this](rte_mbuf* frame) { compare(checked_, frame, 1); });
    checked_.end_round();
  }

  gateway_side& side_;
  rte_mempool* pool_;
  checker checked_;
  std::uint64_t next_number_ = 1;
  std::atomic<phase> phase_{phase::idle};
  std::array<std::vector<double>, phases> samples_;  // cycles
  std::array<std::uint64_t, phases> preempted_{};
  std::thread thread_;
};

}  // namespace

result<rebuild_figures> measure_rebuild(rte_mempool* pool, const crypto_engines& engines, std::uint32_t rules) {
  const rule_set wanted(rules);  // outlives the gateway
  auto side = gateway_side::make(pool, engines, first_gateway(), flows);
  if (!side) return std::unexpected(side.error());
  stopwatch first_build;
  auto built = operator_rules::build(wanted.rules());
  if (!built) return std::unexpected(built.error());
  const double expected = first_build.seconds();
  (*side)->publish_rules(std::move(*built));
  rebuild_figures figures;
  {
    watched_worker worker(**side, pool);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it finds its caches
    worker.enter(phase::quiet);
    std::this_thread::sleep_for(std::chrono::duration<double>(expected));
    worker.enter(phase::rebuild);
    const stopwatch clock;
    built = operator_rules::build(wanted.rules());
    figures.build_seconds = clock.seconds();
    if (!built) return std::unexpected(built.error());
    (*side)->publish_rules(std::move(*built));
    (*side)->tables().rcu.wait();  // the old rules are freed while it forwards
    worker.finish();
    figures.quiet = worker.figures(phase::quiet);
    figures.rebuild = worker.figures(phase::rebuild);
    figures.verified = worker.checked().verified();
    figures.wrong = worker.checked().wrong();
  }
  return figures;
}

}  // namespace trunkgate::bench
