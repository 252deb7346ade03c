// Words for what a selector looks at: types of ICMP messages and classes of service.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/model.hpp"

namespace trunkgate {

// "echo-request", "8" or "3/4" as the numbers type << 8 | code that it means under this protocol (icmp or ipv6-icmp).
[[nodiscard]] std::optional<number_range> find_icmp(std::string_view text, std::int16_t protocol);
// The same the other way round: "echo-request", "3/4", and "" for what is no type or type with code.
[[nodiscard]] std::string icmp_text(std::int16_t protocol, const number_range& range);
// The names of both protocols, each once.
[[nodiscard]] std::span<const std::string_view> icmp_words();

// The names, or numbers, of the classes in a set, in rising order.
[[nodiscard]] std::string dscp_text(std::uint64_t classes);  // "af41 ef"; "" for a set of none

}  // namespace trunkgate
