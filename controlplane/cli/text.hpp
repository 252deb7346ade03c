// Figures and names as people read them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/api/messages.hpp"

namespace trunkgate {

// Without control characters: what a daemon sends must not steer the terminal.
[[nodiscard]] std::string printable(std::string_view text);
// Characters, not bytes, of UTF-8.
[[nodiscard]] std::size_t display_width(std::string_view text);
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t width);

[[nodiscard]] std::string bytes_text(std::uint64_t bytes);                      // "1.5 GB", powers of 1000
[[nodiscard]] std::string age_text(std::uint64_t nanoseconds);                  // "12s", "3m04s", "5h07m", "3d04h"
[[nodiscard]] std::string share_text(std::uint64_t part, std::uint64_t rest);   // "37.5%" of part + rest; "" of nothing
[[nodiscard]] std::string ratio_text(std::uint64_t over, std::uint64_t under);  // one decimal; "" if under is 0
[[nodiscard]] std::string mac_text(const std::array<std::uint8_t, 6>& mac);     // "" if all zero
[[nodiscard]] std::string prefixes_text(std::span<const ip_prefix> prefixes);   // "10.1.0.0/16 10.2.0.0/16"
[[nodiscard]] std::string range_text(const api::port_range& ports);             // "any", "5060", "1024-2047"
// Type of message where the protocol is one of the ICMPs and the selector names one; else "".
[[nodiscard]] std::string ports_text(std::int16_t protocol, const api::port_range& ports);  // "any" for those
[[nodiscard]] std::string icmp_selector_text(std::int16_t protocol, const api::port_range& ports);
[[nodiscard]] std::string protocol_text(std::int16_t protocol);  // "any", "tcp", "89"
[[nodiscard]] std::uint64_t now_unix_ns();

}  // namespace trunkgate
