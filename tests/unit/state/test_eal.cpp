#include "tests/unit/state/test_eal.hpp"

#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>

#include <rte_eal.h>

namespace trunkgate::test {

void start_eal() {
  static const bool started = [] {
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    std::string words[] = {"state_dpdk_test",
                           "--no-huge",
                           "-m",
                           "256",
                           "--no-pci",
                           "--no-shconf",
                           "--no-telemetry",
                           "--log-level=lib.eal:error",
                           "-l",
                           std::to_string(first)};
    char* arguments[std::size(words) + 1] = {};
    for (unsigned i = 0; i < std::size(words); ++i) arguments[i] = words[i].data();
    const bool done = rte_eal_init(static_cast<int>(std::size(words)), arguments) >= 0;
    sched_setaffinity(0, sizeof before, &before);  // the EAL pinned this thread; others are to run beside it
    return done;
  }();
  if (!started) {
    std::fputs("no EAL\n", stderr);
    std::abort();
  }
}

}  // namespace trunkgate::test
