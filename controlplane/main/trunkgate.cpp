// The operator's command.
#include <exception>
#include <iostream>

#include "controlplane/cli/verbs.hpp"

int main(int count, char** words) try {
  return trunkgate::run_command({words + 1, words + count});
} catch (const std::exception& thrown) {
  std::cerr << "trunkgate: " << thrown.what() << "\n";
  return trunkgate::exit_failed;
}
