// Where the daemons' sockets are: one folder, the same for all programs.
#pragma once

#include <cstdlib>
#include <string>

namespace trunkgate::api {

inline constexpr const char* run_directory_variable = "TRUNKGATE_RUN_DIR";

// What the command line says, else the environment, else the default.
[[nodiscard]] inline std::string run_directory(const std::string& from_command_line) {
  if (!from_command_line.empty()) return from_command_line;
  const char* from_environment = std::getenv(run_directory_variable);
  return from_environment != nullptr && *from_environment != '\0' ? from_environment : "/run/trunkgate";
}

[[nodiscard]] inline std::string socket_in(const std::string& directory) { return directory + "/dataplane.sock"; }
[[nodiscard]] inline std::string control_socket_in(const std::string& directory) { return directory + "/control.sock"; }

}  // namespace trunkgate::api
