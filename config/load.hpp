// From a YAML file to a configuration, or to every error in it at once.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"

namespace trunkgate {

struct diagnostic {
  bool warning = false;
  std::string file;
  int line = 0, column = 0;  // from 1; line 0: the file as a whole
  std::string path;          // "tunnels.hq.children.lan.manual.esp"; empty: the file itself
  std::string message;
  std::string hint;  // behind the caret: `did you mean "aes256gcm16"?`
  int caret_length = 1;
  bool secret = false;  // the line may hold a key and is not shown
};

struct loaded {
  std::optional<configuration> config;  // only if there is no error
  std::vector<diagnostic> diagnostics;  // in the order of the file
  std::string text;
};

[[nodiscard]] loaded load_configuration(const std::string& file);
// `name` stands in messages, and its folder is where relative key files are looked for.
[[nodiscard]] loaded load_configuration_text(const std::string& name, std::string text);

// One block per diagnostic (place, message, the line and a caret), then how many there were. Empty if there were none.
[[nodiscard]] std::string format_diagnostics(const loaded& result);

}  // namespace trunkgate
