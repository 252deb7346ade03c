// The one table of what `trunkgate` understands: help, parser and shell completion are made from it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trunkgate {

// What every verb answers to the shell.
inline constexpr int exit_well = 0, exit_failed = 1, exit_something_down = 2;

struct option_row {
  std::string_view name;   // without the dashes
  std::string_view value;  // what it takes ("DIR"); empty: nothing
  std::string_view help;
  std::string_view letter = {};  // its short form
};

// One call, taken apart.
struct arguments {
  std::vector<std::string> words;                           // behind the verb
  std::map<std::string, std::string, std::less<>> options;  // value "" for those that take none

  [[nodiscard]] bool has(std::string_view option) const { return options.contains(option); }
  [[nodiscard]] std::string value(std::string_view option, std::string_view otherwise = "") const {
    auto found = options.find(option);
    return found == options.end() ? std::string(otherwise) : found->second;
  }
};

struct verb {
  std::string_view name;
  std::string_view words;  // "SUBJECT [NAME] [detail]", for the help
  std::string_view help;
  std::size_t least_words, most_words;
  std::span<const option_row> options;
  int (*run)(const arguments&);
  bool passes_everything_on = false;  // words and options are another program's
};

[[nodiscard]] std::span<const verb> verbs();
[[nodiscard]] const verb* find_verb(std::string_view name);

// The whole command: `words` without the program's own name.
[[nodiscard]] int run_command(const std::vector<std::string>& words);

[[nodiscard]] std::string help_text();
[[nodiscard]] std::string help_text(const verb& one);
[[nodiscard]] std::string bash_completion();

// Of the folder this program lies in: where its companions are.
[[nodiscard]] std::string companion_path(std::string_view program);

// One file each.
[[nodiscard]] int run_supervised(const arguments& given);
[[nodiscard]] int run_check(const arguments& given);
[[nodiscard]] int run_peer_config(const arguments& given);
[[nodiscard]] int run_plan(const arguments& given);
[[nodiscard]] int run_apply(const arguments& given);
[[nodiscard]] int run_explain(const arguments& given);
[[nodiscard]] int run_up(const arguments& given);
[[nodiscard]] int run_down(const arguments& given);
[[nodiscard]] int run_rekey(const arguments& given);
[[nodiscard]] int run_debug(const arguments& given);
[[nodiscard]] int run_doctor(const arguments& given);
[[nodiscard]] int run_schema(const arguments& given);
[[nodiscard]] int run_bench(const arguments& given);
[[nodiscard]] int run_trace(const arguments& given);
[[nodiscard]] int run_capture(const arguments& given);

}  // namespace trunkgate
