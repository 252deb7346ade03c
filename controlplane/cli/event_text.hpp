// The data plane's events as people read them: in the log and in `trunkgate show events`.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/cli/event_log.hpp"
#include "dataplane/api/messages.hpp"

namespace trunkgate {

struct event_row {
  std::string_view id;  // "sa.soft_expire": stable, in the log and in --json
  log_level level;
  std::string_view meaning;
};
[[nodiscard]] const event_row& describe(api::event_kind kind);
// Which SA or SPI it is about, and what was reached: one line.
[[nodiscard]] std::string subject_text(const api::event& event);
[[nodiscard]] std::string_view limit_name(api::sa_limit limit);
// "1000 packets"; empty where none was reached.
[[nodiscard]] std::string limit_text(const api::event& event);

}  // namespace trunkgate
