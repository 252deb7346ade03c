#include "config/scalar.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

namespace trunkgate {

namespace {

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

std::string list_words(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += words[i];
  }
  return out;
}

// Levenshtein's distance; words longer than any of ours are not worth it.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0u : 1u)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

bool is_name(std::string_view text) {
  return !text.empty() && text.front() != '-' && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::optional<scalar_problem> check_integer(const scalar_schema& schema, std::string_view text) {
  std::string range = "a number from " + std::to_string(schema.least) + " to " + std::to_string(schema.most);
  if (!schema.words.empty()) range = list_words(schema.words) + ", or " + range;
  auto value = parse_integer(text);
  if (!value) {
    auto guess = did_you_mean(text, schema.words);
    return scalar_problem{quoted(text) + " is not " + range, guess.empty() ? std::string(schema.hint) : guess};
  }
  if (*value < schema.least || *value > schema.most)
    return scalar_problem{std::string(text) + " is out of range: " + range, std::string(schema.hint)};
  return std::nullopt;
}

std::optional<scalar_problem> check_text(std::string_view text, std::int64_t most) {
  if (text.empty()) return scalar_problem{"is empty", ""};
  if (text.size() > static_cast<std::size_t>(most))
    return scalar_problem{
        "has " + std::to_string(text.size()) + " characters, at most " + std::to_string(most) + " are possible", ""};
  return std::nullopt;
}

std::optional<scalar_problem> check_word(const scalar_schema& schema, std::string_view text) {
  auto guess = did_you_mean(text, schema.words);
  if (schema.words.size() <= 6 || guess.empty())
    return scalar_problem{quoted(text) + " is not " + list_words(schema.words), guess};
  return scalar_problem{"unknown value " + quoted(text), guess};
}

}  // namespace

std::optional<scalar_problem> check_scalar(const scalar_schema& schema, std::string_view text) {
  if (std::ranges::contains(schema.words, text)) return std::nullopt;
  switch (schema.syntax) {
    case scalar_syntax::word: return check_word(schema, text);
    case scalar_syntax::integer: return check_integer(schema, text);
    case scalar_syntax::text: return check_text(text, schema.most);
    case scalar_syntax::name:
      if (auto problem = check_text(text, schema.most)) return problem;
      if (!is_name(text)) return scalar_problem{quoted(text) + " is no name", "letters, digits, - and _ are possible"};
      return std::nullopt;
    case scalar_syntax::address:
      if (auto address = parse_ip_address(text); !address) {
        bool has_length = text.contains('/');
        return scalar_problem{address.error().reason, has_length ? "without a prefix length" : ""};
      }
      return std::nullopt;
    case scalar_syntax::prefix:
      if (auto prefix = parse_ip_prefix(text); !prefix) return scalar_problem{prefix.error().reason, ""};
      return std::nullopt;
    case scalar_syntax::port_range:
      if (!parse_port_range(text))
        return scalar_problem{quoted(text) + " is no port or range of ports", "443, or 1024-65535"};
      return std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  int base = 10;
  if (text.starts_with("0x") || text.starts_with("0X")) {
    base = 16;
    text.remove_prefix(2);
  }
  std::uint64_t value = 0;  // unsigned: no sign is taken
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (code != std::errc{} || end != text.data() + text.size() || value > INT64_MAX) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::optional<number_range> parse_port_range(std::string_view text) {
  auto dash = text.find('-');
  auto first = parse_integer(text.substr(0, dash));
  auto last = dash == std::string_view::npos ? first : parse_integer(text.substr(dash + 1));
  if (!first || !last || *first > *last || *last > 65535) return std::nullopt;
  return number_range{static_cast<std::uint16_t>(*first), static_cast<std::uint16_t>(*last)};
}

std::optional<std::int16_t> find_protocol(std::string_view text) {
  static constexpr std::pair<std::string_view, std::int16_t> names[] = {{"any", -1}, {"icmp", 1},       {"tcp", 6},
                                                                        {"udp", 17}, {"ipv6-icmp", 58}, {"sctp", 132}};
  for (auto [name, number] : names)
    if (name == text) return number;
  auto number = parse_integer(text);
  if (!number || *number > 255) return std::nullopt;
  return static_cast<std::int16_t>(*number);
}

std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() > 64) return {};
  std::string_view best;
  std::size_t least = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (auto candidate : candidates) {
    auto distance = edit_distance(word, candidate);
    if (distance < least && distance < candidate.size()) {
      least = distance;
      best = candidate;
    }
  }
  return best.empty() ? std::string() : "did you mean " + quoted(best) + "?";
}

}  // namespace trunkgate
