// `trunkgate apply`: makes what runs what a file says, object by object.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "config/document.hpp"
#include "config/plan_json.hpp"
#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/plan_text.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

using namespace std::chrono_literals;
constexpr auto apply_patience = 120s;

result<std::string> read_file(const std::string& name) {
  std::error_code error;
  if (const auto size = std::filesystem::file_size(name, error); !error && size > configuration_size_limit)
    return failure(name + ": too large");
  std::ifstream in(name);
  if (!in) return system_failure(name);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

int run_apply(const arguments& given) {
  const auto& name = given.words.front();
  const auto fail = [](const std::string& reason) {
    std::cerr << "trunkgate apply: " << reason << "\n";
    return exit_failed;
  };
  const auto text = read_file(name);
  if (!text) return fail(text.error().reason);
  // Errors are told with the line that they are in, before anybody is asked.
  const auto wanted = load_configuration_text(name, *text);
  std::cerr << format_diagnostics(wanted);
  if (!wanted.config) return exit_failed;
  auto daemon = control_client::connect(given);
  if (!daemon) return fail(daemon.error().reason);
  const auto said = daemon->ask({{"verb", "apply"},
                                 {"file", std::filesystem::absolute(name).lexically_normal().string()},
                                 {"text", *text},
                                 {"allow_restart", given.has("allow-restart")}},
                                apply_patience);
  if (!said) return fail(said.error().reason);
  if (given.has("json")) {
    std::cout << said->dump(2) << "\n";
    return exit_well;
  }
  std::cout << plan_text(plan_of(said->value("plan", json_object::object())), given.has("wide"));
  for (const auto& deed : said->value("done", json_object::array())) {
    const auto child = deed.value("child", "");
    std::cout << printable(deed.value("tunnel", "")) << (child.empty() ? "" : ", child " + printable(child)) << ": "
              << deed.value("did", "") << "\n";
  }
  if (!said->value("is_start_file", true))
    std::cout << "It runs until trunkgated starts anew: that reads another file than " << name << "\n";
  return exit_well;
}

}  // namespace trunkgate
