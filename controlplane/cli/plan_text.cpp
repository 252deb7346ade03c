#include "controlplane/cli/plan_text.hpp"

#include <algorithm>

#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

constexpr std::size_t shown_text = 48;  // of "before -> after"; longer ones are "..."

std::string cost_of(const plan_line& line) {
  if (line.kind != '~' && line.impact == plan_impact::update) return line.reason;  // what it does says it all
  return std::string(to_string(line.impact)) + (line.reason.empty() ? "" : ": " + line.reason);
}

}  // namespace

std::string plan_text(const plan& what, bool wide) {
  if (what.lines.empty()) return "nothing changes\n";
  const auto text_of = [&](const plan_line& line) {
    return wide || display_width(line.text) <= shown_text ? printable(line.text) : std::string("...");
  };
  std::size_t path_width = 0, text_width = 0;
  for (const auto& line : what.lines) {
    path_width = std::max(path_width, line.path.size());
    text_width = std::max(text_width, display_width(text_of(line)));
  }
  std::string out;
  for (const auto& line : what.lines) {
    const auto text = text_of(line);
    std::string row = std::string(1, line.kind) + " " + line.path +
                      std::string(path_width - line.path.size() + 3, ' ') + text +
                      std::string(text_width - display_width(text) + 3, ' ') + cost_of(line);
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  }
  return out + std::to_string(what.lines.size()) + (what.lines.size() == 1 ? " change" : " changes") +
         ", at most: " + std::string(to_string(what.impact)) + "\n";
}

}  // namespace trunkgate
