// Waking a thread that sleeps in poll(2): a flag says whether it sleeps, so that a busy thread costs its peers no
// system call.
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace trunkgate {

class wakeup {
 public:
  wakeup() : descriptor_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~wakeup() { ::close(descriptor_); }
  wakeup(const wakeup&) = delete;
  wakeup& operator=(const wakeup&) = delete;

  // The sleeper: announce(), look once more for work, poll descriptor(), woke().
  void announce() noexcept { sleeping_.exchange(true, std::memory_order_seq_cst); }
  void woke() noexcept {
    sleeping_.store(false, std::memory_order_relaxed);
    std::uint64_t count;
    (void)!::read(descriptor_, &count, sizeof count);
  }
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

  // The others, after the work was put where the sleeper looks.
  void wake() noexcept {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (!sleeping_.load(std::memory_order_relaxed) || !sleeping_.exchange(false, std::memory_order_seq_cst)) return;
    const std::uint64_t one = 1;
    (void)!::write(descriptor_, &one, sizeof one);
  }

 private:
  alignas(64) std::atomic<bool> sleeping_{false};
  int descriptor_;
};

}  // namespace trunkgate
