#include "controlplane/cli/event_log.hpp"

#include <string>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace trunkgate {

namespace {

bool journald = false;

std::string on_one_line(std::string_view text) {
  std::string line;
  while (text.ends_with('\n')) text.remove_suffix(1);
  for (char c : text) {
    if (c == '\n')
      line += " | ";
    else
      line += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return line;
}

struct level_row {
  spdlog::level::level_enum level;
  std::string_view journal_prefix;
};
constexpr level_row levels[] = {
    {spdlog::level::info, "<6>"}, {spdlog::level::warn, "<4>"}, {spdlog::level::err, "<3>"}};

}  // namespace

void start_event_log(std::string_view program, bool under_journald) {
  journald = under_journald;
  auto logger =
      std::make_shared<spdlog::logger>(std::string(program), std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(under_journald ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %n %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

void log_event(log_level level, std::string_view event, std::string_view text) {
  const auto& row = levels[static_cast<std::size_t>(level)];
  spdlog::log(row.level, "{}{} {}", journald ? row.journal_prefix : "", event, on_one_line(text));
}

}  // namespace trunkgate
