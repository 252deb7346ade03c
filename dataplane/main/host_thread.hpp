// Carries packets between the workers' rings and the TAP and TUN devices: the only thread that reads and writes them.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "dataplane/core/counter.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "drivers/host/tap.hpp"

namespace trunkgate {

class host_thread {
 public:
  explicit host_thread(pipeline& workers);
  ~host_thread();  // stops

  // Control thread. nullptr takes the port's TAP away. On return the thread does not use the old one any more.
  void set_tap(std::uint16_t port, std::shared_ptr<tap_device> tap);

  std::array<counter, port_limit> from_box;      // frames read from each TAP
  std::array<counter, drop_reason_count> drops;  // of frames between kernel and workers

 private:
  using taps = std::array<std::shared_ptr<tap_device>, port_limit>;
  void run();
  void take_over_taps();
  void read_tap(const tap_device& tap, std::uint16_t port);
  bool write_punted();
  // Reads the TAPs that have something; waits for one that has, unless `busy`.
  void read_taps(bool busy);

  pipeline& pipeline_;
  std::mutex mutex_;  // of taps_; never taken by a worker
  taps taps_;
  std::atomic<std::uint64_t> changes_{0};  // of taps_
  // ---- written by the thread ----
  taps present_;
  std::atomic<std::uint64_t> present_changes_{0};  // the change that present_ shows
  int poll_ = -1;                                  // epoll: the wake-up and present_
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace trunkgate
