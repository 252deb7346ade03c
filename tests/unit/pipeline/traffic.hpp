// Packets that run through a started gateway while the test looks on: numbered, so that each is known when it comes
// out.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

#include "tests/unit/stages/little_gateway.hpp"

namespace trunkgate::test {

// Sends numbers 0 to count - 1 by `send` and takes frames from `port` until every number has come out or been dropped,
// or a minute has passed. No more than `in_flight` are on their way, so that no ring has a reason to be full. Gives how
// many came out; `arrived` sees each frame.
inline std::size_t run_through(little_gateway& gateway, std::uint16_t port, std::size_t count,
                               const std::function<void(std::size_t)>& send,
                               const std::function<void(const bytes&)>& arrived, std::size_t in_flight = 200) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto dropped_before = gateway.all_drops();
  std::size_t sent = 0, out = 0;
  while (std::chrono::steady_clock::now() < deadline) {
    const std::size_t done = out + (gateway.all_drops() - dropped_before);
    if (sent == count && done == count) break;
    if (sent < count && sent - done < in_flight) send(sent++);
    if (auto* frame = gateway.wire(port).take()) {
      arrived(content_of(frame));
      ++out;
    } else {
      std::this_thread::yield();
    }
  }
  return out;
}

}  // namespace trunkgate::test
