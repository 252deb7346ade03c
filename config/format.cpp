#include <algorithm>
#include <set>
#include <string_view>

#include "config/load.hpp"

namespace trunkgate {

namespace {

constexpr std::size_t shown_width = 200;     // of a line of the file
constexpr std::size_t key_like_digits = 32;  // the shortest key has 40

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// What a terminal may show: no control characters, and no run of hexadecimal digits that could be a key.
std::string harmless(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  for (std::size_t i = 0; i < out.size();) {
    std::size_t end = i;
    while (end < out.size() && is_hex(out[end])) ++end;
    if (end - i >= key_like_digits)
      std::fill(out.begin() + static_cast<std::ptrdiff_t>(i), out.begin() + static_cast<std::ptrdiff_t>(end), '*');
    i = end + 1;
  }
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

// Columns on the screen: bytes that start a character of UTF-8.
std::size_t screen_width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

std::string count_of(std::size_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

void append_line(std::string& out, const diagnostic& d, std::string_view line, bool hide) {
  if (hide) {
    out += "   (the line is not shown: it may hold a key)\n";
    if (!d.hint.empty()) out += "   help: " + harmless(d.hint) + "\n";
    return;
  }
  auto number = std::to_string(d.line);
  if (number.size() < 5) number.insert(0, 5 - number.size(), ' ');
  auto before = line.substr(0, std::min(line.size(), static_cast<std::size_t>(d.column - 1)));
  auto carets = std::clamp<std::size_t>(static_cast<std::size_t>(d.caret_length), 1,
                                        std::max<std::size_t>(1, line.size() - before.size()));
  if (before.size() + carets > shown_width) {  // a line that no terminal holds: the hint alone
    if (!d.hint.empty()) out += "   help: " + harmless(d.hint) + "\n";
    return;
  }
  carets = std::max<std::size_t>(1, screen_width(line.substr(before.size(), carets)));
  out += number + " | " + harmless(line.substr(0, shown_width)) + "\n";
  out += std::string(number.size(), ' ') + " | " + std::string(screen_width(before), ' ') + std::string(carets, '^');
  if (!d.hint.empty()) out += " " + harmless(d.hint);
  out += "\n";
}

}  // namespace

std::string format_diagnostics(const loaded& result) {
  if (result.diagnostics.empty()) return {};
  std::string out;
  auto lines = split_lines(result.text);
  std::set<int> hidden;  // lines: another complaint about the same line must not show it either
  for (const auto& d : result.diagnostics)
    if (d.secret) hidden.insert(d.line);
  std::size_t warnings = 0;
  for (const auto& d : result.diagnostics) {
    warnings += d.warning ? 1 : 0;
    out += d.file;
    if (d.line > 0) out += ":" + std::to_string(d.line) + ":" + std::to_string(d.column);
    out += d.warning ? ": warning: " : ": error: ";
    if (!d.path.empty()) out += harmless(d.path) + ": ";
    out += harmless(d.message) + "\n";
    auto index = static_cast<std::size_t>(d.line) - 1;
    if (d.line > 0 && index < lines.size())
      append_line(out, d, lines[index], hidden.contains(d.line));
    else if (!d.hint.empty())
      out += "   help: " + harmless(d.hint) + "\n";
  }
  auto errors = result.diagnostics.size() - warnings;
  out += count_of(errors, "error") + ", " + count_of(warnings, "warning");
  if (errors > 0) out += "; nothing was applied";
  return out + "\n";
}

}  // namespace trunkgate
