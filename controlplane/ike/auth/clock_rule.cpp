#include "controlplane/ike/auth/clock_rule.hpp"

namespace trunkgate::ike {

std::chrono::system_clock::time_point built_at() {
  return std::chrono::sys_days(std::chrono::days(TRUNKGATE_BUILD_DAY));
}

}  // namespace trunkgate::ike
