#include "config/selector_words.hpp"

#include <algorithm>
#include <array>

#include "config/scalar.hpp"

namespace trunkgate {

namespace {

constexpr std::int16_t icmp_v4 = 1, icmp_v6 = 58, no_message = -1, any_code = -1;

// Type, and code where the name means one, of a message in both protocols.
struct icmp_message {
  std::int16_t type = no_message, code = any_code;
};
struct icmp_row {
  std::string_view name;
  icmp_message v4, v6;
};

// RFC 792, RFC 1256; RFC 4443, RFC 4861, RFC 2710, RFC 3810.
constexpr icmp_row icmp_rows[] = {
    {"echo-request", {8}, {128}},          {"echo-reply", {0}, {129}},
    {"destination-unreachable", {3}, {1}}, {"network-unreachable", {3, 0}, {1, 0}},
    {"host-unreachable", {3, 1}, {1, 3}},  {"protocol-unreachable", {3, 2}, {}},
    {"port-unreachable", {3, 3}, {1, 4}},  {"fragmentation-needed", {3, 4}, {}},
    {"packet-too-big", {}, {2}},           {"time-exceeded", {11}, {3}},
    {"parameter-problem", {12}, {4}},      {"redirect", {5}, {137}},
    {"router-solicitation", {10}, {133}},  {"router-advertisement", {9}, {134}},
    {"neighbour-solicitation", {}, {135}}, {"neighbour-advertisement", {}, {136}},
    {"listener-query", {}, {130}},         {"listener-report", {}, {131}},
    {"timestamp-request", {13}, {}},       {"timestamp-reply", {14}, {}},
};

constexpr auto icmp_names = [] {
  std::array<std::string_view, std::size(icmp_rows)> out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = icmp_rows[i].name;
  return out;
}();

const icmp_message& in_protocol(const icmp_row& row, std::int16_t protocol) {
  return protocol == icmp_v6 ? row.v6 : row.v4;
}

number_range range_of(const icmp_message& message) {
  const auto first = static_cast<std::uint16_t>(message.type << 8 | (message.code == any_code ? 0 : message.code));
  return {first, message.code == any_code ? static_cast<std::uint16_t>(first | 0xff) : first};
}

// RFC 2474 4.2.2, RFC 2597 6, RFC 3246, RFC 5865, RFC 8622
constexpr std::string_view dscp_words[] = {"cs0",  "cs1",  "cs2",  "cs3",  "cs4",  "cs5",  "cs6",  "cs7",
                                           "af11", "af12", "af13", "af21", "af22", "af23", "af31", "af32",
                                           "af33", "af41", "af42", "af43", "ef",   "va",   "le"};

}  // namespace

std::span<const std::string_view> icmp_words() { return icmp_names; }

std::optional<number_range> find_icmp(std::string_view text, std::int16_t protocol) {
  if (protocol != icmp_v4 && protocol != icmp_v6) return std::nullopt;
  for (const auto& row : icmp_rows)
    if (row.name == text) {
      const auto& message = in_protocol(row, protocol);
      if (message.type == no_message) return std::nullopt;
      return range_of(message);
    }
  const auto slash = text.find('/');
  const auto type = parse_integer(text.substr(0, slash));
  const auto code =
      slash == std::string_view::npos ? std::optional<std::int64_t>(any_code) : parse_integer(text.substr(slash + 1));
  if (!type || !code || *type > 255 || *code > 255) return std::nullopt;
  return range_of({static_cast<std::int16_t>(*type), static_cast<std::int16_t>(*code)});
}

std::string icmp_text(std::int16_t protocol, const number_range& range) {
  for (const auto& row : icmp_rows)
    if (const auto& message = in_protocol(row, protocol); message.type != no_message && range_of(message) == range)
      return std::string(row.name);
  const auto type = std::to_string(range.first >> 8);
  if (range.first == range.last) return type + "/" + std::to_string(range.first & 0xff);
  return (range.first & 0xff) == 0 && range.last == (range.first | 0xff) ? type : "";
}

std::string dscp_text(std::uint64_t classes) {
  std::string out;
  for (std::uint8_t value = 0; value < 64; ++value) {
    if ((classes >> value & 1) == 0) continue;
    const auto* found = std::ranges::find_if(dscp_words, [&](auto word) { return parse_dscp(word) == value; });
    out += (out.empty() ? "" : " ") + (found == std::end(dscp_words) ? std::to_string(value) : std::string(*found));
  }
  return out;
}

}  // namespace trunkgate
