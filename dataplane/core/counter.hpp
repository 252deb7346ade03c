// A counter that one thread writes and any thread reads: a plain add for the writer, no locked instruction.
#pragma once

#include <atomic>
#include <cstdint>

namespace trunkgate {

class counter {
 public:
  void add(std::uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};
static_assert(sizeof(counter) == 8);

}  // namespace trunkgate
