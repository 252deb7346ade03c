// A plan between the daemon and the command, and for --json.
#pragma once

#include <nlohmann/json.hpp>

#include "config/plan.hpp"

namespace trunkgate {

// {"impact", "lines": [{"kind", "path", "text", "impact", "reason"}], "tunnels": [{"name", "kind", "impact",
// "children"}]}
[[nodiscard]] nlohmann::ordered_json to_json(const plan& what);
// Its lines and impact; what is none of them is left out.
[[nodiscard]] plan plan_of(const nlohmann::ordered_json& from);

}  // namespace trunkgate
