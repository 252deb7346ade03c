// AES-GCM's prepared key for the engine's own kernels: round keys and powers of the hash key, in eight cache lines.
#pragma once

#include <cstddef>
#include <cstdint>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::gcm {

// So many powers of the hash key as fit besides the round keys: a kernel folds so many blocks before it reduces.
[[nodiscard]] constexpr unsigned powers_of(unsigned rounds) { return rounds == 14 ? 12 : 16; }

class alignas(64) key final : public esp_key {
 public:
  key(const esp_engine& made_by, esp_suite s, bool extended) : esp_key(made_by, s, extended) {}
  ~key() override;

  std::uint8_t rounds = 0;    // 10, 12 or 14
  std::uint8_t salt[4] = {};  // RFC 4106 4: the front of each nonce
  // The powers H^p .. H^1, p = powers_of(rounds), then the round keys, 0 .. rounds. H^1 is followed by key bytes that a
  // kernel may load with it, against zeros.
  alignas(16) std::uint8_t schedule[13 * 16 + 16 * 16] = {};

  [[nodiscard]] const std::uint8_t* powers_end() const noexcept { return schedule + 16 * powers_of(rounds); }
  [[nodiscard]] const std::uint8_t* round_keys() const noexcept { return powers_end(); }
};
static_assert(sizeof(key) <= 512, "eight cache lines, fetched ahead for every packet");
static_assert(16 * (powers_of(10) + 11) <= sizeof(key::schedule) &&
              16 * (powers_of(12) + 13) <= sizeof(key::schedule) && 16 * (powers_of(14) + 15) <= sizeof(key::schedule));

}  // namespace trunkgate::gcm
