#include "config/plan_json.hpp"

namespace trunkgate {

namespace {

using json = nlohmann::ordered_json;

json change_json(const std::string& name, char kind, plan_impact impact) {
  return {{"name", name}, {"kind", std::string(1, kind)}, {"impact", to_string(impact)}};
}

plan_impact impact_of(const std::string& word) {
  for (auto impact = plan_impact::none; impact < plan_impact::restart;
       impact = static_cast<plan_impact>(static_cast<int>(impact) + 1))
    if (to_string(impact) == word) return impact;
  return plan_impact::restart;
}

}  // namespace

json to_json(const plan& what) {
  auto lines = json::array(), tunnels = json::array();
  for (const auto& line : what.lines)
    lines.push_back({{"kind", std::string(1, line.kind)},
                     {"path", line.path},
                     {"text", line.text},
                     {"impact", to_string(line.impact)},
                     {"reason", line.reason}});
  for (const auto& tunnel : what.tunnels) {
    auto one = change_json(tunnel.name, tunnel.kind, tunnel.impact);
    one["children"] = json::array();
    for (const auto& child : tunnel.children)
      one["children"].push_back(change_json(child.name, child.kind, child.impact));
    tunnels.push_back(std::move(one));
  }
  return {{"impact", to_string(what.impact)}, {"lines", std::move(lines)}, {"tunnels", std::move(tunnels)}};
}

plan plan_of(const json& from) {
  plan out;
  out.impact = impact_of(from.value("impact", "none"));
  for (const auto& line : from.value("lines", json::array())) {
    const auto kind = line.value("kind", "~");
    out.lines.push_back({.kind = kind.empty() ? '~' : kind.front(),
                         .path = line.value("path", ""),
                         .text = line.value("text", ""),
                         .impact = impact_of(line.value("impact", "none")),
                         .reason = line.value("reason", "")});
  }
  return out;
}

}  // namespace trunkgate
