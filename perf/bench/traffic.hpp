// The packets that the bench sends and what must be left of them at the far end, byte for byte.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace trunkgate::bench {

inline constexpr std::uint16_t smallest_packet = 40, largest_packet = 9000;  // bytes of the inner IP packet
inline constexpr std::uint16_t largest_ordinary_packet = 1500;               // larger ones need larger buffers
inline constexpr std::uint32_t flow_limit = 100'000;

// How long packet number n is: always the same, or the simple IMIX.
class packet_sizes {
 public:
  constexpr packet_sizes(std::uint16_t always) : always_(always) {}  // NOLINT: a size is the usual case of sizes
  [[nodiscard]] static constexpr packet_sizes imix() { return {std::uint16_t{0}}; }

  [[nodiscard]] constexpr std::uint16_t of(std::uint64_t number) const noexcept {
    return always_ != 0 ? always_ : mix[number % mix.size()];
  }
  [[nodiscard]] constexpr std::uint16_t largest() const noexcept { return always_ != 0 ? always_ : 1420; }
  [[nodiscard]] double mean() const noexcept;
  [[nodiscard]] bool is_imix() const noexcept { return always_ == 0; }
  [[nodiscard]] std::string name() const { return always_ != 0 ? std::to_string(always_) : "imix"; }
  friend bool operator==(const packet_sizes&, const packet_sizes&) = default;

 private:
  // Seven small, four middle, one large.
  static constexpr std::array<std::uint16_t, 12> mix{64, 570, 64, 64, 570, 64, 1420, 64, 570, 64, 570, 64};
  std::uint16_t always_;
};

// A numbered packet: IPv4, UDP, the number, then bytes that follow from the number. Every flow has a destination of its
// own in a /28 of its own below 10.0.0.0/8, and so an SA of its own.
struct numbered_packet {
  std::uint64_t number;
  std::uint32_t flow;
  std::uint16_t size;
  void write(std::uint8_t* at, std::uint8_t hops_spent = 0) const noexcept;
};
inline constexpr std::uint8_t flow_prefix_length = 28;
[[nodiscard]] constexpr std::uint32_t flow_network(std::uint32_t flow) { return 0x0a000000u + (flow << 4); }

// Packet `number` belongs to this flow: neighbours in time are not neighbours in memory.
[[nodiscard]] std::uint32_t flow_of(std::uint64_t number, std::uint32_t flows) noexcept;

// Compares what arrived with what was sent: every packet of a round once, and each as it must be.
class checker {
 public:
  checker(packet_sizes sizes, std::uint32_t flows) : sizes_(sizes), flows_(flows), expected_(sizes.largest()) {}

  void begin_round(std::uint64_t first, std::uint32_t count);
  // One IP packet out of the pipeline, `hops_spent` gateways behind its sender. Counts.
  void arrived(std::span<const std::uint8_t> packet, std::uint8_t hops_spent);
  void end_round();  // what did not arrive is wrong

  // Whether it is a packet of this round, unchanged; whether it came before does not matter, and nothing is counted.
  [[nodiscard]] bool matches(std::span<const std::uint8_t> packet, std::uint8_t hops_spent);
  void count_wrong(std::uint64_t packets) { wrong_ += packets; }

  [[nodiscard]] packet_sizes sizes() const { return sizes_; }
  [[nodiscard]] std::uint64_t verified() const { return verified_; }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  packet_sizes sizes_;
  std::uint32_t flows_;
  std::uint64_t first_ = 0;
  std::vector<bool> seen_;
  std::vector<std::uint8_t> expected_;
  std::uint64_t verified_ = 0, wrong_ = 0;
};

}  // namespace trunkgate::bench
