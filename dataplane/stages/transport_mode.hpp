// ESP in transport mode (RFC 4303 3.1.1): where it stands in an IP packet, and the packet's headers around it.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

namespace trunkgate {

// Between what headers of an IP packet ESP stands.
struct esp_place {
  std::uint16_t offset = 0;          // bytes in front of it, from the IP header on
  std::uint16_t next_header_at = 0;  // the byte in front that names what stands there
};

// For an IP packet that parse_ip() took: behind IPv4 options, or behind the IPv6 headers that are read on the way:
// hop-by-hop options, routing, and destination options for the routing header's stations. Worker threads.
[[nodiscard]] esp_place place_for_esp(const std::uint8_t* ip, std::uint8_t ip_version) noexcept;

// The same for a packet whose ESP, or the UDP around it, stands at `offset` already. offset 0: behind a header that ESP
// can't stand behind.
[[nodiscard]] esp_place place_of_esp(const std::uint8_t* ip, std::uint8_t ip_version, std::uint16_t offset) noexcept;

// The headers' fields that change when something else stands at `place`: what it is, lengths, checksum.
void rewrite_headers(std::uint8_t* ip, std::uint8_t ip_version, const esp_place& place, std::uint8_t next_header,
                     std::uint32_t total) noexcept;

// RFC 3948 3.1.2: a NAT changed the addresses that TCP's and UDP's checksums cover. The ICV vouched for the bytes, so
// the checksum is made new; UDP without one over IPv4 stays without. For a parsed packet that is no fragment.
void renew_transport_checksum(rte_mbuf* packet) noexcept;

}  // namespace trunkgate
