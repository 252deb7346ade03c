// AES-GCM kernels for whole bursts, one set for each width of vector registers, and which of them this processor runs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "drivers/crypto/engine.hpp"
#include "drivers/crypto/gcm/key.hpp"

namespace trunkgate::gcm {

struct kernels {
  // From the cipher key (16, 24 or 32 bytes, by `rounds`): fills in the schedule.
  void (*expand)(key& to, const std::uint8_t* cipher_key) noexcept;
  // All operations' keys are gcm::key. No allocation, no system call; no branch or address depends on a secret.
  void (*encrypt)(esp_op* const* ops, std::size_t count) noexcept;
  void (*decrypt)(esp_op* const* ops, std::size_t count) noexcept;
};

extern const kernels kernels_256, kernels_512;

// Those of a width, or null where this processor (or its operating system) lacks the instructions.
[[nodiscard]] const kernels* find_kernels(vaes_width width) noexcept;

}  // namespace trunkgate::gcm
