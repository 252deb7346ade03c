// DPDK's environment, started from what the gateway knows; EAL arguments never reach the operator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/core/result.hpp"

namespace trunkgate {

struct eal_options {
  bool hugepages = true;                 // use them where the kernel has some; without: runs, reports it
  std::uint32_t memory_mb = 256;         // for buffers and tables
  std::vector<std::string> pci_devices;  // PCI addresses to probe; empty: the PCI bus is not looked at
};

struct eal_report {
  bool hugepages = false;  // what is in use
  std::string note;        // why not, in one sentence; empty if they are
};

// Once per process, from the control thread. The calling thread keeps its CPU affinity.
[[nodiscard]] result<eal_report> start_eal(const eal_options& options);

// Makes a std::thread known to DPDK (mempool caches, lcore id). Call first in the thread.
[[nodiscard]] result<void> register_thread();

}  // namespace trunkgate
