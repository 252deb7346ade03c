// Any bytes as a line that an operator's client sent to trunkgated.
#include <algorithm>
#include <cstdlib>

#include "controlplane/main/control_socket.hpp"

namespace {

using namespace trunkgate;

// Containers in each other; a value alone is 0.
int depth_of(const nlohmann::json& value) {
  if (!value.is_structured()) return 0;
  int deepest = 0;
  for (const auto& part : value) deepest = std::max(deepest, depth_of(part));
  return deepest + 1;
}

}  // namespace

// What is taken is an object with a verb, nested no deeper than the limit, and written down again it says the same: the
// daemon answers with parts of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto request = parse_control_request({reinterpret_cast<const char*>(data), size});
  if (!request) {
    if (request.error().reason.empty()) std::abort();
    return 0;
  }
  if (!request->is_object() || !request->at("verb").is_string()) std::abort();
  if (depth_of(*request) > control_depth_limit + 1) std::abort();
  const auto again = parse_control_request(request->dump());
  if (!again || *again != *request) std::abort();
  return 0;
}
