// What was measured as one page that needs nothing else: no script, no font, no picture from outside.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace trunkgate::bench {

// `written`: what to_json made.
[[nodiscard]] std::string html_page(const nlohmann::ordered_json& written);

}  // namespace trunkgate::bench
