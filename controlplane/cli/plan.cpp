// `trunkgate plan`: what would change, and what it costs.
#include <iostream>

#include "config/load.hpp"
#include "config/plan_json.hpp"
#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/plan_text.hpp"

namespace trunkgate {

namespace {

// What runs, as the daemon says; or a file.
result<loaded> running_configuration(const arguments& given) {
  if (given.has("against")) return load_configuration(given.value("against"));
  auto daemon = control_client::connect(given);
  if (!daemon) return failure(daemon.error().reason + "; or compare with a file: --against FILE");
  const auto said = daemon->ask({{"verb", "configuration"}});
  if (!said) return std::unexpected(said.error());
  return load_configuration_text(said->value("file", ""), said->value("text", ""));
}

}  // namespace

int run_plan(const arguments& given) {
  const auto wanted = load_configuration(given.words.front());
  std::cerr << format_diagnostics(wanted);
  if (!wanted.config) return exit_failed;
  const auto running = running_configuration(given);
  if (!running) {
    std::cerr << "trunkgate plan: " << running.error().reason << "\n";
    return exit_failed;
  }
  if (!running->config) {
    std::cerr << format_diagnostics(*running) << "trunkgate plan: there is nothing to compare with\n";
    return exit_failed;
  }
  const auto what = make_plan(*running->config, *wanted.config);
  if (given.has("json"))
    std::cout << to_json(what).dump(2) << "\n";
  else
    std::cout << plan_text(what, given.has("wide"));
  return exit_well;
}

}  // namespace trunkgate
