// The packet that an ICMP error quotes: as much of it as the sender of the error had room for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/core/ip.hpp"

namespace trunkgate {

struct quoted_packet {
  ip_address source, destination;
  std::uint16_t length = 0;  // of the whole packet, by its own header
  std::uint8_t protocol = 0;
  std::uint8_t traffic_class = 0;
  bool later_fragment = false;
  bool has_ports = false;                               // TCP, UDP, SCTP; ICMP: type << 8 | code in both
  std::uint16_t source_port = 0, destination_port = 0;  // host order
  bool has_spi = false;                                 // ESP, or what may be ESP in UDP: the caller knows the ports
  std::uint32_t spi = 0, sequence = 0;                  // host order; the sequence number's low half
};

// Whether an ICMP message of this type quotes a packet (RFC 792, RFC 4443 2.1).
[[nodiscard]] bool is_icmp_error(std::uint8_t ip_version, std::uint8_t icmp_type) noexcept;

// Parses what stands behind the eight bytes of an ICMP error's own header. Nothing: it is no IP packet of `ip_version`,
// or cut within its headers. Checksums are not looked at: routers change the header before they quote it. Any thread.
[[nodiscard]] std::optional<quoted_packet> parse_quoted(std::span<const std::uint8_t> quotation,
                                                        std::uint8_t ip_version) noexcept;

}  // namespace trunkgate
