#include "config/document.hpp"

#include <algorithm>
#include <sstream>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

namespace trunkgate {

namespace {

struct refusal {
  place at;
  std::string message, hint;
};

place to_place(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// The way of a file's text: how wide a scalar stands there, quotes included.
class line_index {
 public:
  explicit line_index(const std::string& text) : text_(text) {
    starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i)
      if (text[i] == '\n') starts_.push_back(i + 1);
  }
  [[nodiscard]] int scalar_width(place at, const std::string& value) const {
    auto plain = static_cast<int>(std::max<std::size_t>(1, value.size()));
    auto line = static_cast<std::size_t>(at.line - 1);
    if (line >= starts_.size()) return plain;
    std::size_t start = starts_[line] + static_cast<std::size_t>(at.column - 1);
    if (start >= text_.size() || (text_[start] != '"' && text_[start] != '\'')) return plain;
    auto end = text_.find(text_[start], start + 1);
    return end == std::string::npos ? plain : static_cast<int>(end - start + 1);
  }

 private:
  const std::string& text_;
  std::vector<std::size_t> starts_;
};

bool has_control_character(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// Builds the tree. A construct that has no place in a configuration ends the parse by an exception.
class tree_builder : public YAML::EventHandler {
 public:
  explicit tree_builder(const std::string& text) : lines_(text) {}
  [[nodiscard]] node take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string&) override { refuse_anchor(mark); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "", anchor);
    add({.what = node::kind::empty, .at = to_place(mark), .text = {}, .width = 1, .items = {}, .entries = {}});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    if (has_control_character(value))
      throw refusal{to_place(mark), "line breaks and control characters are not allowed here", ""};
    node made{.what = node::kind::scalar, .at = to_place(mark), .text = value, .width = 1, .items = {}, .entries = {}};
    made.width = lines_.scalar_width(made.at, value);
    add(std::move(made));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(mark, node::kind::list);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check(mark, tag, anchor);
    open(mark, node::kind::map);
  }
  void OnMapEnd() override { close(); }

 private:
  // A collection that is being read; in a map `key` waits for its value.
  struct level {
    node made;
    node key;
    bool has_key = false;
  };

  [[noreturn]] static void refuse_anchor(const YAML::Mark& mark) {
    throw refusal{to_place(mark), "anchors and aliases are not allowed", "write the value out"};
  }
  static void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) refuse_anchor(mark);
    if (!tag.empty() && tag != "?" && tag != "!") throw refusal{to_place(mark), "tags are not allowed", "leave it out"};
  }

  void open(const YAML::Mark& mark, node::kind what) {
    if (levels_.size() >= static_cast<std::size_t>(configuration_depth_limit))
      throw refusal{to_place(mark), "nested more than " + std::to_string(configuration_depth_limit) + " deep", ""};
    level fresh;
    fresh.made.what = what;
    fresh.made.at = to_place(mark);
    levels_.push_back(std::move(fresh));
  }
  void close() {
    node done = std::move(levels_.back().made);
    levels_.pop_back();
    add(std::move(done));
  }
  void add(node made) {
    if (levels_.empty()) {
      root_ = std::move(made);
      return;
    }
    level& top = levels_.back();
    if (top.made.what == node::kind::list) {
      top.made.items.push_back(std::move(made));
    } else if (!top.has_key) {
      if (made.what != node::kind::scalar) throw refusal{made.at, "a key must be a name", ""};
      if (made.text == "<<") throw refusal{made.at, "merge keys are not allowed", "write the values out"};
      top.key = std::move(made);
      top.has_key = true;
    } else {
      top.made.entries.push_back({std::move(top.key), std::move(made)});
      top.has_key = false;
    }
  }

  line_index lines_;
  std::vector<level> levels_;
  node root_;
};

std::string join_path(const std::string& path, const std::string& key) { return path.empty() ? key : path + "." + key; }

void find_duplicates(const std::string& file, const node& in, const std::string& path,
                     std::vector<diagnostic>& diagnostics) {
  std::vector<const node::entry*> sorted;
  for (const auto& entry : in.entries) {
    sorted.push_back(&entry);
    find_duplicates(file, entry.value, join_path(path, entry.key.text), diagnostics);
  }
  std::ranges::stable_sort(sorted, {}, [](const node::entry* e) -> const std::string& { return e->key.text; });
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    const node& key = sorted[i]->key;
    if (key.text != sorted[i - 1]->key.text) continue;
    diagnostics.push_back({false, file, key.at.line, key.at.column, join_path(path, key.text),
                           "stands twice; first in line " + std::to_string(sorted[i - 1]->key.at.line), "", key.width,
                           false});
  }
  for (std::size_t i = 0; i < in.items.size(); ++i)
    find_duplicates(file, in.items[i], path + "[" + std::to_string(i) + "]", diagnostics);
}

}  // namespace

const node* node::find(std::string_view key) const {
  for (const auto& pair : entries)
    if (pair.key.text == key) return &pair.value;
  return nullptr;
}

node parse_document(const std::string& file, const std::string& text, std::vector<diagnostic>& diagnostics) {
  auto refuse = [&](place at, std::string message, std::string hint) {
    diagnostics.push_back({false, file, at.line, at.column, "", std::move(message), std::move(hint), 1, false});
  };
  if (text.size() > configuration_size_limit) {
    refuse({}, "larger than 16 MiB", "");
    return {};
  }
  if (auto zero = text.find('\0'); zero != std::string::npos) {
    auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(zero), '\n') + 1;
    refuse({static_cast<int>(line), 1}, "a zero byte: this is no text file", "");
    return {};
  }
  tree_builder builder(text);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    tree_builder second(text);
    if (parser.HandleNextDocument(second)) throw refusal{second.take().at, "several documents in one file", "keep one"};
  } catch (const refusal& r) {
    refuse(r.at, r.message, r.hint);
    return {};
  } catch (const YAML::Exception& e) {
    refuse(to_place(e.mark), e.msg, "");
    return {};
  }
  node root = builder.take();
  if (root.what == node::kind::empty) {
    refuse({}, "empty: nothing is configured", "");
    return {};
  }
  if (root.what != node::kind::map) {
    refuse(root.at, "must be a map of sections: gateway, ports, routes, tunnels, policies", "");
    return {};
  }
  find_duplicates(file, root, "", diagnostics);
  return root;
}

}  // namespace trunkgate
