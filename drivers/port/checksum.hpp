// Completes transport checksums that the sending kernel left to hardware that is not there.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace trunkgate {

// Where an Ethernet frame's headers lie. Fragments and source-routed packets give nothing: their transport header or
// the address in its pseudo header is elsewhere.
struct frame_headers {
  std::uint16_t ip = 0;         // offset of the IP header
  std::uint16_t transport = 0;  // offset of the transport header
  std::uint8_t version = 0;     // 4 or 6
  std::uint8_t protocol = 0;
};
[[nodiscard]] std::optional<frame_headers> find_headers(std::span<const std::uint8_t> frame) noexcept;

// Fills the checksum field at start + offset over everything from `start` on. The field holds the pseudo header's sum
// (virtio 1.2, 5.1.6.2), except for SCTP, which has a CRC32c without pseudo header (RFC 9260 6.8). False, and the frame
// untouched, when the field is not inside the frame.
[[nodiscard]] bool complete_checksum(std::span<std::uint8_t> frame, std::size_t start, std::size_t offset) noexcept;

// The TCP or UDP checksum over pseudo header and `length` bytes at the transport header, whose own field must be zero;
// in the byte order of the wire, to be stored as it is.
[[nodiscard]] std::uint16_t transport_checksum(const std::uint8_t* frame, const frame_headers& headers,
                                               std::size_t length) noexcept;

// Fills the IPv4 header checksum (RFC 791 3.1).
void fill_ipv4_checksum(std::uint8_t* header) noexcept;

}  // namespace trunkgate
