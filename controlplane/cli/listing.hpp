// What a `show` answers, before it is text: a table for the short view, and objects for --json and `detail`.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "controlplane/cli/table.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

using json_object = nlohmann::ordered_json;

struct listing {
  table short_view;
  std::vector<json_object> objects{};  // in the data plane's order; each has its identifying field first
  std::string detail{};                // what `detail` prints; empty: every object with its fields
  std::string summary{};               // last line of the short view; may be empty
  bool something_down = false;
};

// One block per object, its first field as heading.
[[nodiscard]] std::string detail_text(const std::vector<json_object>& objects);
// For standard output: colours and a width only on a terminal, and as the options and NO_COLOR want it.
[[nodiscard]] output_style terminal_style(const arguments& given);
[[nodiscard]] std::string json_text(const std::vector<json_object>& objects);

}  // namespace trunkgate
