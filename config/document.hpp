// A YAML file as a tree that keeps where everything stands, and nothing of YAML's own typing.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/load.hpp"

namespace trunkgate {

inline constexpr std::size_t configuration_size_limit = 16u << 20;
inline constexpr int configuration_depth_limit = 12;  // the schema needs nine

struct place {
  int line = 0, column = 0;  // from 1
};

struct node {
  enum class kind { empty, scalar, list, map };
  struct entry;

  kind what = kind::empty;
  place at;
  std::string text;  // of a scalar, unquoted
  int width = 1;     // of a scalar in the file
  std::vector<node> items;
  std::vector<entry> entries;

  [[nodiscard]] const node* find(std::string_view key) const;
};

struct node::entry {
  node key;
  node value;
};

// The root is a map. Refused, with a diagnostic each: what is no YAML, several documents, anchors, aliases, tags, merge
// keys, keys that are no scalar, duplicate keys, control characters, more than the limits above.
[[nodiscard]] node parse_document(const std::string& file, const std::string& text,
                                  std::vector<diagnostic>& diagnostics);

}  // namespace trunkgate
