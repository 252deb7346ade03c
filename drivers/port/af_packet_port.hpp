// A port over the kernel's packet sockets: any netdev, no hardware rights, frames made whole in software.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "drivers/port/af_packet_queue.hpp"
#include "drivers/port/af_packet_socket.hpp"
#include "drivers/port/burst_gate.hpp"
#include "drivers/port/netdev.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate {

class af_packet_port final : public port_driver {
 public:
  [[nodiscard]] static result<std::unique_ptr<port_driver>> open(const port_options& options, std::string note);
  // Of a netdev that refresh() takes when it comes; `why` it is not there is the note until then.
  [[nodiscard]] static result<std::unique_ptr<port_driver>> open_absent(const port_options& options, std::string why);

  std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept override;
  std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept override;
  [[nodiscard]] int wait_descriptor(std::uint16_t queue) const noexcept override;

  void refresh() override;
  [[nodiscard]] bool up() const noexcept override { return up_.load(std::memory_order_relaxed); }
  [[nodiscard]] const port_description& description() const noexcept override { return description_; }
  [[nodiscard]] port_counters counters() const noexcept override;

 private:
  struct queue_state {
    explicit queue_state(rte_mempool* pool) : receiver(pool) {}
    std::atomic<int> descriptor{-1};
    af_packet_receiver receiver;
    af_packet_transmitter transmitter;
  };

  af_packet_port(const port_options& options, std::string note);
  result<void> connect(const netdev_facts& facts);
  void disconnect();
  void follow(const netdev_facts& facts);
  void collect_kernel_drops() const;
  void look(netdev_state state) noexcept;

  port_options options_;
  std::string note_;  // while the port is up
  port_description description_;
  std::vector<std::unique_ptr<queue_state>> queues_;
  std::vector<af_packet_socket> sockets_;  // one per queue; empty while the netdev is away
  burst_gate gate_;                        // slots 2 * queue (receive) and 2 * queue + 1 (transmit)
  int ifindex_ = 0;
  std::atomic<std::uint16_t> mtu_{0};
  std::atomic<bool> up_{false};
  std::atomic<bool> lost_{false};  // a worker's call said that the netdev went
  mutable counter kernel_drops_;   // the kernel forgets them when asked
};

}  // namespace trunkgate
