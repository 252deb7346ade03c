// The workers and what connects them: devices, hand-over rings, and the rings to the host and control threads.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "dataplane/core/result.hpp"
#include "dataplane/pipeline/ring.hpp"
#include "dataplane/pipeline/wakeup.hpp"
#include "dataplane/pipeline/watch.hpp"
#include "dataplane/stages/context.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate {

inline constexpr std::uint16_t device_limit = 32;

struct pipeline_options {
  std::uint16_t workers = 1;
  bool busy_poll = false;  // workers never sleep and are pinned to cores
  std::uint32_t flow_entries = 65536;
  rte_mempool* pool = nullptr;
  const crypto_engines* engines = nullptr;
};

struct worker_counters {
  counter busy_cycles, idle_cycles, sleeps;
};

class pipeline;

// One worker: its context, its ends of the rings, its loop.
class worker {
 public:
  worker(pipeline& owner, std::unique_ptr<stage_context> context);
  ~worker();
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  // Runs until stopped; reports quiescence to the RCU domain each turn. Worker thread.
  void run() noexcept;
  // One turn: receive, run every stage that has packets. How many packets came in. Worker thread; public for the
  // benchmark.
  std::size_t turn() noexcept;

  [[nodiscard]] stage_context& context() noexcept { return *context_; }
  [[nodiscard]] const stage_context& context() const noexcept { return *context_; }

  worker_counters counters;
  wakeup wake;
  packet_ring injected;                                   // from the host thread
  packet_ring punted;                                     // to the host thread
  spsc_ring<resolve_request> resolves;                    // to the control thread
  spsc_ring<api::event> events;                           // the same
  std::vector<std::unique_ptr<packet_ring>> handed_over;  // [from]

 private:
  friend class pipeline;
  std::size_t receive() noexcept;
  std::size_t receive_from(std::uint16_t device, port_driver& driver, std::uint16_t queue) noexcept;
  std::size_t take_ring(packet_ring& ring, bool from_tap) noexcept;
  void retry_waiting() noexcept;
  void run_stages() noexcept;
  void transmit(std::span<rte_mbuf* const> burst) noexcept;
  void send(std::uint16_t device, std::span<rte_mbuf*> frames) noexcept;
  void wake_others() noexcept;
  void sleep() noexcept;
  [[nodiscard]] bool rings_empty() const noexcept;

  pipeline& pipeline_;
  std::unique_ptr<stage_context> context_;
  std::uint64_t wake_workers_ = 0;  // bit per worker that got packets this turn
  bool wake_host_ = false, wake_control_ = false;
  std::uint64_t next_retry_ms_ = 0, next_expiry_ms_ = 0;
};

class pipeline {
 public:
  [[nodiscard]] static result<std::unique_ptr<pipeline>> make(forwarding_tables& tables,
                                                              const pipeline_options& options);
  ~pipeline();  // stops

  // ---- control thread ----
  // Gives the device to the workers; its index. The driver must offer at least one queue each way. Without `receive`
  // they only send through it until start_receiving().
  [[nodiscard]] result<std::uint16_t> add_device(std::unique_ptr<port_driver> driver, bool receive = true);
  void start_receiving(std::uint16_t device);
  // Takes it from them and closes it once no worker uses it.
  void remove_device(std::uint16_t device);
  [[nodiscard]] port_driver* device(std::uint16_t index) const noexcept {
    return devices_[index].load(std::memory_order_acquire);
  }
  void start();
  void stop();
  [[nodiscard]] bool next_resolve(resolve_request& into);
  [[nodiscard]] bool next_event(api::event& into);
  // What workers note from their next turn on; nullptr: nothing. The old one is in use until a grace period has passed.
  void publish(watch* now) noexcept { watch_.store(now, std::memory_order_release); }
  wakeup control_wake;  // its owner polls the descriptor: neighbours to resolve, events

  // ---- host thread ----
  [[nodiscard]] unsigned take_punted(std::span<rte_mbuf*> into);
  // A frame the kernel sent through the TAP of `port`. False: not taken, still the caller's.
  [[nodiscard]] bool inject(rte_mbuf* frame, std::uint16_t port);
  wakeup host_wake;  // its owner polls the descriptor: packets for the kernel

  // ---- any thread ----
  [[nodiscard]] std::span<const std::unique_ptr<worker>> workers() const noexcept { return workers_; }
  [[nodiscard]] const pipeline_options& options() const noexcept { return options_; }
  [[nodiscard]] bool stopping() const noexcept { return stop_.load(std::memory_order_relaxed); }
  [[nodiscard]] forwarding_tables& tables() noexcept { return tables_; }

 private:
  friend class worker;
  pipeline(forwarding_tables& tables, const pipeline_options& options) : tables_(tables), options_(options) {}

  // nullptr: there is nothing to receive from.
  [[nodiscard]] port_driver* receiving(std::uint16_t index) const noexcept {
    return (receiving_.load(std::memory_order_acquire) >> index & 1) != 0 ? device(index) : nullptr;
  }

  forwarding_tables& tables_;
  pipeline_options options_;
  std::array<std::atomic<port_driver*>, device_limit> devices_{};
  std::array<std::unique_ptr<port_driver>, device_limit> owned_;
  std::atomic<std::uint32_t> receiving_{0};  // bit per device
  static_assert(device_limit <= 32);
  std::vector<std::unique_ptr<worker>> workers_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<watch*> watch_{nullptr};
};

}  // namespace trunkgate
