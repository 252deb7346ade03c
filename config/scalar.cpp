#include "config/scalar.hpp"

#include <algorithm>
#include <charconv>
#include <vector>

#include "config/ike_proposal.hpp"
#include "config/selector_words.hpp"

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

// What IKE can make an ID payload of (RFC 7296 3.5). Distinguished names are taken apart later.
bool is_identity(std::string_view text) {
  if (text.starts_with("keyid:")) {
    text.remove_prefix(text.starts_with("keyid:0x") ? 8 : 6);
    return !text.empty() && text.size() % 2 == 0 &&
           text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  }
  if (text.contains('=') || parse_ip_address(text)) return true;
  if (const auto at = text.find('@'); at != std::string_view::npos)
    return at > 0 && at + 1 < text.size() && text.find_first_of("@ ", at + 1) == std::string_view::npos;
  const auto letter = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  };
  const auto last = text.substr(text.rfind('.') + 1);
  const bool mistyped_address = text.contains('.') && last.find_first_not_of("0123456789") == std::string_view::npos;
  return std::ranges::all_of(text, letter) && !text.starts_with('.') && !text.contains("..") && !mistyped_address;
}

std::optional<scalar_problem> check_identity(std::string_view text, std::int64_t most) {
  if (auto problem = check_text(text, most)) return problem;
  if (is_identity(text)) return std::nullopt;
  return scalar_problem{quoted(text) + " is no identity",
                        "hq.example, hq@example.org, an address, CN=hq, O=Example, or keyid:0a0b"};
}

// The parser says behind a semicolon what to write instead.
std::optional<scalar_problem> check_proposal(const result<proposal_settings>& proposal) {
  if (proposal) return std::nullopt;
  const std::string& reason = proposal.error().reason;
  const auto at = reason.rfind("; ");
  if (at == std::string::npos) return scalar_problem{reason, ""};
  return scalar_problem{reason.substr(0, at), reason.substr(at + 2)};
}

// Whether the protocol knows the name is for validate() to say.
std::optional<scalar_problem> check_icmp(std::string_view text) {
  if (std::ranges::contains(icmp_words(), text) || find_icmp(text, 1)) return std::nullopt;
  auto guess = did_you_mean(text, icmp_words());
  return scalar_problem{quoted(text) + " is no type of ICMP message",
                        guess.empty() ? "echo-request, 8, or 3/4" : guess};
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
    case scalar_syntax::range:
      if (auto range = parse_ip_range(text); !range) return scalar_problem{range.error().reason, ""};
      return std::nullopt;
    case scalar_syntax::icmp: return check_icmp(text);
    case scalar_syntax::port_range:
      if (!parse_port_range(text))
        return scalar_problem{quoted(text) + " is no port or range of ports", "443, or 1024-65535"};
      return std::nullopt;
    case scalar_syntax::dscp:
      if (!parse_dscp(text)) return scalar_problem{quoted(text) + " is no DSCP", "ef, af31, cs5, or 0 to 63"};
      return std::nullopt;
    case scalar_syntax::duration:
      if (!parse_duration(text)) return scalar_problem{quoted(text) + " is no duration", "90s, 50m, 1h, or 1d"};
      return std::nullopt;
    case scalar_syntax::quantity:
      if (!parse_quantity(text)) return scalar_problem{quoted(text) + " is no quantity", "1000, or 900M"};
      return std::nullopt;
    case scalar_syntax::identity: return check_identity(text, schema.most);
    case scalar_syntax::ike_proposal: return check_proposal(parse_ike_proposal(text));
    case scalar_syntax::esp_proposal: return check_proposal(parse_esp_proposal(text));
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

std::optional<std::uint8_t> parse_dscp(std::string_view text) {
  // RFC 2474, 2597, 3246, 5865, 8622
  if (text == "ef") return 46;
  if (text == "va") return 44;
  if (text == "le") return 1;
  const auto digit = [&](std::size_t at, char least, char most) {
    return text[at] >= least && text[at] <= most ? text[at] - '0' : -1;
  };
  if (text.size() == 3 && text.starts_with("cs") && digit(2, '0', '7') >= 0)
    return static_cast<std::uint8_t>(digit(2, '0', '7') * 8);
  if (text.size() == 4 && text.starts_with("af") && digit(2, '1', '4') > 0 && digit(3, '1', '3') > 0)
    return static_cast<std::uint8_t>(digit(2, '1', '4') * 8 + digit(3, '1', '3') * 2);
  const auto number = parse_integer(text);
  if (!number || *number > 63) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

namespace {

// "50m" with the factor of its last letter.
std::optional<std::uint64_t> scaled(std::string_view text, std::span<const std::pair<char, std::uint64_t>> units) {
  for (const auto& [letter, factor] : units) {
    if (text.empty() || text.back() != letter) continue;
    const auto number = parse_integer(text.substr(0, text.size() - 1));
    if (!number || *number == 0 || static_cast<std::uint64_t>(*number) > INT64_MAX / factor) return std::nullopt;
    return static_cast<std::uint64_t>(*number) * factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parse_duration(std::string_view text) {
  static constexpr std::pair<char, std::uint64_t> units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  return scaled(text, units);
}

std::optional<std::uint64_t> parse_quantity(std::string_view text) {
  static constexpr std::pair<char, std::uint64_t> units[] = {
      {'K', 1'000}, {'M', 1'000'000}, {'G', 1'000'000'000}, {'T', 1'000'000'000'000}};
  if (auto value = scaled(text, units)) return value;
  const auto number = parse_integer(text);
  if (!number || *number == 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
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
