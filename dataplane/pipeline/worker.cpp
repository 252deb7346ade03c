// A worker's loop: packets in from its queues and rings, through the stages, out; and sleep when there is nothing to
// do.
#include <poll.h>

#include <algorithm>
#include <bit>

#include <rte_cycles.h>

#include "dataplane/pipeline/paths.hpp"
#include "dataplane/pipeline/pipeline.hpp"

namespace trunkgate {
namespace {

constexpr unsigned ring_room = 1023;
constexpr unsigned punt_room = 2047;  // more than the policers let through at once of floods that anybody can make
constexpr std::uint16_t receive_burst = 64;  // frames of one queue per turn
constexpr unsigned idle_turns_before_sleep = 200;
constexpr int sleep_limit_ms = 100;                 // a sleeper looks up now and then, whatever happens
constexpr std::uint64_t poll_interval_ns = 50'000;  // where a device has nothing to wait for
constexpr std::uint64_t retry_interval_ms = 1;
constexpr std::uint64_t expiry_interval_ms = 250;  // of fragments whose rest does not come

// The stages between rx and tx, by stage_id.
constexpr std::array<stage_function, stage_count> functions = [] {
  std::array<stage_function, stage_count> f{};
  const auto set = [&f](stage_id id, stage_function function) { f[static_cast<std::size_t>(id)] = function; };
  set(stage_id::classify, classify);
  set(stage_id::reassemble, reassemble);
  set(stage_id::esp_decapsulate, esp_decapsulate);
  set(stage_id::follow_fragments, follow_fragments);
  set(stage_id::verify_selectors, verify_selectors);
  set(stage_id::policy, policy);
  set(stage_id::mss_clamp, mss_clamp);
  set(stage_id::fragment, fragment);
  set(stage_id::esp_encapsulate, esp_encapsulate);
  set(stage_id::fragment_outer, fragment_outer);
  set(stage_id::icmp_error, icmp_error);
  set(stage_id::icmp_in, icmp_in);
  set(stage_id::punt, punt);
  set(stage_id::forward, forward);
  return f;
}();

void account(stage_counters& counters, std::size_t packets, std::uint64_t cycles) noexcept {
  counters.packets.add(packets);
  counters.bursts.add(1);
  counters.cycles.add(cycles);
}

}  // namespace

worker::worker(pipeline& owner, std::unique_ptr<stage_context> context)
    : injected(ring_room),
      punted(punt_room),
      resolves(255),
      events(1023),
      pipeline_(owner),
      context_(std::move(context)) {
  for (std::uint16_t from = 0; from < owner.options_.workers; ++from)
    handed_over.push_back(std::make_unique<packet_ring>(ring_room));
  context_->outlets.pipeline = this;
  context_->outlets.hand_over = [](void* self, std::uint16_t to, rte_mbuf* packet) noexcept {
    auto& w = *static_cast<worker*>(self);
    if (!w.pipeline_.workers_[to]->handed_over[w.context_->worker]->put(packet)) return false;
    w.wake_workers_ |= 1ull << to;
    return true;
  };
  context_->outlets.punt = [](void* self, rte_mbuf* packet) noexcept {
    auto& w = *static_cast<worker*>(self);
    auto* watch = w.context_->watch;
    if (watch != nullptr) [[unlikely]]
      watch->leaving(*w.context_, watch_event::punted, {&packet, 1});
    const bool taken = w.punted.put(packet);
    if (watch != nullptr) [[unlikely]]
      watch->left(taken ? 1 : 0);
    w.wake_host_ |= taken;
    return taken;
  };
  context_->outlets.resolve = [](void* self, const resolve_request& request) noexcept {
    auto& w = *static_cast<worker*>(self);
    const bool taken = w.resolves.put(request);
    w.wake_control_ |= taken;
    return taken;
  };
  context_->outlets.tell = [](void* self, const api::event& event) noexcept {
    auto& w = *static_cast<worker*>(self);
    const bool taken = w.events.put(event);
    w.wake_control_ |= taken;
    return taken;
  };
}

worker::~worker() {
  drain(injected);
  drain(punted);
  for (auto& ring : handed_over) drain(*ring);
  for (std::size_t i = 0; i < context_->waiting.count; ++i) rte_pktmbuf_free(context_->waiting.packets[i]);
  while (auto* packet = context_->fragments.expire(UINT64_MAX)) rte_pktmbuf_free(packet);
  rte_ip_frag_table_destroy(context_->reassembly);
}

void worker::run() noexcept {
  auto& rcu = pipeline_.tables_.rcu;
  rcu.online(context_->worker);
  unsigned idle_turns = 0;
  std::uint64_t before = rte_rdtsc();
  while (!pipeline_.stopping()) {
    const std::size_t packets = turn();
    rcu.quiescent(context_->worker);
    idle_turns = packets != 0 ? 0 : idle_turns + 1;
    const bool had_work = packets != 0;
    if (idle_turns > idle_turns_before_sleep && !pipeline_.options_.busy_poll) {
      sleep();
      idle_turns = 0;
    }
    const std::uint64_t now = rte_rdtsc();
    (had_work ? counters.busy_cycles : counters.idle_cycles).add(now - before);
    before = now;
  }
  rcu.offline(context_->worker);
}

std::size_t worker::turn() noexcept {
  static const std::uint64_t tsc_per_ms = rte_get_tsc_hz() / 1000;
  context_->now_tsc = rte_rdtsc();
  context_->now_ms = context_->now_tsc / tsc_per_ms;
  context_->generation = pipeline_.tables_.generation.load(std::memory_order_acquire);
  auto* watch = pipeline_.watch_.load(std::memory_order_acquire);
  context_->watch = watch == nullptr ? nullptr : &watch->of(context_->worker);
  std::size_t packets = receive();
  run_stages();
  packets += take_ring(injected, true);
  for (auto& ring : handed_over) packets += take_ring(*ring, false);
  if (context_->waiting.count != 0) retry_waiting();
  if (context_->now_ms >= next_expiry_ms_) {
    next_expiry_ms_ = context_->now_ms + expiry_interval_ms;
    expire_fragments(*context_);
    expire_followed(*context_);
  }
  wake_others();
  return packets;
}

std::size_t worker::receive() noexcept {
  std::size_t packets = 0;
  const std::uint16_t workers = pipeline_.options_.workers;
  for (std::uint16_t d = 0; d < device_limit; ++d) {
    auto* driver = pipeline_.receiving(d);
    if (driver == nullptr) continue;
    const std::uint16_t queues = driver->description().rx_queues;
    // Queue q of device d belongs to worker (d + q) modulo workers: ports without RSS spread over the workers.
    for (std::uint16_t q = 0; q < queues; ++q)
      if ((d + q) % workers == context_->worker) packets += receive_from(d, *driver, q);
  }
  return packets;
}

std::size_t worker::receive_from(std::uint16_t device, port_driver& driver, std::uint16_t queue) noexcept {
  std::array<rte_mbuf*, receive_burst> frames;
  const std::uint64_t start = rte_rdtsc();
  const std::uint16_t count = driver.receive(queue, frames.data(), receive_burst);
  if (count == 0) return 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    if (i + 4 < count) {
      rte_prefetch0(frames[i + 4]);
      rte_prefetch0(rte_mbuf_to_priv(frames[i + 4]));
    }
    auto* frame = frames[i];
    auto& m = meta(frame) = packet_meta{};
    m.path = static_cast<std::uint8_t>(path_id::outbound);
    m.egress = device;  // classify finds the port from it and the VLAN tag
    if (frame->nb_segs != 1 && rte_pktmbuf_linearize(frame) != 0)
      context_->drop(frame, drop_reason::frame_truncated);
    else
      context_->go_on(frame, stage_id::rx);
  }
  account(context_->stages[static_cast<std::size_t>(stage_id::rx)], count, rte_rdtsc() - start);
  return count;
}

// Takes all that was in the ring when it looked, and runs it through the stages within this turn.
std::size_t worker::take_ring(packet_ring& ring, bool from_tap) noexcept {
  std::array<rte_mbuf*, burst_limit> packets;
  std::size_t taken = 0;
  for (unsigned waiting = ring.count(); waiting != 0;) {
    const unsigned count = ring.take(packets.data(), std::min<unsigned>(waiting, burst_limit));
    if (count == 0) break;
    for (unsigned i = 0; i < count; ++i) {
      if (from_tap)
        context_->go_on(packets[i], stage_id::tap_rx);
      else
        context_->put(packets[i], static_cast<stage_id>(meta(packets[i]).stage));
    }
    if (from_tap) account(context_->stages[static_cast<std::size_t>(stage_id::tap_rx)], count, 0);
    run_stages();
    waiting -= count;
    taken += count;
  }
  return taken;
}

void worker::retry_waiting() noexcept {
  if (context_->now_ms < next_retry_ms_) return;
  next_retry_ms_ = context_->now_ms + retry_interval_ms;
  const std::size_t count = std::exchange(context_->waiting.count, 0);
  for (std::size_t i = 0; i < count; ++i) context_->put(context_->waiting.packets[i], stage_id::forward);
  run_stages();
}

void worker::run_stages() noexcept {
  std::uint64_t start = rte_rdtsc();
  for (bool any = true; any;) {
    any = false;
    for (std::size_t s = static_cast<std::size_t>(stage_id::classify); s < stage_count; ++s) {
      auto& queue = context_->queues[s];
      if (queue.count == 0) continue;
      any = true;
      for (std::size_t done = 0; done < queue.count; done += burst_limit) {
        const std::span<rte_mbuf* const> burst(queue.packets.data() + done, std::min(burst_limit, queue.count - done));
        if (context_->watch != nullptr) [[unlikely]]
          context_->watch->entered(*context_, static_cast<stage_id>(s), burst);
        if (s == static_cast<std::size_t>(stage_id::tx))
          transmit(burst);
        else
          functions[s](*context_, burst);
      }
      const std::uint64_t end = rte_rdtsc();  // where the next stage starts
      account(context_->stages[s], queue.count, end - start);
      start = end;
      queue.count = 0;
    }
  }
}

void worker::transmit(std::span<rte_mbuf* const> burst) noexcept {
  burst_array<rte_mbuf*> frames, others;
  while (!burst.empty()) {  // once per device
    const std::uint16_t egress = meta(burst.front()).egress;
    const std::uint16_t device = pipeline_.tables_.ports[egress].device;
    std::size_t count = 0, left = 0;
    for (auto* frame : burst) {
      const std::uint16_t port = meta(frame).egress;
      if (port == egress || pipeline_.tables_.ports[port].device == device)
        frames[count++] = frame;
      else
        others[left++] = frame;
    }
    send(device, frames.first(count));
    burst = others.first(left);
  }
}

void worker::send(std::uint16_t device, std::span<rte_mbuf*> frames) noexcept {
  auto* driver = pipeline_.device(device);
  std::size_t sent = 0;
  auto why = drop_reason::port_down;
  if (driver != nullptr) {
    const std::uint16_t queues = driver->description().tx_queues;
    if (context_->worker >= queues) {  // fewer queues than workers: one that has a queue sends for us
      for (auto* frame : frames) context_->hand_over(frame, context_->worker % queues, stage_id::tx);
      return;
    }
    why = drop_reason::transmit_queue_full;
    auto* watch = context_->watch;
    if (watch != nullptr) [[unlikely]]
      watch->leaving(*context_, watch_event::sent, frames);
    while (sent < frames.size()) {
      const std::uint16_t count =
          driver->transmit(context_->worker, frames.data() + sent, static_cast<std::uint16_t>(frames.size() - sent));
      if (count == 0) break;
      sent += count;
    }
    if (watch != nullptr) [[unlikely]]
      watch->left(sent);
  }
  for (; sent < frames.size(); ++sent) context_->drop(frames[sent], why);
}

void worker::wake_others() noexcept {
  for (; wake_workers_ != 0; wake_workers_ &= wake_workers_ - 1)
    pipeline_.workers_[static_cast<std::size_t>(std::countr_zero(wake_workers_))]->wake.wake();
  if (std::exchange(wake_host_, false)) pipeline_.host_wake.wake();
  if (std::exchange(wake_control_, false)) pipeline_.control_wake.wake();
}

bool worker::rings_empty() const noexcept {
  return injected.count() == 0 &&
         std::all_of(handed_over.begin(), handed_over.end(), [](const auto& ring) { return ring->count() == 0; });
}

// While it sleeps it is offline for RCU: it holds no pointer, and delays no change.
void worker::sleep() noexcept {
  std::array<pollfd, device_limit * 2 + 1> waits;
  nfds_t count = 0;
  waits[count++] = {.fd = wake.descriptor(), .events = POLLIN, .revents = 0};
  bool must_poll = context_->waiting.count != 0;
  const std::uint16_t workers = pipeline_.options_.workers;
  for (std::uint16_t d = 0; d < device_limit && count < waits.size(); ++d) {
    auto* driver = pipeline_.receiving(d);
    if (driver == nullptr) continue;
    for (std::uint16_t q = 0; q < driver->description().rx_queues && count < waits.size(); ++q) {
      if ((d + q) % workers != context_->worker) continue;
      const int descriptor = driver->wait_descriptor(q);
      if (descriptor >= 0)
        waits[count++] = {.fd = descriptor, .events = POLLIN, .revents = 0};
      else
        must_poll = must_poll || driver->up();
    }
  }
  wake.announce();
  if (rings_empty() && !pipeline_.stopping()) {
    counters.sleeps.add(1);
    pipeline_.tables_.rcu.offline(context_->worker);
    const timespec limit{.tv_sec = 0,
                         .tv_nsec = must_poll ? static_cast<long>(poll_interval_ns) : sleep_limit_ms * 1'000'000L};
    ::ppoll(waits.data(), count, &limit, nullptr);
    pipeline_.tables_.rcu.online(context_->worker);
  }
  wake.woke();
}

}  // namespace trunkgate
