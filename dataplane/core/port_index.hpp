// Numbers of ports inside the data plane.
#pragma once

#include <cstdint>

namespace trunkgate {

inline constexpr std::uint16_t box_index = 0xfffe;  // the gateway itself as ingress or egress
inline constexpr std::uint16_t no_port = 0xffff;    // none, or any

}  // namespace trunkgate
