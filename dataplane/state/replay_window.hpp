// Anti-replay window of RFC 4303 3.4.3 and Appendix A, as a ring of bits so that sliding never shifts any (the idea of
// RFC 6479, whose ring is cleared by whole blocks and has one more).
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace trunkgate {

// One thread. Sequence numbers are the full 64 bits; without ESN the high half is 0.
class replay_window {
 public:
  // `size` packets: 64 to 65536, rounded up to whole blocks. `highest`: numbers up to it count as seen.
  explicit replay_window(std::uint32_t size, std::uint64_t highest = 0)
      : size_((size + 63) / 64 * 64),
        mask_(std::bit_ceil(size_ / 64) - 1),
        blocks_(mask_ + 1, highest != 0 ? ~0ull : 0),
        top_(highest) {}

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
      forget(top_ + 1, sequence);
      top_ = sequence;
    }
    blocks_[(sequence >> 6) & mask_] |= 1ull << (sequence & 63);
    return advances;
  }

  [[nodiscard]] std::uint64_t highest() const noexcept { return top_; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

 private:
  // The numbers from `first` to `last` take the places of older ones.
  void forget(std::uint64_t first, std::uint64_t last) noexcept {
    const std::uint64_t begin = first >> 6, end = last >> 6;
    const std::uint64_t from = ~0ull << (first & 63), to = ~0ull >> (63 - (last & 63));
    if (begin == end) {
      blocks_[begin & mask_] &= ~(from & to);
    } else if (last - first >= blocks_.size() * 64) {
      std::ranges::fill(blocks_, 0);
    } else {
      blocks_[begin & mask_] &= ~from;
      for (std::uint64_t block = begin + 1; block < end; ++block) blocks_[block & mask_] = 0;
      blocks_[end & mask_] &= ~to;  // perhaps the first one again
    }
  }

  std::uint32_t size_;
  std::uint32_t mask_;  // of blocks: a power of two of them, at least the window
  std::vector<std::uint64_t> blocks_;
  std::uint64_t top_;
};

}  // namespace trunkgate
