// Gives up what the key process does not need.
#pragma once

#include "dataplane/core/result.hpp"

namespace trunkgate {

// For good, for this process: it gains no privilege any more, loses all capabilities but those to keep memory locked
// and to read key files, and of the system calls keeps those that a loop over existing sockets needs, and to open files
// beneath a folder that is open. No new socket, program, process, or memory to run; what is tried gets EPERM. Call it
// when all that is to be opened is open. Where it fails in part the process may go on, and the error says what is
// amiss.
[[nodiscard]] result<void> confine();

}  // namespace trunkgate
