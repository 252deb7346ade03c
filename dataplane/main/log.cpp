#include "dataplane/main/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace trunkgate {

void log_event(std::string_view id, std::string_view text) {
  static const auto logger = [] {
    auto made = spdlog::stderr_logger_mt("dataplane");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e %n %v");
    return made;
  }();
  logger->info("{} {}", id, text);
}

}  // namespace trunkgate
