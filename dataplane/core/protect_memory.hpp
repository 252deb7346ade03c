// Keeps what is in this process's memory, keys above all, in this process.
#pragma once

#include "dataplane/core/result.hpp"

namespace trunkgate {

// Before any key is read: no core file (also none through a piped core_pattern), no reader by ptrace of the same user,
// and no page in swap. The last needs CAP_IPC_LOCK: where it is missing the process may go on, and the error says what
// is amiss.
[[nodiscard]] result<void> keep_secrets_in_memory();

}  // namespace trunkgate
