// The largest outer packet that gets through to an SA's peer, as far as the network has told (RFC 1191, RFC 8201).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace trunkgate {

// Written by whichever worker the report reaches, read by all. MTU and time are one word, so that no reader sees one
// without the other.
class learned_path_mtu {
 public:
  // RFC 1191 6.3, RFC 8201 4: the path may have grown meanwhile.
  static constexpr std::uint64_t lifetime_ms = 10 * 60 * 1000;

  // The path's MTU where the first port's is `port_mtu`.
  [[nodiscard]] std::uint16_t in_use(std::uint16_t port_mtu, std::uint64_t now_ms) const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    if (word == 0 || is_old(word, now_ms)) return port_mtu;
    return std::min(port_mtu, static_cast<std::uint16_t>(word));
  }
  void learn(std::uint16_t mtu, std::uint64_t now_ms) noexcept {
    word_.store(now_ms << 16 | mtu, std::memory_order_relaxed);
  }
  void forget() noexcept { word_.store(0, std::memory_order_relaxed); }

  // ---- for reports ----
  // 0: nothing is known.
  [[nodiscard]] std::uint16_t reported(std::uint64_t now_ms) const noexcept {
    const std::uint64_t word = word_.load(std::memory_order_relaxed);
    return is_old(word, now_ms) ? 0 : static_cast<std::uint16_t>(word);
  }
  [[nodiscard]] std::uint64_t age_ms(std::uint64_t now_ms) const noexcept {
    const std::uint64_t since = word_.load(std::memory_order_relaxed) >> 16;
    return now_ms > since ? now_ms - since : 0;
  }

 private:
  static bool is_old(std::uint64_t word, std::uint64_t now_ms) noexcept {
    return now_ms > (word >> 16) + lifetime_ms;  // another worker's clock may be a turn behind
  }
  std::atomic<std::uint64_t> word_{0};  // milliseconds of the report in the upper 48 bits, MTU in the lower 16; 0: none
};

}  // namespace trunkgate
