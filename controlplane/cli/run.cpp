#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "config/load.hpp"
#include "controlplane/cli/event_log.hpp"
#include "controlplane/cli/ike_file.hpp"
#include "controlplane/cli/supervisor.hpp"
#include "controlplane/cli/verbs.hpp"
#include "controlplane/policy/compile.hpp"
#include "dataplane/api/run_directory.hpp"
#include "dataplane/core/sequence_file.hpp"

namespace trunkgate {

namespace {

int fail(const std::string& reason) {
  std::cerr << "trunkgate run: " << reason << "\n";
  return exit_failed;
}

// A configuration that is wrong from the start is told once, and not at each of many restarts.
result<configuration> check_configuration(const std::string& file) {
  auto read = load_configuration(file);
  std::cerr << format_diagnostics(read);
  if (!read.config) return failure(file + " has errors");
  if (auto records = compile(*read.config); !records) return std::unexpected(records.error());
  return std::move(*read.config);
}

void note_variable(std::vector<std::string>& to, const std::optional<key_reference>& key) {
  if (key && key->from == key_reference::kind::environment) to.push_back(key->name);
}

// The variables with keys that only the key process needs: the control daemon, which parses what peers send, gets its
// environment without them. Keys by hand are its own to read.
std::vector<std::string> keystore_variables(const configuration& config) {
  std::vector<std::string> ike, by_hand;
  for (const auto& tunnel : config.tunnels) {
    if (tunnel.ike) {
      note_variable(ike, tunnel.ike->private_key);
      note_variable(ike, tunnel.ike->psk);
      if (tunnel.ike->post_quantum_key) note_variable(ike, tunnel.ike->post_quantum_key->key);
    }
    for (const auto& child : tunnel.children) {
      if (!child.manual) continue;
      note_variable(by_hand, child.manual->out.key);
      note_variable(by_hand, child.manual->in.key);
    }
  }
  std::erase_if(ike, [&by_hand](const auto& name) { return std::ranges::contains(by_hand, name); });
  return ike;
}

// In the order of their start. Key files are found beneath the configuration's folder.
std::vector<supervised_program> programs_of(const configuration& config, const std::string& file,
                                            const std::string& directory) {
  const auto keys = std::filesystem::absolute(file).parent_path().string();
  return {
      {.name = "trunkgate-keystore",
       .command = {companion_path("trunkgate-keystore"), "--run-dir", directory, "--keys", keys},
       .reloads = true},
      {.name = "trunkgate-dataplane",
       .command = {companion_path("trunkgate-dataplane"), "--run-dir", directory},
       .sees_environment = false},
      {.name = "trunkgated",
       .command = {companion_path("trunkgated"), "--config", file, "--run-dir", directory},
       .reloads = true,
       .hidden_variables = keystore_variables(config),
       .end_signal = SIGQUIT},
  };
}

// Two gateways on one folder would take the socket and the netdevs from each other. Held until this process ends.
result<void> lock_directory(const std::string& directory) {
  const std::string path = directory + "/lock";
  const int lock = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) return system_failure("open " + path);
  if (::flock(lock, LOCK_EX | LOCK_NB) == 0) return {};
  if (errno != EWOULDBLOCK) return system_failure("lock " + path);
  return failure("a gateway runs already in " + directory +
                 ": stop it first, or give this one a folder (--run-dir DIR)");
}

}  // namespace

int run_supervised(const arguments& given) {
  const auto file = given.value("config", "/etc/trunkgate/trunkgate.yaml");
  const auto directory = api::run_directory(given.value("run-dir"));
  auto checked = check_configuration(file);
  if (!checked) return fail(checked.error().reason);

  auto programs = programs_of(*checked, file, directory);
  for (const auto& program : programs)
    if (::access(program.command.front().c_str(), X_OK) != 0)
      return fail(system_failure(program.command.front()).error().reason);
  std::error_code refused;
  std::filesystem::create_directories(directory, refused);
  if (refused) return fail("make " + directory + ": " + refused.message());

  if (auto locked = lock_directory(directory); !locked) return fail(locked.error().reason);

  auto sequences = create_sequence_file();
  if (!sequences) return fail(sequences.error().reason);
  auto& data_plane = *std::ranges::find(programs, "trunkgate-dataplane", &supervised_program::name);
  data_plane.inherited = *sequences;
  data_plane.inherited_variable = sequence_descriptor_variable;

  auto ike_sas = create_ike_file();
  if (!ike_sas) return fail(ike_sas.error().reason);
  auto& control = *std::ranges::find(programs, "trunkgated", &supervised_program::name);
  control.inherited = *ike_sas;
  control.inherited_variable = ike_descriptor_variable;

  start_event_log("trunkgate", std::getenv("JOURNAL_STREAM") != nullptr);
  auto ended = supervisor(std::move(programs)).run();
  wipe_ike_file(*ike_sas);
  return ended ? exit_well : fail(ended.error().reason);
}

}  // namespace trunkgate
