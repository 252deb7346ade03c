// The memory file with the sequence numbers: made empty by the supervisor, filled by the data plane, lost with neither
// alone.
#pragma once

#include <sys/mman.h>

#include "dataplane/core/result.hpp"

namespace trunkgate {

// The data plane finds the file's descriptor number in this environment variable.
inline constexpr const char* sequence_descriptor_variable = "TRUNKGATE_SEQUENCE_FD";

// An empty memory file; whoever maps it first gives it its size and content. Closed on exec: the one child that is to
// have it clears that flag for itself.
[[nodiscard]] inline result<int> create_sequence_file() {
  int descriptor = ::memfd_create("trunkgate-sequences", MFD_CLOEXEC);
  if (descriptor < 0) return system_failure("make the memory file for sequence numbers");
  return descriptor;
}

}  // namespace trunkgate
