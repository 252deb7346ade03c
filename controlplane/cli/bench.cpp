#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <iostream>

#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

int run_bench(const arguments& given) {
  const auto program = companion_path("trunkgate-bench");
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const auto& word : given.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  std::cerr << "trunkgate bench: " << program << ": " << std::strerror(errno) << "\n";
  return exit_failed;
}

}  // namespace trunkgate
