#include "perf/bench/memory_port.hpp"

namespace trunkgate::bench {

memory_port::memory_port(const mac_address& mac, std::uint16_t queues, unsigned room) {
  description_.path = "memory";
  description_.mac = mac;
  description_.rx_queues = description_.tx_queues = queues;
  for (std::uint16_t i = 0; i < queues; ++i) {
    towards_gateway_.push_back(std::make_unique<packet_ring>(room));
    from_gateway_.push_back(std::make_unique<packet_ring>(room));
  }
}

memory_port::~memory_port() {
  for (auto& ring : towards_gateway_) drain(*ring);
  for (auto& ring : from_gateway_) drain(*ring);
}

std::size_t memory_port::deliver(std::span<rte_mbuf* const> frames) {
  return towards_gateway_.front()->put(frames.data(), static_cast<unsigned>(frames.size()));
}

rte_mbuf* memory_port::take() {
  rte_mbuf* frame = nullptr;
  for (auto& ring : from_gateway_)
    if (ring->take(&frame, 1) == 1) return frame;
  return nullptr;
}

std::span<rte_mbuf* const> memory_port::take(std::span<rte_mbuf*> into) {
  return into.first(from_gateway_.front()->take(into.data(), static_cast<unsigned>(into.size())));
}

std::uint16_t memory_port::receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t limit) noexcept {
  return static_cast<std::uint16_t>(towards_gateway_[queue]->take(frames, limit));
}

std::uint16_t memory_port::transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
  if (blocked.load(std::memory_order_relaxed)) return 0;
  return static_cast<std::uint16_t>(from_gateway_[queue]->put(frames, count));
}

}  // namespace trunkgate::bench
