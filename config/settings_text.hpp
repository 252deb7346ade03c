// A configuration's values as they would be written, to be compared and shown. Secrets are named, never read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"

namespace trunkgate {

// One value of an object, by its place in it: "ike.lifetime". Every object of a kind has the same keys in the same
// order; what is not given is "".
struct setting_text {
  std::string_view key;
  std::string text;
};
using settings_text = std::vector<setting_text>;

[[nodiscard]] settings_text texts_of(const gateway_settings& gateway);
[[nodiscard]] settings_text texts_of(const monitoring_settings& monitoring);
[[nodiscard]] settings_text texts_of(const port_settings& port);
[[nodiscard]] settings_text texts_of(const tunnel_settings& tunnel);  // without its children
[[nodiscard]] settings_text texts_of(const child_settings& child);
[[nodiscard]] settings_text texts_of(const policy_settings& rule);
[[nodiscard]] std::string text_of(const route_settings& route);  // "0.0.0.0/0 via 203.0.113.1"

[[nodiscard]] std::string duration_text(std::uint64_t seconds);  // "90s", "50m", "1h", "1d"; "" for 0

}  // namespace trunkgate
