// Anti-replay window of RFC 4303 3.4.3 and Appendix A, as a ring of 64-bit blocks so that sliding never shifts bits
// (the idea of RFC 6479).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trunkgate {

// One thread. Sequence numbers are the full 64 bits; without ESN the high half is 0.
class replay_window {
 public:
  // `size` packets: 64 to 65536, rounded up to whole blocks. `highest`: numbers up to it count as seen.
  explicit replay_window(std::uint32_t size, std::uint64_t highest = 0)
      : size_((size + 63) / 64 * 64), mask_(round_up_blocks(size_ / 64 + 1) - 1), blocks_(mask_ + 1), top_(highest) {
    if (highest != 0)
      for (auto& block : blocks_) block = ~0ull;
    if (highest != 0) clear_above(highest);
  }

  // The 64-bit number that a packet with these low 32 bits must have (RFC 4303 A2.2), or nothing if it would lie before
  // 0.
  [[nodiscard]] std::optional<std::uint64_t> infer(std::uint32_t low) const noexcept {
    const auto top_low = static_cast<std::uint32_t>(top_);
    const auto top_high = static_cast<std::uint32_t>(top_ >> 32);
    const std::uint32_t bottom = top_low - size_ + 1;  // modulo 2^32
    std::uint32_t high;
    if (top_low >= size_ - 1)
      high = low >= bottom ? top_high : top_high + 1;  // case A: the window lies in one subspace
    else if (low < bottom)
      high = top_high;  // case B: it spans two
    else if (top_high == 0)
      return std::nullopt;
    else
      high = top_high - 1;
    return (std::uint64_t{high} << 32) | low;
  }

  // Not seen and not left of the window. Says nothing about authenticity: ask again after authentication, then
  // accept().
  [[nodiscard]] bool check(std::uint64_t sequence) const noexcept {
    if (sequence > top_) return true;
    if (top_ - sequence >= size_) return false;
    return (blocks_[(sequence >> 6) & mask_] & (1ull << (sequence & 63))) == 0;
  }

  // Marks an authenticated number as seen. True if that moved the right edge. Call only after check().
  bool accept(std::uint64_t sequence) noexcept {
    const bool advances = sequence > top_;
    if (advances) {
      const std::uint64_t steps = (sequence >> 6) - (top_ >> 6);
      for (std::uint64_t i = 1; i <= steps && i <= mask_ + 1; ++i) blocks_[((top_ >> 6) + i) & mask_] = 0;
      top_ = sequence;
    }
    blocks_[(sequence >> 6) & mask_] |= 1ull << (sequence & 63);
    return advances;
  }

  [[nodiscard]] std::uint64_t highest() const noexcept { return top_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  static std::uint32_t round_up_blocks(std::uint32_t blocks) {
    std::uint32_t power = 1;
    while (power < blocks) power *= 2;
    return power;
  }
  void clear_above(std::uint64_t highest) noexcept {
    auto& block = blocks_[(highest >> 6) & mask_];
    const auto bit = highest & 63;
    block = bit == 63 ? ~0ull : (1ull << (bit + 1)) - 1;
  }

  std::uint32_t size_;
  std::uint32_t
      mask_;  // of blocks; at least one block more than the window, so that a new block never aliases its tail
  std::vector<std::uint64_t> blocks_;
  std::uint64_t top_;
};

}  // namespace trunkgate
