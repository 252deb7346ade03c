#include "tests/unit/port/network_fixture.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "dataplane/packet/meta.hpp"
#include "drivers/port/eal.hpp"
#include "drivers/port/netdev.hpp"

namespace trunkgate::testing {

using namespace std::chrono_literals;

void run(const std::string& command) { EXPECT_EQ(std::system(command.c_str()), 0) << command; }

void wait_for_carrier(const std::string& netdev) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  for (auto facts = read_netdev(netdev); !facts || !facts->running; facts = read_netdev(netdev)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << netdev << " has no carrier";
    std::this_thread::yield();
  }
}

network_namespace::network_namespace() {
  std::thread([this] {
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    descriptor_ = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    run("ip link set lo up");
  }).join();
}

network_namespace::~network_namespace() { close(descriptor_); }

void network_namespace::inside(const std::function<void()>& action) const {
  std::thread([&] {
    ASSERT_EQ(setns(descriptor_, CLONE_NEWNET), 0);
    action();
  }).join();
}

std::string network_namespace::path() const {
  return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(descriptor_);
}

pool_pointer make_pool(unsigned count, std::uint16_t data_room) {
  static unsigned number = 0;
  const auto name = "test_pool_" + std::to_string(number++);
  return pool_pointer(rte_pktmbuf_pool_create(name.c_str(), count, 0, sizeof(packet_meta), data_room, SOCKET_ID_ANY));
}

void port_test::SetUpTestSuite() {
  static const bool started = [] {
    if (unshare(CLONE_NEWNET) != 0) return false;
    run("ip link set lo up");
    const auto report = start_eal({.hugepages = false, .memory_mb = 256, .pci_devices = {}});
    EXPECT_TRUE(report) << report.error().reason;
    return report.has_value();
  }();
  ASSERT_TRUE(started) << "needs root: a network namespace of its own, and DPDK";
}

rte_mbuf* receive_one(port_driver& port, std::uint16_t queue) {
  const auto deadline = std::chrono::steady_clock::now() + 2s;
  rte_mbuf* frame = nullptr;
  while (port.receive(queue, &frame, 1) == 0) {
    if (std::chrono::steady_clock::now() > deadline) return nullptr;
    pollfd wait{port.wait_descriptor(queue), POLLIN, 0};
    if (wait.fd >= 0) poll(&wait, 1, 100);
  }
  return frame;
}

bool refresh_until(port_driver& port, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + 5s;
  for (port.refresh(); !condition(); port.refresh()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

std::unique_ptr<port_driver> open_or_fail(const port_options& options) {
  auto port = open_port(options);
  if (!port) {
    ADD_FAILURE() << port.error().reason;
    return nullptr;
  }
  return std::move(*port);
}

}  // namespace trunkgate::testing
