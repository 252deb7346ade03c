// Several processes start DPDK at once; none disturbs another, none leaves a file or moves its caller to another CPU.
#include "drivers/port/eal.hpp"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

namespace trunkgate {
namespace {

constexpr uid_t nobody = 65534;

// 0: all well; otherwise what failed.
int use_dpdk(uid_t user) {
  if (user != 0 && (setgid(user) != 0 || setuid(user) != 0)) return 1;
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  const auto report = start_eal({.hugepages = true, .memory_mb = 64, .pci_devices = {}});
  if (!report) {
    std::fprintf(stderr, "%s\n", report.error().reason.c_str());
    return 2;
  }
  if (report->hugepages != report->note.empty()) return 3;
  sched_getaffinity(0, sizeof after, &after);
  if (!CPU_EQUAL(&before, &after)) return 4;
  auto* pool = rte_pktmbuf_pool_create("pool", 1023, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
  if (pool == nullptr) return 5;
  int worker = 0;
  std::thread([&] {
    if (!register_thread() || !register_thread()) worker = 6;
    if (rte_lcore_id() == LCORE_ID_ANY || rte_lcore_id() == 0) worker = 7;
    auto* buffer = rte_pktmbuf_alloc(pool);
    if (buffer == nullptr) worker = 8;
    rte_pktmbuf_free(buffer);
  }).join();
  return worker;
}

void start_processes(int count, uid_t user) {
  std::vector<pid_t> children;
  for (int index = 0; index < count; ++index) {
    const pid_t child = fork();
    if (child == 0) _exit(use_dpdk(user));
    children.push_back(child);
  }
  for (const auto child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
    EXPECT_FALSE(std::filesystem::exists("/var/run/dpdk/trunkgate-" + std::to_string(child)));
    EXPECT_FALSE(std::filesystem::exists("/tmp/dpdk/trunkgate-" + std::to_string(child)));
  }
}

TEST(eal, several_processes_at_once) { start_processes(4, 0); }

TEST(eal, without_root) {
  if (getuid() != 0) GTEST_SKIP() << "is not root anyway";
  start_processes(2, nobody);
}

}  // namespace
}  // namespace trunkgate
