// What carries IKE's datagrams between the two ends of the benchmark: UDP on loopback, through the kernel.
#pragma once

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/ike/sa/environment.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::bench {

// One end. The peers' addresses are none of this machine's: they travel in front of each datagram.
class ike_wire {
 public:
  // Two ends that are connected with each other.
  [[nodiscard]] static result<std::pair<std::unique_ptr<ike_wire>, std::unique_ptr<ike_wire>>> make();
  ~ike_wire();
  ike_wire(const ike_wire&) = delete;
  ike_wire& operator=(const ike_wire&) = delete;

  // Loss is no error, as on any wire.
  void send(const ike::ike_path& path, ike::byte_view datagram);
  // The next datagram, which stays valid until the next call; nothing: there is none now.
  [[nodiscard]] std::optional<std::pair<ike::ike_path, ike::byte_view>> receive();
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  explicit ike_wire(int descriptor);
  int descriptor_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace trunkgate::bench
