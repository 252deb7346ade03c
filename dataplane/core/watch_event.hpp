// What a watch (`trunkgate trace`, `trunkgate capture`) tells of a packet, one record each.
#pragma once

#include <cstdint>

namespace trunkgate {

enum class watch_event : std::uint8_t {
  // of a trace
  begun,    // the filter matched: every later record is of this packet
  entered,  // it waits at a stage
  sent,     // it was given to the device of the port it leaves by
  punted,   // it was given to the kernel
  // of a capture: the packet's bytes follow
  frame_in,   // as it came in by a port
  frame_out,  // as it went out by a port
  inner_out,  // before encapsulation
  inner_in,   // after decapsulation
  // of both
  dropped,
  ended,  // no packet: the watch is over
};

}  // namespace trunkgate
