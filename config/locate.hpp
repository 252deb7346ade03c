// Where something stands in a configuration file.
#pragma once

#include <string>
#include <string_view>

#include "config/document.hpp"

namespace trunkgate {

struct found_place {
  place at;
  std::string path;  // that stands there: what was asked for, or the nearest object around it that the file has
};
// "tunnels.hq.children.lan.esp"; a list's element is "routes[2]". Line 0: nothing of it is in the file.
[[nodiscard]] found_place locate(const node& root, std::string_view path);

}  // namespace trunkgate
