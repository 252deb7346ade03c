// Appends fields in network byte order, and fills in lengths when what they count is there.
#pragma once

#include <cassert>
#include <utility>

#include "controlplane/ike/wire/payload.hpp"
#include "dataplane/core/bytes.hpp"

namespace trunkgate::ike::wire {

class writer {
 public:
  void u8(std::uint8_t value) { out_.push_back(value); }
  void u16(std::uint16_t value) { number(value); }
  void u32(std::uint32_t value) { number(value); }
  void u64(std::uint64_t value) { number(value); }
  void append(byte_view data) { out_.insert(out_.end(), data.begin(), data.end()); }
  void zeros(std::size_t count) { out_.insert(out_.end(), count, 0); }

  [[nodiscard]] std::size_t size() const { return out_.size(); }
  void set_u8(std::size_t at, std::uint8_t value) { out_.at(at) = value; }
  // Puts how many octets stand from `start` to the end, and `to_come` behind it, into the 16 bits at `at`.
  void set_length(std::size_t at, std::size_t start, std::size_t to_come = 0) {
    const std::size_t length = out_.size() - start + to_come;
    assert(length <= 65535);
    out_.at(at) = static_cast<std::uint8_t>(length >> 8);
    out_.at(at + 1) = static_cast<std::uint8_t>(length);
  }
  [[nodiscard]] bytes take() { return std::move(out_); }

 private:
  template <class T>
  void number(T value) {
    for (int shift = sizeof(T) * 8 - 8; shift >= 0; shift -= 8)
      out_.push_back(static_cast<std::uint8_t>(value >> shift));
  }

  bytes out_;
};

}  // namespace trunkgate::ike::wire
