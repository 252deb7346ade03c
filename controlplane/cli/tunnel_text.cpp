#include "controlplane/cli/tunnel_text.hpp"

#include <array>
#include <cmath>
#include <cstdio>

namespace trunkgate {

std::string rate_text(std::uint64_t bits_per_second) {
  static constexpr std::array<const char*, 5> units{"b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s"};
  auto value = static_cast<double>(bits_per_second);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  std::array<char, 32> buffer{};
  std::snprintf(buffer.data(), buffer.size(), unit > 0 && value < 9.95 ? "%.1f %s" : "%.0f %s", value, units.at(unit));
  return buffer.data();
}

std::string seconds_text(std::int64_t seconds) {
  return age_text(seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds) * 1'000'000'000);
}

std::string age_since(const json_object& from, const char* field, std::uint64_t now_ns) {
  const auto found = from.find(field);
  if (found == from.end() || !found->is_number()) return "";
  const auto then = found->get<std::uint64_t>();
  return age_text(now_ns > then ? now_ns - then : 0);
}

std::string words_text(const json_object& from, const char* field, std::string_view between) {
  std::string out;
  if (const auto found = from.find(field); found != from.end() && found->is_array())
    for (const auto& word : *found)
      if (word.is_string()) out += (out.empty() ? "" : std::string(between)) + printable(word.get<std::string>());
  return out;
}

}  // namespace trunkgate
