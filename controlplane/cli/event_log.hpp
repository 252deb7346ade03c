// The daemons' log: one event per line with time, level, a stable event id, and text.
#pragma once

#include <string_view>

namespace trunkgate {

enum class log_level { info, warning, error };

// `program` stands in each line. Under journald the time is left to it and the level is given as it wants it
// (sd-daemon(3)).
void start_event_log(std::string_view program, bool under_journald);

// `event` is "subject.what_happened" and does not change between releases; line breaks in `text` become " | ".
void log_event(log_level level, std::string_view event, std::string_view text);

}  // namespace trunkgate
