// The packets that the bench sends and what must be left of them at the far end, byte for byte.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace trunkgate::bench {

inline constexpr std::uint16_t smallest_packet = 40, largest_packet = 1500;  // bytes of the inner IP packet

// A numbered packet: IPv4, UDP, the number, then bytes that follow from the number. Every flow has a destination of its
// own, 10.x.y.1, and so an SA of its own.
struct numbered_packet {
  std::uint64_t number;
  std::uint32_t flow;
  std::uint16_t size;
  void write(std::uint8_t* at, std::uint8_t hops_spent = 0) const noexcept;
};

// Packet `number` belongs to this flow: neighbours in time are not neighbours in memory.
[[nodiscard]] std::uint32_t flow_of(std::uint64_t number, std::uint32_t flows) noexcept;

// Compares what arrived with what was sent: every packet of a round once, and each as it must be.
class checker {
 public:
  checker(std::uint16_t size, std::uint32_t flows) : size_(size), flows_(flows), expected_(size) {}

  void begin_round(std::uint64_t first, std::uint32_t count);
  // One IP packet out of the pipeline, `hops_spent` gateways behind its sender. Counts.
  void arrived(std::span<const std::uint8_t> packet, std::uint8_t hops_spent);
  void end_round();  // what did not arrive is wrong

  // Whether it is a packet of this round, unchanged; whether it came before does not matter, and nothing is counted.
  [[nodiscard]] bool matches(std::span<const std::uint8_t> packet, std::uint8_t hops_spent);
  void count_wrong(std::uint64_t packets) { wrong_ += packets; }

  [[nodiscard]] std::uint16_t packet_size() const { return size_; }
  [[nodiscard]] std::uint64_t verified() const { return verified_; }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  std::uint16_t size_;
  std::uint32_t flows_;
  std::uint64_t first_ = 0;
  std::vector<bool> seen_;
  std::vector<std::uint8_t> expected_;
  std::uint64_t verified_ = 0, wrong_ = 0;
};

}  // namespace trunkgate::bench
