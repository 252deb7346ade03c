// An EAL, its engines and buffers: once per test program.
#pragma once

#include <gtest/gtest.h>

#include "drivers/port/eal.hpp"
#include "perf/bench/frames.hpp"

namespace trunkgate::bench {

struct surroundings {
  crypto_engines engines;
  buffer_pools pools;

  [[nodiscard]] rte_mempool* pool(packet_sizes sizes) {
    auto made = pools.for_packets(sizes);
    EXPECT_TRUE(made) << made.error().reason;
    return made ? *made : nullptr;
  }
  static surroundings& get() {
    static surroundings one = [] {
      EXPECT_TRUE(start_eal({.hugepages = false, .memory_mb = 640, .pci_devices = {}}));
      return surroundings{std::move(*crypto_engines::start()), {}};
    }();
    return one;
  }
};

}  // namespace trunkgate::bench
