#include "dataplane/core/result.hpp"

#include <cerrno>
#include <system_error>

namespace trunkgate {

std::unexpected<error> system_failure(std::string what) {
  return failure(std::move(what) + ": " + std::system_category().message(errno));
}

}  // namespace trunkgate
