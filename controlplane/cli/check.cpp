#include <iostream>

#include "config/load.hpp"
#include "controlplane/cli/verbs.hpp"
#include "controlplane/policy/compile.hpp"

namespace trunkgate {

int run_check(const arguments& given) {
  const auto& file = given.words.front();
  const auto read = load_configuration(file);
  std::cerr << format_diagnostics(read);
  if (!read.config) return exit_failed;
  // Compiling reads the keys: a missing key file is an error here and not when it is too late.
  if (auto records = compile(*read.config); !records) {
    std::cerr << file << ": error: " << records.error().reason << "\n";
    return exit_failed;
  }
  std::cout << file << ": well\n";
  return exit_well;
}

}  // namespace trunkgate
