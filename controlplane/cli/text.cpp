#include "controlplane/cli/text.hpp"

#include <chrono>
#include <cstdio>

#include "config/selector_words.hpp"

namespace trunkgate {

namespace {

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

template <class... Values>
std::string formatted(const char* format, Values... values) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, format, values...);
  return buffer;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  // U+0080 to U+009F steer terminals too: in UTF-8 they start with C2 and go on with 80 to 9F.
  for (std::size_t i = 0; i + 1 < out.size(); ++i)
    if (out[i] == '\xc2' && static_cast<unsigned char>(out[i + 1]) < 0xa0) out[i] = out[i + 1] = '?';
  return out;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  for (char c : text)
    if (!continues_character(c)) ++width;
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t width) {
  if (display_width(text) <= width || width == 0) return std::string(text);
  std::size_t end = 0, shown = 0;
  while (shown + 1 < width) {
    ++end;
    while (end < text.size() && continues_character(text[end])) ++end;
    ++shown;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string bytes_text(std::uint64_t bytes) {
  if (bytes < 1000) return formatted("%llu B", static_cast<unsigned long long>(bytes));
  auto value = static_cast<double>(bytes);
  const char* units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(units)) {
    value /= 1000;
    ++unit;
  }
  return formatted("%.1f %s", value, units[unit]);
}

std::string age_text(std::uint64_t nanoseconds) {
  const auto seconds = static_cast<unsigned long long>(nanoseconds / 1'000'000'000);
  if (seconds < 60) return formatted("%llus", seconds);
  if (seconds < 3600) return formatted("%llum%02llus", seconds / 60, seconds % 60);
  if (seconds < 86400) return formatted("%lluh%02llum", seconds / 3600, seconds / 60 % 60);
  return formatted("%llud%02lluh", seconds / 86400, seconds / 3600 % 24);
}

std::string share_text(std::uint64_t part, std::uint64_t rest) {
  const double whole = static_cast<double>(part) + static_cast<double>(rest);
  return whole == 0 ? "" : formatted("%.1f%%", 100 * static_cast<double>(part) / whole);
}

std::string ratio_text(std::uint64_t over, std::uint64_t under) {
  return under == 0 ? "" : formatted("%.1f", static_cast<double>(over) / static_cast<double>(under));
}

std::string mac_text(const std::array<std::uint8_t, 6>& mac) {
  if (mac == std::array<std::uint8_t, 6>{}) return "";
  return formatted("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

std::string prefixes_text(std::span<const ip_prefix> prefixes) {
  std::string out;
  for (const auto& prefix : prefixes) out += (out.empty() ? "" : " ") + to_string(prefix);
  return out;
}

std::string range_text(const api::port_range& ports) {
  if (ports.any()) return "any";
  auto first = std::to_string(ports.first);
  return ports.first == ports.last ? first : first + "-" + std::to_string(ports.last);
}

std::string ports_text(std::int16_t protocol, const api::port_range& ports) {
  return protocol == 1 || protocol == 58 ? "any" : range_text(ports);
}

std::string icmp_selector_text(std::int16_t protocol, const api::port_range& ports) {
  const bool icmp = protocol == 1 || protocol == 58;
  return icmp && !ports.any() ? icmp_text(protocol, {ports.first, ports.last}) : "";
}

std::string protocol_text(std::int16_t protocol) {
  switch (protocol) {
    case -1: return "any";
    case 1: return "icmp";
    case 6: return "tcp";
    case 17: return "udp";
    case 58: return "icmpv6";
    case 132: return "sctp";
    default: return std::to_string(protocol);
  }
}

std::uint64_t now_unix_ns() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

}  // namespace trunkgate
