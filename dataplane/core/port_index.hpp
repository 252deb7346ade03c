// Numbers of ports inside the data plane.
#pragma once

#include <cstdint>

namespace trunkgate {

inline constexpr std::uint16_t device_port_limit = 32;   // numbers from 0 on: devices and their VLANs
inline constexpr std::uint16_t tunnel_port_limit = 128;  // the numbers behind: interfaces of route-based tunnels
inline constexpr std::uint16_t port_limit = device_port_limit + tunnel_port_limit;

inline constexpr std::uint16_t box_index = 0xfffe;  // the gateway itself as ingress or egress
inline constexpr std::uint16_t no_port = 0xffff;    // none, or any

[[nodiscard]] constexpr bool is_tunnel_port(std::uint16_t port) noexcept {
  return port >= device_port_limit && port < port_limit;
}

}  // namespace trunkgate
