// DPDK, buffers and network namespaces for the port tests: the kernel's own stack is the other end and the judge.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include "drivers/port/port.hpp"

namespace trunkgate::testing {

// Runs a command in the calling thread's network namespace; a failure fails the test.
void run(const std::string& command);

[[nodiscard]] inline ::testing::AssertionResult contains(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << '"' << text << "\" does not contain \"" << part << '"';
}

// Until the kernel has switched the netdev's queues on, some time after its cable is in: frames sent before are lost.
void wait_for_carrier(const std::string& netdev);

// A network namespace that lives as long as this object.
class network_namespace {
 public:
  network_namespace();
  network_namespace(const network_namespace&) = delete;
  network_namespace& operator=(const network_namespace&) = delete;
  ~network_namespace();
  void inside(const std::function<void()>& action) const;  // in a thread of its own, waited for
  [[nodiscard]] std::string path() const;                  // for `ip link set X netns PATH`

 private:
  int descriptor_ = -1;
};

struct pool_deleter {
  void operator()(rte_mempool* pool) const { rte_mempool_free(pool); }
};
using pool_pointer = std::unique_ptr<rte_mempool, pool_deleter>;
[[nodiscard]] pool_pointer make_pool(unsigned count, std::uint16_t data_room = RTE_MBUF_DEFAULT_BUF_SIZE);

// Starts DPDK once, in a network namespace that only this test program has.
class port_test : public ::testing::Test {
 protected:
  static void SetUpTestSuite();
  void SetUp() override { pool_ = make_pool(8191); }
  pool_pointer pool_;
};

// The next frame on queue 0 within two seconds, waited for at the port's descriptor where it has one.
[[nodiscard]] rte_mbuf* receive_one(port_driver& port, std::uint16_t queue = 0);
// Until the condition holds, calling refresh(); false after five seconds.
[[nodiscard]] bool refresh_until(port_driver& port, const std::function<bool()>& condition);
[[nodiscard]] std::unique_ptr<port_driver> open_or_fail(const port_options& options);

}  // namespace trunkgate::testing
