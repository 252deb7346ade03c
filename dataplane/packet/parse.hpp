// One look at an IP packet: everything later stages want to know of it goes into its packet_meta.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate {

// `bytes` begins with the IP header and ends with the last byte that arrived (Ethernet padding included). On success
// (drop_reason::none) fills ip_version, protocol, l4_offset, ip_length, ports, fragment flags and traffic_class;
// ip_length is at most bytes.size(), l4_offset at most ip_length, and a transport header that the protocol demands lies
// inside. `checksum_known_good`: the device has verified the IPv4 header checksum. Any thread.
[[nodiscard]] drop_reason parse_ip(std::span<const std::uint8_t> bytes, packet_meta& m,
                                   bool checksum_known_good) noexcept;

// Whether a packet with this source address may come from a wire (RFC 1122 3.2.1.3, RFC 4291 2.5, 2.7).
[[nodiscard]] bool source_is_martian(std::span<const std::uint8_t> ip_header, std::uint8_t ip_version) noexcept;

}  // namespace trunkgate
