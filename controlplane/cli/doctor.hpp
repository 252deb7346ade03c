// `trunkgate doctor`: judges what the machine gives.
#pragma once

#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/machine.hpp"

namespace trunkgate {

// problem: the gateway can't work so; notable: it works, but less well.
[[nodiscard]] listing diagnose(const machine& found);

}  // namespace trunkgate
