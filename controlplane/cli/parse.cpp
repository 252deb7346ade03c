#include <algorithm>
#include <iostream>

#include <boost/program_options.hpp>

#include "controlplane/cli/bench.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

namespace {

namespace po = boost::program_options;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(text.size() + 2, width), ' ');
  return text;
}

std::string option_lines(std::span<const option_row> options) {
  std::string out;
  for (const auto& row : options) {
    auto call = (row.letter.empty() ? "" : "-" + std::string(row.letter) + ", ") + "--" + std::string(row.name) +
                (row.value.empty() ? "" : " " + std::string(row.value));
    out += "  " + padded(call, 20) + std::string(row.help) + "\n";
  }
  return out;
}

// Throws po::error with a reason for the user.
arguments take_apart(const verb& one, const std::vector<std::string>& words) {
  arguments given;
  if (one.passes_everything_on) {
    given.words = words;
    return given;
  }
  po::options_description described;
  described.add_options()("help", "");
  for (const auto& row : one.options) {
    const std::string name = std::string(row.name) + (row.letter.empty() ? "" : "," + std::string(row.letter));
    if (row.value.empty())
      described.add_options()(name.c_str(), "");
    else
      described.add_options()(name.c_str(), po::value<std::string>(), "");
  }
  described.add_options()("words", po::value<std::vector<std::string>>(), "");
  po::positional_options_description positions;
  positions.add("words", -1);
  const auto style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  auto parsed = po::command_line_parser(words).options(described).positional(positions).style(style).run();
  for (const auto& option : parsed.options) {
    if (option.position_key >= 0)
      given.words.insert(given.words.end(), option.value.begin(), option.value.end());
    else if (option.string_key == "words")
      throw po::unknown_option("--words");
    else
      given.options[option.string_key] = option.value.empty() ? "" : option.value.front();
  }
  return given;
}

}  // namespace

int run_command(const std::vector<std::string>& words) {
  if (words.empty()) {
    std::cerr << help_text();
    return exit_failed;
  }
  std::string name = words.front();
  if (name == "--help" || name == "-h") name = "help";
  if (name == "--version") name = "version";
  const auto* one = find_verb(name);
  if (one == nullptr) {
    std::cerr << "trunkgate: there is no command \"" << name << "\" (trunkgate help)\n";
    return exit_failed;
  }
  try {
    const auto given = take_apart(*one, {words.begin() + 1, words.end()});
    if (given.has("help")) {
      std::cout << help_text(*one);
      return exit_well;
    }
    if (!one->passes_everything_on && (given.words.size() < one->least_words || given.words.size() > one->most_words)) {
      std::cerr << help_text(*one);
      return exit_failed;
    }
    return one->run(given);
  } catch (const po::error& wrong) {
    std::cerr << "trunkgate " << name << ": " << wrong.what() << " (trunkgate help " << name << ")\n";
    return exit_failed;
  }
}

std::string help_text() {
  std::string out = "usage: trunkgate COMMAND [OPTIONS]\n\n";
  for (const auto& one : verbs()) {
    auto call = std::string(one.name) + (one.words.empty() ? "" : " " + std::string(one.words));
    if (call.size() > 30) call += "\n" + std::string(32, ' ');  // the text on the next line
    out += "  " + padded(call, 32) + std::string(one.help) + "\n";
  }
  return out + "\nexit status: 0 all is well, 1 the command failed, 2 something is down\n";
}

std::string help_text(const verb& one) {
  auto out = "usage: trunkgate " + std::string(one.name);
  if (!one.words.empty()) out += " " + std::string(one.words);
  if (!one.options.empty()) out += " [OPTIONS]";
  out += "\n" + std::string(one.help) + "\n";
  if (!one.options.empty()) out += "\n";
  out += option_lines(one.options);
  if (one.run == run_bench) {
    out += "\nWHAT is one of\n";
    for (const auto& what : benchmarks())
      out += "\n  " + padded(std::string(what.name), 20) + std::string(what.help) + "\n" + option_lines(what.options);
  }
  if (one.run != run_show) return out;
  out += "\nSUBJECT is one of\n";
  for (const auto& subject : show_subjects())
    out += "  " + padded(std::string(subject.name), 20) + std::string(subject.help) + "\n";
  return out;
}

}  // namespace trunkgate
