// What a fragment says of its place in its datagram.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/packet/meta.hpp"

namespace trunkgate {

struct fragment_header {
  std::uint32_t id = 0;
  std::uint32_t first = 0, end = 0;  // bytes of the datagram's fragmentable part: [first, end)
  bool more = false;
};

// `packet` begins with the IP header of a packet that parse_ip() took for a fragment and filled `m` from. Nothing: it
// is none. Any thread.
[[nodiscard]] std::optional<fragment_header> find_fragment_header(std::span<const std::uint8_t> packet,
                                                                  const packet_meta& m) noexcept;

}  // namespace trunkgate
