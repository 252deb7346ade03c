// A flow as the policy sees it: addresses, upper-layer protocol, ports, and where the packet came in.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "dataplane/core/ip.hpp"

namespace trunkgate {

// Packets that pass, or do not, where the others of the same addresses and protocol do otherwise.
enum class special_packet : std::uint8_t {
  none,
  neighbour_discovery,  // passes between the wire and the kernel by built-in rule
  route_change,         // an ICMP redirect or a router advertisement: never believed
  size_report,          // "too big" about a packet of one of our SAs: for icmp_in, whatever the rules say
};

inline constexpr std::uint8_t any_dscp = 64;  // of a flow whose class is not known: every selector takes it

struct flow_key {
  std::array<std::uint8_t, 16> source{}, destination{};  // network order; IPv4 in the first four bytes, the rest zero
  // Host order; 0 where there are none. Of ICMP: type << 8 | code in both (RFC 4301 4.4.1.1).
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint16_t ingress = 0;  // port index, or box_index
  std::uint8_t protocol = 0;
  ip_family family = ip_family::none;
  std::uint8_t has_ports =
      0;  // 0: a protocol without ports, or a fragment of unknown ones; only port-blind rules match
  std::uint8_t decrypted = 0;  // came out of an SA: a flow of its own, never the clear one's verdict
  std::uint16_t egress = 0;    // of what the box itself sends: the port it chose; else 0
  std::uint8_t link_multicast = 0;
  special_packet special = special_packet::none;
  std::uint8_t dscp = 0;  // 0 to 63, or any_dscp
  std::uint8_t reserved = 0;

  friend bool operator==(const flow_key&, const flow_key&) = default;
  // The same conversation seen from the other end, which marks its packets as it likes.
  [[nodiscard]] flow_key reversed() const {
    flow_key out = *this;
    out.source = destination;
    out.destination = source;
    out.source_port = destination_port;
    out.destination_port = source_port;
    out.dscp = any_dscp;
    return out;
  }
};
// The same as it is hashed and compared: it has no padding, and nothing in it is left unset.
using flow_words = std::array<std::uint64_t, sizeof(flow_key) / 8>;
static_assert(sizeof(flow_key) == 48 && std::has_unique_object_representations_v<flow_key>);

}  // namespace trunkgate
