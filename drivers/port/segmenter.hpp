// Cuts a frame that a kernel left to segmentation hardware (up to 64 KiB) into frames that fit the wire.
#pragma once

#include <cstdint>
#include <span>

#include "drivers/port/checksum.hpp"
#include "drivers/port/offload_header.hpp"

namespace trunkgate {

// Holds one frame at a time and borrows its bytes: they must stay until done(). Segments come one by one, so whoever
// runs out of room goes on later.
class segmenter {
 public:
  // False when the frame can't be cut: damaged, tunnelled, or of a kind that nothing sends today (UFO).
  // TCP segments are at most `mtu` long whatever the sender asked for; datagrams keep the sender's borders.
  [[nodiscard]] bool start(std::span<const std::uint8_t> frame, const offload_header& request,
                           std::uint16_t mtu) noexcept;

  [[nodiscard]] bool done() const noexcept { return position_ == frame_.size(); }
  [[nodiscard]] std::size_t segments_left() const noexcept;
  [[nodiscard]] std::size_t largest_segment() const noexcept { return header_length_ + payload_each_; }
  // Writes the next segment, at most largest_segment() bytes, checksums and all, and gives its length. Not when done().
  std::size_t next(std::uint8_t* out) noexcept;
  void abandon() noexcept { position_ = frame_.size(); }

 private:
  void finish_tcp(std::uint8_t* out, std::size_t offset, bool first, bool last, std::size_t length) const noexcept;
  void finish_udp(std::uint8_t* out, std::size_t length) const noexcept;

  std::span<const std::uint8_t> frame_;
  frame_headers headers_;
  std::size_t header_length_ = 0;  // Ethernet, IP and transport header: repeated in each segment
  std::size_t payload_each_ = 1;
  std::size_t position_ = 0;  // of the payload not yet given out
  bool udp_without_checksum_ = false;
};

}  // namespace trunkgate
