// The packet sockets of one netdev: opened together, one per queue, in one fanout group.
#pragma once

#include <cstdint>
#include <vector>

#include "dataplane/core/result.hpp"

namespace trunkgate {

class af_packet_socket {
 public:
  af_packet_socket() = default;
  explicit af_packet_socket(int descriptor) : descriptor_(descriptor) {}
  af_packet_socket(af_packet_socket&& other) noexcept : descriptor_(other.release()) {}
  af_packet_socket& operator=(af_packet_socket&& other) noexcept {
    if (this != &other) {
      reset();
      descriptor_ = other.release();
    }
    return *this;
  }
  ~af_packet_socket() { reset(); }

  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }
  [[nodiscard]] std::uint64_t take_kernel_drops() const noexcept;  // since the last call
  void reset() noexcept;

 private:
  int release() noexcept {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    return descriptor;
  }
  int descriptor_ = -1;
};

// Frames of the netdev with this index, each on exactly one of the sockets; what the host sends is not among them.
[[nodiscard]] result<std::vector<af_packet_socket>> open_af_packet_sockets(int ifindex, std::uint16_t queues);

}  // namespace trunkgate
