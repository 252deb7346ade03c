// CRC32C over a whole key.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <type_traits>

#include <rte_hash_crc.h>

namespace trunkgate {

// Not by rte_hash_crc(): it reads words through a pointer to what was written as bytes and halves, which the compiler
// may take for different memory and read before they are written.
template <class Key>
[[nodiscard]] std::uint32_t crc_hash(const Key& key, std::uint32_t seed = 0) noexcept {
  static_assert(std::has_unique_object_representations_v<Key> && sizeof key % 4 == 0);
  for (const auto word : std::bit_cast<std::array<std::uint32_t, sizeof(Key) / 4>>(key))
    seed = rte_hash_crc_4byte(word, seed);
  return seed;
}

}  // namespace trunkgate
