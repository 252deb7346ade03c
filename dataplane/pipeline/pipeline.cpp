#include "dataplane/pipeline/pipeline.hpp"

#include <pthread.h>
#include <sched.h>

#include <rte_cycles.h>

#include "dataplane/pipeline/paths.hpp"
#include "drivers/port/eal.hpp"

namespace trunkgate {
namespace {

// rte_ip_frag: fragments of ESP wait two seconds at most (RFC 791 suggests 15; a WAN's reordering takes milliseconds).
// Packets, of a worker, whose parts wait at the same time: where a link on the way loses some, thousands a second come
// incomplete. Their parts hold at most a quarter of the buffers, so that a flood of fragments starves nothing else.
constexpr std::uint32_t reassembly_packets = 1024, reassembly_ways = 16;
constexpr unsigned reassembly_share = 4;
constexpr std::uint64_t reassembly_seconds = 2;

result<std::unique_ptr<stage_context>> make_context(forwarding_tables& tables, const pipeline_options& options,
                                                    std::uint16_t index) {
  auto crypto = crypto_worker::make(*options.engines);
  if (!crypto) return std::unexpected(crypto.error());
  auto ivs = iv_source::make();
  if (!ivs) return std::unexpected(ivs.error());
  auto* reassembly = rte_ip_frag_table_create(reassembly_packets / reassembly_ways, reassembly_ways, reassembly_packets,
                                              rte_get_tsc_hz() * reassembly_seconds, SOCKET_ID_ANY);
  if (reassembly == nullptr) return failure("no memory for the reassembly table of a worker");
  return std::unique_ptr<stage_context>(
      new stage_context{.tables = tables,
                        .next = next_stages,
                        .outlets = {},
                        .worker = index,
                        .pool = options.pool,
                        .flows = flow_cache::make(options.flow_entries),
                        .fragments = fragment_table::make(),
                        .crypto = std::move(*crypto),
                        .ivs = std::move(*ivs),
                        .policer = {},
                        .reassembly = reassembly,
                        .fragments_limit = options.pool->size / reassembly_share / options.workers,
                        .queues = {},
                        .waiting = {},
                        .stages = {},
                        .drops = {},
                        .flow_hits = {},
                        .flow_misses = {},
                        .handed_over = {},
                        .punted = {}});
}

// A core per worker, only where workers never sleep: elsewhere the kernel's scheduler does better on shared machines.
void pin(std::thread& thread, std::size_t index) {
  cpu_set_t allowed, own;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  std::vector<int> cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(core, &allowed)) cores.push_back(core);
  CPU_ZERO(&own);
  CPU_SET(cores[(index + 1) % cores.size()], &own);
  pthread_setaffinity_np(thread.native_handle(), sizeof own, &own);
}

}  // namespace

result<std::unique_ptr<pipeline>> pipeline::make(forwarding_tables& tables, const pipeline_options& options) {
  std::unique_ptr<pipeline> made(new pipeline(tables, options));
  for (std::uint16_t i = 0; i < options.workers; ++i) {
    auto context = make_context(tables, options, i);
    if (!context) return std::unexpected(context.error());
    made->workers_.push_back(std::make_unique<worker>(*made, std::move(*context)));
  }
  return made;
}

pipeline::~pipeline() { stop(); }

result<std::uint16_t> pipeline::add_device(std::unique_ptr<port_driver> driver, bool receive) {
  for (std::uint16_t i = 0; i < device_limit; ++i) {
    if (owned_[i] != nullptr) continue;
    owned_[i] = std::move(driver);
    devices_[i].store(owned_[i].get(), std::memory_order_release);
    if (receive) start_receiving(i);
    return i;
  }
  return failure("no more than " + std::to_string(device_limit) + " devices");
}

void pipeline::start_receiving(std::uint16_t device) {
  receiving_.fetch_or(1u << device, std::memory_order_release);
  for (auto& w : workers_) w->wake.wake();  // to poll it from now on
}

void pipeline::remove_device(std::uint16_t device) {
  receiving_.fetch_and(~(1u << device));
  devices_[device].store(nullptr, std::memory_order_release);
  tables_.rcu.retire(std::move(owned_[device]));
}

void pipeline::start() {
  for (auto& w : workers_)
    threads_.emplace_back([&self = *w] {
      if (register_thread()) self.run();
    });
  if (options_.busy_poll)
    for (std::size_t i = 0; i < threads_.size(); ++i) pin(threads_[i], i);
}

void pipeline::stop() {
  stop_.store(true);
  for (auto& w : workers_) w->wake.wake();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

bool pipeline::next_resolve(resolve_request& into) {
  for (auto& w : workers_)
    if (w->resolves.take(&into, 1) == 1) return true;
  return false;
}

bool pipeline::next_event(api::event& into) {
  for (auto& w : workers_)
    if (w->events.take(&into, 1) == 1) return true;
  return false;
}

unsigned pipeline::take_punted(std::span<rte_mbuf*> into) {
  unsigned count = 0;
  for (auto& w : workers_) count += w->punted.take(into.data() + count, static_cast<unsigned>(into.size()) - count);
  return count;
}

bool pipeline::inject(rte_mbuf* frame, std::uint16_t port) {
  auto& m = meta(frame) = packet_meta{};
  m.path = static_cast<std::uint8_t>(path_id::from_box);
  m.ingress = box_index;
  m.egress = port;
  auto& w = *workers_[port % workers_.size()];
  if (!w.injected.put(frame)) return false;
  w.wake.wake();
  return true;
}

}  // namespace trunkgate
