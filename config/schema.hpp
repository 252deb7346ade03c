// The table of everything that may stand in a configuration: validation, defaults, JSON Schema and reference come from
// it.
#pragma once

#include <string>

namespace trunkgate {

[[nodiscard]] std::string schema_markdown();  // the generated part of docs/configuration.md
[[nodiscard]] std::string schema_json();      // config/trunkgate.schema.json

}  // namespace trunkgate
