// Which packets a watch (trace or capture) is about: pairs of ranges, compared with the addresses of a packet.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/core/ip.hpp"

namespace trunkgate {

struct packet_addresses {
  ip_address source, destination;
};

// The addresses of the IP packet that begins with the first byte; nothing if its header is not there as a whole. Looks
// at nothing else: a packet with a wrong checksum or length has addresses too. Any thread.
[[nodiscard]] std::optional<packet_addresses> addresses_of_ip(std::span<const std::uint8_t> packet) noexcept;
// The same for an Ethernet frame, with or without one 802.1Q tag.
[[nodiscard]] std::optional<packet_addresses> addresses_of_frame(std::span<const std::uint8_t> frame) noexcept;

struct watch_filter {
  static constexpr std::size_t pair_limit = 32;
  struct pair {
    ip_range one, other;
  };
  std::array<pair, pair_limit> pairs;
  std::size_t count = 0;  // 0: everything, also what is no IP

  // Whether the packet goes from one range of a pair to the other, either way round.
  [[nodiscard]] bool matches(const packet_addresses& packet) const noexcept;
};

}  // namespace trunkgate
