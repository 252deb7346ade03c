// How much memory this process holds, counted three ways, and how long something took.
#pragma once

#include <chrono>

namespace trunkgate::bench {

// Bytes.
struct memory_use {
  double heap = 0;      // malloc's own count (mallinfo2): what is handed out
  double dpdk = 0;      // rte_malloc's own count, of all sockets
  double resident = 0;  // pages the kernel gave to the process
  [[nodiscard]] double allocated() const { return heap + dpdk; }
  friend memory_use operator-(const memory_use& a, const memory_use& b) {
    return {a.heap - b.heap, a.dpdk - b.dpdk, a.resident - b.resident};
  }
};
[[nodiscard]] memory_use memory_now();

class stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace trunkgate::bench
