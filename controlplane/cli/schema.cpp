#include "config/schema.hpp"

#include <iostream>

#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

int run_schema(const arguments& given) {
  if (given.has("json") == given.has("markdown")) {
    std::cerr << "trunkgate schema: give either --json or --markdown\n";
    return exit_failed;
  }
  auto text = given.has("json") ? schema_json() : schema_markdown();
  if (!text.ends_with('\n')) text += '\n';
  std::cout << text;
  return exit_well;
}

}  // namespace trunkgate
