#include "perf/bench/load_run.hpp"

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include <rte_cycles.h>

#include "drivers/port/eal.hpp"
#include "perf/bench/judge.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::size_t frame_count = 1024, send_burst = 32, sample_every = 256, most_samples = 512;
// So long what the gateway took may need on a busy machine: later it would be taken for the next trial's.
constexpr double drain_seconds = 1;
constexpr double late_seconds = 50e-6;  // so late that what was missed is not sent any more: a burst is another load

std::uint32_t sequence_of(const rte_mbuf* frame) {
  esp_header header;
  std::memcpy(&header, rte_pktmbuf_mtod_offset(frame, const std::uint8_t*, esp_at), sizeof header);
  return header.sequence.host();
}

cpu_set_t allowed_cpus() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  (void)pthread_getaffinity_np(pthread_self(), sizeof allowed, &allowed);
  return allowed;
}

double cpu_seconds(pthread_t thread) {
  clockid_t clock{};
  timespec spent{};
  if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &spent) != 0) return 0;
  return static_cast<double>(spent.tv_sec) + static_cast<double>(spent.tv_nsec) * 1e-9;
}

// The calling thread to the n-th of these processors: two that wait for each other on one would measure the scheduler.
void pin_to(const cpu_set_t& allowed, int n) {
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || n-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)pthread_setaffinity_np(pthread_self(), sizeof one, &one);
    return;
  }
}

}  // namespace

struct load_bench::trial_state {
  const std::atomic<bool>& stop;
  std::vector<std::uint64_t> sent_at;  // of each packet that the gateway's ring took, in cycles
  std::uint64_t refused = 0, arrived = 0;
  std::vector<double> latencies;
};

load_bench::load_bench(rte_mempool* pool, gateway_pair pair, std::unique_ptr<esp_processor> judge, esp_suite suite)
    : pool_(pool), pair_(std::move(pair)), judge_(std::move(judge)), suite_(suite), allowed_(allowed_cpus()) {
  gateway_ = std::jthread([this] {
    pin_to(allowed_, 0);
    if (!register_thread()) return;
    auto& runs = pair_.sender->only_worker();
    while (!end_.load(std::memory_order_relaxed)) (void)runs.turn();
  });
  pin_to(allowed_, CPU_COUNT(&allowed_) - 1);
}

load_bench::~load_bench() {
  end_ = true;
  (void)pthread_setaffinity_np(pthread_self(), sizeof allowed_, &allowed_);
}

result<std::unique_ptr<load_bench>> load_bench::make(rte_mempool* pool, const crypto_engines& engines,
                                                     esp_suite suite) {
  if (const auto allowed = allowed_cpus(); CPU_COUNT(&allowed) < 2)
    return failure(
        "wants two processors, one for the gateway and one for the generator: this process may use one only");
  auto pair = gateway_pair::make(pool, engines, suite, 1);
  if (!pair) return std::unexpected(pair.error());
  auto judge = pair->judge().make_processor();
  if (!judge) return std::unexpected(judge.error());
  return std::unique_ptr<load_bench>(new load_bench(pool, std::move(*pair), std::move(*judge), suite));
}

void load_bench::prepare(packet_sizes sizes) {
  sizes_ = sizes;
  frames_.clear();
  for (std::uint64_t number = 1; number <= frame_count; ++number) {
    const ethernet_header header{pair_.sender->clear->description().mac, {2, 0, 0, 0, 3, 0}, be16(ethertype_ipv4)};
    auto& frame = frames_.emplace_back(sizeof header + sizes.of(number));
    std::memcpy(frame.data(), &header, sizeof header);
    numbered_packet{number, 0, sizes.of(number)}.write(frame.data() + sizeof header);
  }
}

// What the ring has no room for is lost, as it is in a device.
void load_bench::send(trial_state& now, std::size_t due) {
  std::array<rte_mbuf*, send_burst> buffers;
  auto& port = *pair_.sender->clear;
  const unsigned waiting = port.waiting();
  const std::size_t taken = std::min<std::size_t>(due, receive_room - std::min(receive_room, waiting));
  now.refused += due - taken;
  if (taken == 0) return;
  if (rte_pktmbuf_alloc_bulk(pool_, buffers.data(), static_cast<unsigned>(taken)) != 0) {
    now.refused += taken;  // all buffers wait behind the gateway
    return;
  }
  for (std::size_t i = 0; i < taken; ++i) {
    const auto& frame = frames_[(now.sent_at.size() + i) % frame_count];
    std::memcpy(rte_pktmbuf_mtod(buffers[i], void*), frame.data(), frame.size());
    buffers[i]->pkt_len = buffers[i]->data_len = static_cast<std::uint16_t>(frame.size());
  }
  const std::uint64_t at = rte_rdtsc();
  const std::size_t put = port.deliver(std::span(buffers).first(taken));
  now.sent_at.insert(now.sent_at.end(), put, at);
  free_all(std::span(buffers).subspan(put, taken - put));
  now.refused += taken - put;
}

void load_bench::collect(trial_state& now) {
  chunk frames;
  const auto taken = pair_.sender->wire->take(frames);
  if (taken.empty()) return;
  const std::uint64_t at = rte_rdtsc();
  const double us = 1e6 / static_cast<double>(rte_get_tsc_hz());
  for (const auto* frame : taken) {
    // One SA numbers what the gateway took, in the order in which it took it (RFC 4303 3.3.3).
    const std::uint32_t index = sequence_of(frame) - first_sequence_;
    if (index >= now.sent_at.size()) {
      ++checked_.wrong;
      continue;
    }
    now.latencies.push_back(static_cast<double>(at - now.sent_at[index]) * us);
    if (now.arrived++ % sample_every == 0 && samples_.size() < most_samples) {
      const auto* bytes = rte_pktmbuf_mtod(frame, const std::uint8_t*);
      samples_.emplace_back(bytes, bytes + rte_pktmbuf_data_len(frame));
    }
  }
  free_all(taken);
}

// A packet alone tells where the SA's numbers are.
bool load_bench::find_first_sequence() {
  const std::atomic<bool> go_on{false};
  trial_state probe{.stop = go_on, .sent_at = {}, .latencies = {}};
  send(probe, 1);
  const std::uint64_t until =
      rte_rdtsc() + static_cast<std::uint64_t>(drain_seconds * static_cast<double>(rte_get_tsc_hz()));
  while (rte_rdtsc() < until) {
    auto* frame = pair_.sender->wire->take();
    if (frame == nullptr) continue;
    first_sequence_ = sequence_of(frame) + 1;
    rte_pktmbuf_free(frame);
    if (pair_.sender->clear->all_received()) return true;
  }
  return false;
}

void load_bench::ask_judge() {
  checker checked(sizes_, 1);
  checked.begin_round(1, frame_count);
  for (auto& frame : samples_)
    ++(judge_agrees(pair_, *judge_, suite_, 0, checked, frame) ? checked_.judged : checked_.wrong);
  samples_.clear();
}

std::optional<trial_figures> load_bench::run(double rate, double seconds, const std::atomic<bool>& stop) {
  const double hertz = static_cast<double>(rte_get_tsc_hz());
  const double interval = rate > 0 ? hertz / rate : 0;
  if (!find_first_sequence()) {
    ++checked_.wrong;
    return std::nullopt;
  }
  trial_state now{.stop = stop, .sent_at = {}, .latencies = {}};
  const auto expected = static_cast<std::size_t>((rate > 0 ? rate : 20e6) * seconds);
  now.sent_at.reserve(expected + send_burst);
  now.latencies.reserve(expected + send_burst);
  const double spent = cpu_seconds(gateway_.native_handle());
  const std::uint64_t start = rte_rdtsc(), end = start + static_cast<std::uint64_t>(seconds * hertz);
  auto next = static_cast<double>(start);
  std::uint64_t before = start, longest = 0, at = start;
  for (; at < end && !stop.load(std::memory_order_relaxed); at = rte_rdtsc()) {
    longest = std::max(longest, at - before);
    before = at;
    const auto behind = static_cast<double>(at) - next;
    if (rate > 0 && behind > late_seconds * hertz) next = static_cast<double>(at);
    const std::size_t due = rate == 0    ? send_burst
                            : behind < 0 ? 0
                                         : std::min(send_burst, static_cast<std::size_t>(behind / interval) + 1);
    next += static_cast<double>(due) * interval;
    if (due != 0) send(now, due);
    collect(now);
  }
  const double gateway_seconds = cpu_seconds(gateway_.native_handle()) - spent;
  const std::uint64_t drained = rte_rdtsc() + static_cast<std::uint64_t>(drain_seconds * hertz);
  while (now.arrived < now.sent_at.size() && rte_rdtsc() < drained) collect(now);
  ask_judge();
  if (stop) return std::nullopt;
  const double took = static_cast<double>(at - start) / hertz;
  trial_figures figures;
  figures.sent = now.sent_at.size() + now.refused;
  figures.lost = figures.sent - now.arrived;
  figures.offered = static_cast<double>(figures.sent) / took;
  figures.delivered = static_cast<double>(now.arrived) / took;
  figures.wanted = rate;
  figures.gateway_share = gateway_seconds / took;
  figures.longest_pause = static_cast<double>(longest) / hertz;
  figures.latencies = std::move(now.latencies);
  std::ranges::sort(figures.latencies);
  return figures;
}

}  // namespace trunkgate::bench
