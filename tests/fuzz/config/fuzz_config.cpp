// Any bytes as a configuration file: no crash, and either a configuration or an error that points into the file.
#include <cstdlib>
#include <string>

#include "config/load.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  auto result = trunkgate::load_configuration_text("/nonexistent/fuzz.yaml", std::string(data, data + size));
  bool error = false;
  for (const auto& d : result.diagnostics) {
    error |= !d.warning;
    if (d.message.empty() || d.line < 0 || d.column < 0) std::abort();
  }
  if (error == result.config.has_value()) std::abort();
  if (format_diagnostics(result).empty() != result.diagnostics.empty()) std::abort();
  return 0;
}
