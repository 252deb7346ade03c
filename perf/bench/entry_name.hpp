// Which measurement an entry of the written figures is: everything in it that is neither a figure nor a note.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace trunkgate::bench {

inline constexpr const char* entry_identity[] = {
    "bench", "path",  "direction", "suite", "role",    "auth",  "ke",      "object",  "engine",    "size",    "keys",
    "sas",   "flows", "count",     "load",  "workers", "peers", "streams", "payload", "transport", "lifetime"};

// "esp out aes128gcm16 64 B 1 sas": words by themselves, numbers with their names. Json: either of nlohmann's.
template <class Json>
[[nodiscard]] std::string entry_name(const Json& entry) {
  std::string out;
  for (const std::string_view key : entry_identity) {
    if (!entry.contains(key) || (key == "workers" && entry[key] == 1)) continue;
    const auto& value = entry[key];
    out += (out.empty() ? "" : " ") + (value.is_string() ? value.template get<std::string>() : value.dump());
    if (key == "size")
      out += value.is_number() ? " B" : "";
    else if (value.is_number())
      out += " " + std::string(key);
  }
  return out;
}

}  // namespace trunkgate::bench
