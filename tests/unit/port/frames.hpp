// Frames for the port tests, and raw sockets that put them on a netdev or take them off, past the code under test.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <rte_mbuf.h>

#include "drivers/port/offload_header.hpp"

namespace trunkgate::testing {

using frame_bytes = std::vector<std::uint8_t>;

// Ethernet (optional 802.1Q tag), IPv4 or IPv6, TCP or UDP header and a payload of counting bytes. The transport
// checksum field holds the pseudo header's sum, as a kernel leaves it for hardware.
struct frame_shape {
  int version = 4;
  bool tcp = true;
  std::size_t payload = 100;
  std::uint8_t tcp_flags = 0x10;
  bool tagged = false;
};
[[nodiscard]] frame_bytes make_frame(const frame_shape& shape);
[[nodiscard]] offload_header make_request(const frame_shape& shape, std::uint16_t segment_payload);

// A broadcast frame of the experimental EtherType 0x88b5 that carries a text.
[[nodiscard]] frame_bytes make_marker(const std::string& text);
[[nodiscard]] std::string marker_text(std::span<const std::uint8_t> frame);  // empty: it is no marker

[[nodiscard]] rte_mbuf* to_mbuf(rte_mempool* pool, std::span<const std::uint8_t> frame);
[[nodiscard]] std::span<const std::uint8_t> bytes_of(const rte_mbuf* frame);
[[nodiscard]] inline frame_bytes part(std::span<const std::uint8_t> bytes, std::size_t at, std::size_t length) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.begin() + static_cast<std::ptrdiff_t>(at + length)};
}

// Whether IPv4 header checksum and TCP or UDP checksum are right, judged by DPDK's verifiers. Other frames: true.
[[nodiscard]] bool checksums_right(const rte_mbuf* frame);

class raw_socket {
 public:
  raw_socket(const std::string& netdev, bool with_offload_header);
  raw_socket(const raw_socket&) = delete;
  raw_socket& operator=(const raw_socket&) = delete;
  ~raw_socket();
  void send(std::span<const std::uint8_t> frame, const offload_header& request = {}) const;
  [[nodiscard]] frame_bytes receive() const;  // empty after two seconds of silence

 private:
  int descriptor_;
  bool with_offload_header_;
};

}  // namespace trunkgate::testing
