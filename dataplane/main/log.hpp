// One event, one line on standard error: time, program, a stable id, what happened. Never from a worker.
#pragma once

#include <string_view>

namespace trunkgate {

void log_event(std::string_view id, std::string_view text);

}  // namespace trunkgate
