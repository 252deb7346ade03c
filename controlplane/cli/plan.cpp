#include "config/plan.hpp"

#include <algorithm>
#include <iostream>

#include "config/load.hpp"
#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/text.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

namespace {

constexpr std::size_t shown_text = 48;  // of "before -> after"; longer ones are "..." unless --wide

// What runs: for now what the file says that the daemon was started with. The one place to ask the daemon itself.
loaded running_configuration(const arguments& given) {
  return load_configuration(given.value("against", "/etc/trunkgate/trunkgate.yaml"));
}

std::string cost_of(const plan_line& line) {
  if (line.kind != '~' && line.impact == plan_impact::update) return line.reason;  // what it does says it all
  return std::string(to_string(line.impact)) + (line.reason.empty() ? "" : ": " + line.reason);
}

std::string lines_text(const plan& what, bool wide) {
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

json_object change_json(const std::string& name, char kind, plan_impact impact) {
  return {{"name", name}, {"kind", std::string(1, kind)}, {"impact", to_string(impact)}};
}

json_object json_of(const plan& what) {
  auto lines = json_object::array(), tunnels = json_object::array();
  for (const auto& line : what.lines)
    lines.push_back({{"kind", std::string(1, line.kind)},
                     {"path", line.path},
                     {"text", line.text},
                     {"impact", to_string(line.impact)},
                     {"reason", line.reason}});
  for (const auto& tunnel : what.tunnels) {
    auto one = change_json(tunnel.name, tunnel.kind, tunnel.impact);
    one["children"] = json_object::array();
    for (const auto& child : tunnel.children)
      one["children"].push_back(change_json(child.name, child.kind, child.impact));
    tunnels.push_back(std::move(one));
  }
  return {{"impact", to_string(what.impact)}, {"lines", std::move(lines)}, {"tunnels", std::move(tunnels)}};
}

}  // namespace

int run_plan(const arguments& given) {
  const auto wanted = load_configuration(given.words.front());
  std::cerr << format_diagnostics(wanted);
  if (!wanted.config) return exit_failed;
  const auto running = running_configuration(given);
  if (!running.config) {
    std::cerr << format_diagnostics(running) << "trunkgate plan: there is nothing to compare with (--against FILE)\n";
    return exit_failed;
  }
  const auto what = make_plan(*running.config, *wanted.config);
  if (given.has("json"))
    std::cout << json_of(what).dump(2) << "\n";
  else
    std::cout << lines_text(what, given.has("wide"));
  return exit_well;
}

}  // namespace trunkgate
