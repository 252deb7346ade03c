// NAT_DETECTION_SOURCE_IP and NAT_DETECTION_DESTINATION_IP (RFC 7296 2.23).
#pragma once

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// SHA-1 of the SPIs, the address and the port.
[[nodiscard]] bytes nat_hash(std::uint64_t initiator_spi, std::uint64_t responder_spi, const sa_endpoint& end);
// Both notifies for what we send over `path`. With `pretend` the peer finds a NAT in front of us.
void add_nat_detection(payloads& to, std::uint64_t initiator_spi, std::uint64_t responder_spi, const ike_path& path,
                       bool pretend);
struct nat_found {
  bool known = false;  // the peer sent the notifies
  bool here = false, there = false;
};
// From what the peer sent over `path`.
[[nodiscard]] nat_found find_nat(const payloads& in, std::uint64_t initiator_spi, std::uint64_t responder_spi,
                                 const ike_path& path);

}  // namespace trunkgate::ike
