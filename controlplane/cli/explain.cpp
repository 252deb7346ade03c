// `trunkgate explain`: why a tunnel is as it is.
#include <iostream>

#include "config/locate.hpp"
#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/tunnel_text.hpp"

namespace trunkgate {

namespace {

// The daemon's own configuration, in which the lines are looked up.
struct running_file {
  std::string name;
  node root;
};

running_file fetch_file(control_client& daemon) {
  running_file out;
  auto said = daemon.ask({{"verb", "configuration"}});
  if (!said) return out;  // then there are paths without lines
  out.name = said->value("file", "");
  std::vector<diagnostic> ignored;
  out.root = parse_document(out.name, said->value("text", ""), ignored);
  return out;
}

std::string place_text(const running_file& file, const std::string& path) {
  const auto found = locate(file.root, path);
  if (found.at.line == 0) return "";
  return file.name.substr(file.name.find_last_of('/') + 1) + ":" + std::to_string(found.at.line);
}

// For programs: where each "path" stands.
void add_places(json_object& in, const running_file& file) {
  if (in.is_array())
    for (auto& item : in) add_places(item, file);
  if (!in.is_object()) return;
  const auto path = in.find("path");
  if (path != in.end() && path->is_string() && !path->get<std::string>().empty()) {
    const auto found = locate(file.root, path->get<std::string>());
    in["file"] = file.name;
    in["line"] = found.at.line;
    in["column"] = found.at.column;
  }
  for (auto& [key, value] : in.items()) add_places(value, file);
}

}  // namespace

int run_explain(const arguments& given) {
  auto daemon = control_client::connect(given);
  auto said =
      daemon ? daemon->ask({{"verb", "explain"}, {"tunnel", given.words.front()}}) : std::unexpected(daemon.error());
  if (!said) {
    std::cerr << "trunkgate explain: " << said.error().reason << "\n";
    return exit_failed;
  }
  const auto file = fetch_file(*daemon);
  if (given.has("json")) {
    add_places(*said, file);
    std::cout << said->dump(2) << "\n";
  } else {
    std::cout << explanation_text(
        *said, [&file](const std::string& path) { return place_text(file, path); }, now_unix_ns());
  }
  return said->value("state", "") == "down" ? exit_something_down : exit_well;
}

}  // namespace trunkgate
