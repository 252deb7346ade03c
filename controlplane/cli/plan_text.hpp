// A plan as people read it.
#pragma once

#include <string>

#include "config/plan.hpp"

namespace trunkgate {

// One line per change, and a last one that says how many; `wide`: long values in full.
[[nodiscard]] std::string plan_text(const plan& what, bool wide);

}  // namespace trunkgate
