// Lets the control thread change what workers use in a burst, without a lock on the workers' side.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace trunkgate {

// Each queue and direction has one slot, used by one thread. A worker holds a pass for the length of one burst; a
// closed gate gives none. Bursts never block, so close() waits for microseconds, and afterwards nobody uses the device
// or its descriptors until open(): they can be closed and replaced, and no worker meets a recycled descriptor number.
class burst_gate {
 public:
  explicit burst_gate(std::uint16_t slots) : slots_(std::make_unique<slot[]>(slots)), count_(slots) {}

  class pass {
   public:
    pass(burst_gate& gate, std::uint16_t index) noexcept : busy_(gate.slots_[index].busy) {
      busy_.store(true, std::memory_order_relaxed);
      // Pairs with close(): either it sees this slot busy, or we see the gate closed.
      std::atomic_thread_fence(std::memory_order_seq_cst);
      allowed_ = gate.open_.load(std::memory_order_acquire);  // NOLINT(cppcoreguidelines-prefer-member-initializer)
    }
    pass(const pass&) = delete;
    pass& operator=(const pass&) = delete;
    ~pass() { busy_.store(false, std::memory_order_release); }
    explicit operator bool() const noexcept { return allowed_; }

   private:
    std::atomic<bool>& busy_;
    bool allowed_;
  };

  void close() noexcept {
    open_.store(false, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    for (std::uint16_t index = 0; index < count_; ++index)
      while (slots_[index].busy.load(std::memory_order_acquire)) std::this_thread::yield();
  }
  void open() noexcept { open_.store(true, std::memory_order_release); }

 private:
  struct alignas(64) slot {
    std::atomic<bool> busy{false};
  };
  std::unique_ptr<slot[]> slots_;
  std::uint16_t count_;
  std::atomic<bool> open_{false};
};

}  // namespace trunkgate
