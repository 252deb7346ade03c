// What a router on the way to a peer says about one of our ESP packets: too big, and perhaps what would fit.
#pragma once

#include <cstdint>
#include <optional>

#include <rte_mbuf.h>

#include "dataplane/state/tables.hpp"

namespace trunkgate {

struct size_report {
  outbound_sa* sa = nullptr;
  std::uint32_t mtu = 0;            // 0: an old router, which does not say (RFC 1191 5)
  std::uint16_t quoted_length = 0;  // of the whole ESP packet
  std::uint32_t sequence = 0;       // the low half of its number
};

// From a parsed packet that is an ICMP "fragmentation needed" (RFC 1191 4) or an ICMPv6 "packet too big" (RFC 4443 3.2)
// and quotes a packet of one of our outbound SAs by addresses, SPI and, in UDP, ports. Nothing is authentic about it.
// Worker threads.
[[nodiscard]] std::optional<size_report> read_size_report(const forwarding_tables& tables, rte_mbuf* packet) noexcept;

// The path MTU that a report demands; 0 where it can't be true: it must be about a packet that the SA has sent (`last`:
// its last sequence number) and that was larger, lower than what is `in_use`, and not below what every path carries.
[[nodiscard]] std::uint16_t believable_mtu(const size_report& report, bool v6, std::uint64_t last,
                                           std::uint16_t in_use) noexcept;

}  // namespace trunkgate
