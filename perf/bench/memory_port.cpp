#include "perf/bench/memory_port.hpp"

#include <algorithm>

namespace trunkgate::bench {

memory_port::memory_port(const mac_address& mac, std::uint16_t mtu) {
  description_.path = "memory";
  description_.mac = mac;
  description_.mtu = mtu;
}

std::uint16_t memory_port::receive(std::uint16_t, rte_mbuf** frames, std::uint16_t limit) noexcept {
  const auto count = std::min<std::size_t>(offered_.size(), limit);
  std::copy_n(offered_.begin(), count, frames);
  offered_ = offered_.subspan(count);
  return static_cast<std::uint16_t>(count);
}

std::uint16_t memory_port::transmit(std::uint16_t, rte_mbuf** frames, std::uint16_t count) noexcept {
  const auto taken = std::min<std::size_t>(count, room - sent_count_);
  std::copy_n(frames, taken, sent_.begin() + sent_count_);
  sent_count_ += taken;
  return static_cast<std::uint16_t>(taken);
}

}  // namespace trunkgate::bench
