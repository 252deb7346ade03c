// A port over any DPDK device: hardware by vfio, AF_XDP on a netdev, and the virtual ones for tests.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "dataplane/core/counter.hpp"
#include "drivers/port/burst_gate.hpp"
#include "drivers/port/ethdev_device.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate {

class ethdev_port final : public port_driver {
 public:
  // options.kind names the driver; not automatic, not af_packet.
  [[nodiscard]] static result<std::unique_ptr<port_driver>> open(const port_options& options, std::string note);

  std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept override;
  std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept override;
  [[nodiscard]] int wait_descriptor(std::uint16_t) const noexcept override { return -1; }

  void refresh() override;
  [[nodiscard]] bool up() const noexcept override { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] const port_description& description() const noexcept override { return description_; }
  [[nodiscard]] port_counters counters() const noexcept override;

 private:
  explicit ethdev_port(const port_options& options);
  bool follow_netdev();
  result<void> connect();
  void disconnect();

  port_options options_;
  port_description description_;
  ethdev_device device_;
  burst_gate gate_;  // slots 2 * queue (receive) and 2 * queue + 1 (transmit)
  int ifindex_ = 0;  // of the netdev that AF_XDP is on
  std::atomic<bool> up_{false};
  std::unique_ptr<counter[]> unsendable_;  // per queue: frames that the device can't take in any way
  port_counters before_;                   // counted by devices that were replaced
};

}  // namespace trunkgate
