// The memory file with the IKE SAs: made empty by the supervisor, filled by trunkgated, gone with the supervisor. It
// holds keys.
#pragma once

#include "dataplane/core/result.hpp"

namespace trunkgate {

// trunkgated finds the file's descriptor number in this environment variable.
inline constexpr const char* ike_descriptor_variable = "TRUNKGATE_IKE_FD";

// An empty memory file that nobody can open anew (mode 0); whoever maps it first gives it its size, content and seals.
// Closed on exec: the one child that is to have it clears that flag for itself.
[[nodiscard]] result<int> create_ike_file();
// Overwrites what is in it. The pages go back to the kernel with the last descriptor.
void wipe_ike_file(int descriptor);

}  // namespace trunkgate
