#include "controlplane/cli/listing.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

std::string value_text(const json_object& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_null()) return "";
  if (!value.is_array()) return value.dump();
  std::string out;
  for (const auto& item : value) out += (out.empty() ? "" : " ") + value_text(item);
  return out;
}

// No exception for bytes that are no UTF-8: they are shown as the replacement character.
std::string dumped(const json_object& value, int indent) {
  return value.dump(indent, ' ', false, json_object::error_handler_t::replace);
}

}  // namespace

std::string detail_text(const std::vector<json_object>& objects) {
  std::string out;
  for (const auto& object : objects) {
    std::size_t width = 0;
    for (const auto& [key, value] : object.items()) width = std::max(width, key.size());
    for (const auto& [key, value] : object.items()) {
      auto text = printable(value_text(value));
      if (text.empty()) text = "-";
      auto label = key;
      std::ranges::replace(label, '_', ' ');
      if (key == object.begin().key())
        out += (out.empty() ? "" : "\n") + label + " " + text + "\n";
      else
        out += "  " + label + std::string(width - key.size() + 2, ' ') + text + "\n";
    }
  }
  return out;
}

std::string json_text(const std::vector<json_object>& objects) { return dumped(json_object(objects), 2) + "\n"; }

output_style terminal_style(const arguments& given) {
  output_style style;
  style.wide = given.has("wide");
  if (::isatty(STDOUT_FILENO) == 0) return style;
  const char* no_color = std::getenv("NO_COLOR");  // https://no-color.org: set and not empty
  style.color = !given.has("no-color") && (no_color == nullptr || *no_color == '\0');
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.terminal_width = size.ws_col;
  return style;
}

}  // namespace trunkgate
