// A port whose wire is two rings in memory per queue, with the test at their other ends.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "dataplane/pipeline/ring.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate::test {

class memory_port final : public port_driver {
 public:
  memory_port(const mac_address& mac, std::uint16_t queues, unsigned room = 4095) {
    description_.path = "memory";
    description_.mac = mac;
    description_.rx_queues = description_.tx_queues = queues;
    for (std::uint16_t i = 0; i < queues; ++i) {
      towards_gateway_.push_back(std::make_unique<packet_ring>(room));
      from_gateway_.push_back(std::make_unique<packet_ring>(room));
    }
  }
  ~memory_port() override {
    for (auto& ring : towards_gateway_) drain(*ring);
    for (auto& ring : from_gateway_) drain(*ring);
  }

  // The test's ends; one thread.
  [[nodiscard]] bool deliver(rte_mbuf* frame, std::uint16_t queue) { return towards_gateway_[queue]->put(frame); }
  [[nodiscard]] rte_mbuf* take() {
    rte_mbuf* frame = nullptr;
    for (auto& ring : from_gateway_)
      if (ring->take(&frame, 1) == 1) return frame;
    return nullptr;
  }
  std::atomic<bool> blocked{false};  // the wire takes no frame

  std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept override {
    return static_cast<std::uint16_t>(towards_gateway_[queue]->take(frames, room));
  }
  std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept override {
    std::uint16_t sent = 0;
    while (!blocked.load() && sent < count && from_gateway_[queue]->put(frames[sent])) ++sent;
    return sent;
  }
  [[nodiscard]] int wait_descriptor(std::uint16_t) const noexcept override { return -1; }
  void refresh() override {}
  [[nodiscard]] bool up() const noexcept override { return true; }
  [[nodiscard]] const port_description& description() const noexcept override { return description_; }
  [[nodiscard]] port_counters counters() const noexcept override { return {}; }

 private:
  port_description description_;
  std::vector<std::unique_ptr<packet_ring>> towards_gateway_, from_gateway_;
};

}  // namespace trunkgate::test
