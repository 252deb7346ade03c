#include "perf/bench/memory_meter.hpp"

#include <malloc.h>
#include <unistd.h>

#include <fstream>

#include <rte_malloc.h>

namespace trunkgate::bench {

memory_use memory_now() {
  // What was freed goes back to the kernel first, so that what comes next needs pages of its own.
  ::malloc_trim(0);
  memory_use now;
  const auto heap = ::mallinfo2();
  now.heap = static_cast<double>(heap.uordblks) + static_cast<double>(heap.hblkhd);
  for (int socket = 0; socket < RTE_MAX_NUMA_NODES; ++socket)
    if (rte_malloc_socket_stats of{}; rte_malloc_get_socket_stats(socket, &of) == 0)
      now.dpdk += static_cast<double>(of.heap_allocsz_bytes);
  std::size_t whole = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> whole >> resident;
  now.resident = static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return now;
}

}  // namespace trunkgate::bench
