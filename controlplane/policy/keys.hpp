// Fetches a key from where the configuration says it is.
#pragma once

#include <string>

#include "config/model.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

// Exactly `size` bytes, written as hexadecimal digits; blanks at the end are skipped. No error shows a byte of it.
[[nodiscard]] result<secret> read_key(const key_reference& reference, const std::string& directory, std::size_t size);

}  // namespace trunkgate
