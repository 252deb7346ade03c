// Comparing integrity check values without telling by the time taken where they differ.
#pragma once

#include <cstdint>
#include <cstring>

namespace trunkgate {

// `size` is at least 8 and the suite's, no secret. Whole words from the front, and the last eight bytes once more.
[[nodiscard]] inline bool icv_equal(const std::uint8_t* a, const std::uint8_t* b, std::size_t size) noexcept {
  const auto differ = [&](std::size_t at) {
    std::uint64_t left, right;
    std::memcpy(&left, a + at, sizeof left);
    std::memcpy(&right, b + at, sizeof right);
    return left ^ right;
  };
  std::uint64_t difference = differ(size - 8);
  for (std::size_t at = 0; at + 8 < size; at += 8) {
    difference |= differ(at);
    __asm__ __volatile__("" : "+r"(difference));  // keeps the compiler from branching on a part first
  }
  return difference == 0;
}

}  // namespace trunkgate
