// What trunkgated says of tunnels, as people read it. From its JSON: what the tests call.
#pragma once

#include <functional>
#include <string>

#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

[[nodiscard]] std::string rate_text(std::uint64_t bits_per_second);  // "0 b/s", "220 Mb/s", "4.1 Gb/s"
[[nodiscard]] std::string seconds_text(std::int64_t seconds);        // as age_text()
[[nodiscard]] std::string age_since(const json_object& from, const char* field, std::uint64_t now_ns);  // "" if unknown
[[nodiscard]] std::string words_text(const json_object& from, const char* field, std::string_view between);

[[nodiscard]] listing list_tunnels(const json_object& said, std::uint64_t now_ns);
[[nodiscard]] std::string tunnel_detail_text(const json_object& tunnel, std::uint64_t now_ns);

// "trunkgate.yaml:41" of "tunnels.hq.children.lan.esp"; "" where nothing is known of it.
using locator = std::function<std::string(const std::string& path)>;
// Of what `explain` answers.
[[nodiscard]] std::string explanation_text(const json_object& said, const locator& where, std::uint64_t now_ns);

}  // namespace trunkgate
