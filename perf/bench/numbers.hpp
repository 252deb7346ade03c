// Numbers as people read them.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace trunkgate::bench {

[[nodiscard]] inline std::string number(double value, int digits = 0) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
[[nodiscard]] inline std::string count(std::uint64_t value) { return std::to_string(value); }

}  // namespace trunkgate::bench
