// What a negotiation has left behind, as JSON with stable names (docs/operating.md).
#pragma once

#include <chrono>

#include <nlohmann/json.hpp>

#include "controlplane/ike/engine/engine.hpp"

namespace trunkgate {

[[nodiscard]] nlohmann::ordered_json report_of(const ike::tunnel& one, const ike::failed_step& step);
[[nodiscard]] nlohmann::ordered_json report_of(const ike::tunnel& one, const ike::negotiation_record& record);
// All that `trunkgate explain` has to say.
[[nodiscard]] nlohmann::ordered_json explanation_of(const ike::engine& all, const ike::tunnel& one,
                                                    ike::timer_clock::time_point now);

// Nanoseconds since 1970, as all times in --json; null for one that is not set.
[[nodiscard]] nlohmann::ordered_json unix_ns(std::chrono::system_clock::time_point when);

}  // namespace trunkgate
