// What the kernel says in front of a frame about work it left undone: the virtio-net header of a packet socket.
#pragma once

#include <cstdint>

namespace trunkgate {

// virtio 1.2, 5.1.6, without num_buffers; in host byte order on a packet socket. The kernel's own header for it uses a
// C++ keyword as a name.
struct offload_header {
  std::uint8_t flags = 0;
  std::uint8_t segmentation = 0;      // gso_type
  std::uint16_t header_length = 0;    // a hint; not relied on
  std::uint16_t segment_payload = 0;  // gso_size: bytes behind the transport header
  std::uint16_t checksum_start = 0;
  std::uint16_t checksum_offset = 0;  // from checksum_start

  static constexpr std::uint8_t needs_checksum = 1;                       // in flags
  static constexpr std::uint8_t none = 0, tcpv4 = 1, tcpv6 = 4, udp = 5;  // in segmentation
  static constexpr std::uint8_t ecn = 0x80;                               // with tcpv4 or tcpv6

  [[nodiscard]] bool partial() const noexcept { return (flags & needs_checksum) != 0; }
};
static_assert(sizeof(offload_header) == 10);

}  // namespace trunkgate
