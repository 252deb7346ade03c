#include "config/report.hpp"

#include <algorithm>

#include "config/scalar.hpp"

namespace trunkgate {

report::spot report::locate(std::string_view path) const {
  const node* at = &root_;
  spot found{root_.at, 1};
  while (!path.empty()) {
    if (path.front() == '.') path.remove_prefix(1);
    if (path.starts_with('[')) {
      auto close = path.find(']');
      auto index = static_cast<std::size_t>(parse_integer(path.substr(1, close - 1)).value_or(0));
      if (index >= at->items.size()) break;
      at = &at->items[index];
      found = {at->at, at->width};
      path.remove_prefix(close + 1);
      continue;
    }
    auto end = path.find_first_of(".[");
    auto key = path.substr(0, end);
    const node::entry* entry = nullptr;
    for (const auto& candidate : at->entries)
      if (candidate.key.text == key) {
        entry = &candidate;
        break;
      }
    if (entry == nullptr) break;
    const node& shown = entry->value.what == node::kind::scalar ? entry->value : entry->key;
    found = {shown.at, shown.width};
    at = &entry->value;
    path.remove_prefix(end == std::string_view::npos ? path.size() : end);
  }
  return found;
}

bool report::stands(std::string_view path) const {
  const node* at = &root_;
  while (at != nullptr && !path.empty()) {
    const auto end = std::min(path.find('.'), path.size());
    at = at->find(path.substr(0, end));
    path.remove_prefix(std::min(end + 1, path.size()));
  }
  return at != nullptr;
}

std::string report::line_of(const std::string& path) const { return "line " + std::to_string(locate(path).at.line); }

void report::add(bool warning, const std::string& path, std::string message, std::string hint, const node* where) {
  if (wrong_.contains(path)) return;
  if (!warning) wrong_.insert(path);
  auto [at, width] = where != nullptr ? spot{where->at, where->width} : locate(path);
  diagnostics_.push_back({.warning = warning,
                          .file = file_,
                          .line = at.line,
                          .column = at.column,
                          .path = path,
                          .message = std::move(message),
                          .hint = std::move(hint),
                          .caret_length = width,
                          .secret = false});
}

void report::error_at_key(const std::string& path, const node& key, std::string message, std::string hint) {
  add(false, path, std::move(message), std::move(hint), &key);
}

void report::error_on_secret(const std::string& path, std::string message, std::string hint) {
  if (wrong_.contains(path)) return;
  error(path, std::move(message), std::move(hint));
  diagnostics_.back().secret = true;
}

}  // namespace trunkgate
