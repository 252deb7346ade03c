// A port whose wire is two rings in memory per queue, with a benchmark or a test at their other ends.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/pipeline/ring.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate::bench {

class memory_port final : public port_driver {
 public:
  // `room`: frames each ring holds.
  explicit memory_port(const mac_address& mac, std::uint16_t queues = 1, unsigned room = 4095);
  ~memory_port() override;
  memory_port(const memory_port&) = delete;
  memory_port& operator=(const memory_port&) = delete;

  // The far end; one thread. A frame that was not delivered stays the caller's, one that was taken becomes it.
  [[nodiscard]] bool deliver(rte_mbuf* frame, std::uint16_t queue) { return towards_gateway_[queue]->put(frame); }
  [[nodiscard]] std::size_t deliver(std::span<rte_mbuf* const> frames);  // to queue 0: how many from the front
  [[nodiscard]] bool all_received(std::uint16_t queue = 0) const { return towards_gateway_[queue]->count() == 0; }
  [[nodiscard]] unsigned waiting(std::uint16_t queue = 0) const { return towards_gateway_[queue]->count(); }
  [[nodiscard]] rte_mbuf* take();  // nullptr: nothing came out
  // What came out of queue 0, at most as many as `into` has places for.
  [[nodiscard]] std::span<rte_mbuf* const> take(std::span<rte_mbuf*> into);
  std::atomic<bool> blocked{false};  // the wire takes no frame

  std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t limit) noexcept override;
  std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept override;
  [[nodiscard]] int wait_descriptor(std::uint16_t) const noexcept override { return -1; }
  void refresh() override {}
  [[nodiscard]] bool up() const noexcept override { return true; }
  [[nodiscard]] const port_description& description() const noexcept override { return description_; }
  [[nodiscard]] port_counters counters() const noexcept override { return {}; }

 private:
  port_description description_;
  std::vector<std::unique_ptr<packet_ring>> towards_gateway_, from_gateway_;
};

}  // namespace trunkgate::bench
