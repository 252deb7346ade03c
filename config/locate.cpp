#include "config/locate.hpp"

#include <algorithm>
#include <charconv>

namespace trunkgate {

namespace {

// "routes[2]": the key, and the index behind it.
struct path_step {
  std::string_view key;
  std::size_t index = 0;
  bool has_index = false;
};

path_step take_apart(std::string_view word) {
  path_step out{.key = word};
  const auto open = word.find('[');
  if (open == std::string_view::npos) return out;
  out.key = word.substr(0, open);
  const auto digits = word.substr(open + 1);
  out.has_index = std::from_chars(digits.data(), digits.data() + digits.size(), out.index).ec == std::errc();
  return out;
}

}  // namespace

found_place locate(const node& root, std::string_view path) {
  found_place out;
  const node* here = &root;
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = std::min(path.find('.', begin), path.size());
    const auto step = take_apart(path.substr(begin, end - begin));
    const node* value = nullptr;
    for (const auto& entry : here->entries) {
      if (entry.key.text != step.key) continue;
      value = &entry.value;
      out.at = entry.key.at;
    }
    if (value == nullptr) return out;
    if (step.has_index) {
      if (step.index >= value->items.size()) return out;
      value = &value->items[step.index];
      out.at = value->at;
    }
    out.path = path.substr(0, end);
    here = value;
    begin = end + 1;
  }
  return out;
}

}  // namespace trunkgate
