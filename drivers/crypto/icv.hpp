// Comparing integrity check values without telling by the time taken where they differ.
#pragma once

#include <cstdint>
#include <cstring>

namespace trunkgate {

// `size` is 8 to 16.
[[nodiscard]] inline bool icv_equal(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) noexcept {
  std::uint64_t a_low, a_high, b_low, b_high;
  std::memcpy(&a_low, a, 8);
  std::memcpy(&b_low, b, 8);
  std::memcpy(&a_high, a + size - 8, 8);
  std::memcpy(&b_high, b + size - 8, 8);
  std::uint64_t difference = (a_low ^ b_low) | (a_high ^ b_high);
  __asm__ __volatile__("" : "+r"(difference));  // keeps the compiler from branching on one half first
  return difference == 0;
}

}  // namespace trunkgate
