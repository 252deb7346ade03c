// The key process's work in this process: for tests and benchmarks, where nothing is to be kept from anybody.
#pragma once

#include <memory>
#include <string>

#include "controlplane/keystore/client.hpp"

namespace trunkgate {

// Reads keys beneath `folder`, as the key process does, and answers at once. Not thread-safe.
[[nodiscard]] std::unique_ptr<keystore> local_keystore(std::string folder);

}  // namespace trunkgate
