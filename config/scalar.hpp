// Scalars as the schema types them, and guesses at what a mistyped word was meant to be.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/model.hpp"
#include "config/table.hpp"

namespace trunkgate {

struct scalar_problem {
  std::string message, hint;
};

// Nothing: `text` is what the schema wants.
[[nodiscard]] std::optional<scalar_problem> check_scalar(const scalar_schema& schema, std::string_view text);

[[nodiscard]] std::optional<std::int64_t> parse_integer(std::string_view text);     // "010" is ten, "0x10" sixteen
[[nodiscard]] std::optional<number_range> parse_port_range(std::string_view text);  // "443", "1024-65535"
[[nodiscard]] std::optional<std::uint8_t> parse_dscp(std::string_view text);        // "ef", "af31", "46"
[[nodiscard]] std::optional<std::uint64_t> parse_duration(std::string_view text);   // seconds: "90s", "50m", "1h", "1d"
[[nodiscard]] std::optional<std::uint64_t> parse_quantity(std::string_view text);   // "1000", "900M"; never 0
[[nodiscard]] std::optional<std::int16_t> find_protocol(std::string_view text);     // -1: "any"

// `did you mean "aes256gcm16"?`, or nothing if no candidate is near.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace trunkgate
