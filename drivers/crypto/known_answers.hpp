// What the engines' self-tests must give: ICVs computed elsewhere.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/core/suite.hpp"

namespace trunkgate {

struct known_answer {
  // Payloads: short, a few blocks, more than a kernel's longest stride, and a full packet.
  static constexpr std::array<std::uint32_t, 4> lengths{16, 112, 528, 1424};

  esp_suite suite;
  bool esn;
  std::array<std::string_view, lengths.size()> icv;  // hexadecimal; it covers the ciphertext too
};

[[nodiscard]] std::span<const known_answer> known_answers();  // two of each suite, with and without ESN

}  // namespace trunkgate
