// An object of the tree with its part of the table: gives each field's value, or the default that the table names.
#pragma once

#include <algorithm>
#include <cassert>
#include <string>
#include <string_view>
#include <vector>

#include "config/report.hpp"
#include "config/scalar.hpp"
#include "config/table.hpp"

namespace trunkgate {

class object_reader {
 public:
  object_reader(const node* at, const object_schema& schema, std::string path)
      : at_(at), schema_(schema), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool has(std::string_view key) const { return scalar_node(key) != nullptr; }

  // Whether the key stands there, whatever is behind it.
  [[nodiscard]] bool given(std::string_view key) const { return at_ != nullptr && at_->find(key) != nullptr; }
  [[nodiscard]] bool has_map(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    return value != nullptr && value->what == node::kind::map;
  }

  [[nodiscard]] std::string_view text(std::string_view key) const {
    const node* value = scalar_node(key);
    return value != nullptr ? std::string_view(value->text) : field(key).fallback;
  }
  // 0 for one of the words beside the number, and where there is neither value nor default.
  template <class T>
  [[nodiscard]] T number(std::string_view key) const {
    return static_cast<T>(parse_integer(text(key)).value_or(0));
  }
  [[nodiscard]] bool truth(std::string_view key) const { return text(key) == "true"; }
  [[nodiscard]] ip_address address(std::string_view key) const {
    return parse_ip_address(text(key)).value_or(ip_address{});
  }
  [[nodiscard]] ip_range range(std::string_view key) const { return parse_ip_range(text(key)).value_or(ip_range{}); }
  [[nodiscard]] ip_prefix prefix(std::string_view key) const {
    return parse_ip_prefix(text(key)).value_or(ip_prefix{}).masked();
  }
  [[nodiscard]] number_range ports(std::string_view key) const {
    return parse_port_range(text(key)).value_or(number_range{});
  }
  [[nodiscard]] std::int16_t protocol(std::string_view key) const { return find_protocol(text(key)).value_or(-1); }
  // The place of the word in the table's list: our enumerations have the same order.
  template <class Enumeration>
  [[nodiscard]] Enumeration choice(std::string_view key) const {
    auto words = field(key).value.scalar.words;
    auto found = std::ranges::find(words, text(key));
    return static_cast<Enumeration>(found == words.end() ? 0 : found - words.begin());
  }
  [[nodiscard]] std::vector<ip_prefix> prefixes(std::string_view key) const {
    std::vector<ip_prefix> out;
    for_each_item(key, [&](const std::string& item) {
      out.push_back(parse_ip_prefix(item).value_or(ip_prefix{}));  // same indices
    });
    return out;
  }

  [[nodiscard]] std::vector<ip_range> ranges(std::string_view key) const {
    std::vector<ip_range> out;
    for_each_item(key, [&](const std::string& item) {
      out.push_back(parse_ip_range(item).value_or(ip_range{}));  // same indices
    });
    return out;
  }
  // A set of classes: one, or a list of them; 0 for any.
  [[nodiscard]] std::uint64_t classes(std::string_view key) const {
    std::uint64_t out = 0;
    const auto add = [&](std::string_view word) {
      if (const auto value = parse_dscp(word)) out |= 1ull << *value;
    };
    add(text(key));
    for_each_item(key, add);
    return out;
  }

  // The list, or the default that the table names.
  [[nodiscard]] std::vector<std::string> words(std::string_view key) const {
    std::vector<std::string> out;
    for_each_item(key, [&](const std::string& item) { out.push_back(item); });
    if (!given(key))
      for (auto word : split_words(field(key).fallback)) out.emplace_back(word);
    return out;
  }
  // The `file` of an object, or of each in a list of them.
  [[nodiscard]] std::vector<std::string> files(std::string_view key) const {
    std::vector<std::string> out;
    const auto group = inner(key);
    if (group.has("file")) out.emplace_back(group.text("file"));
    if (group.at_ != nullptr)
      for (const auto& item : group.at_->items)
        out.emplace_back(object_reader(&item, group.schema_, {}).text("file"));  // same indices
    return out;
  }

  [[nodiscard]] object_reader inner(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    return {value, *field(key).value.object, (path_.empty() ? "" : path_ + ".") + std::string(key)};
  }
  // Calls each(name or index, reader) for the objects of a map of names or a list.
  template <class Each>
  void each(std::string_view key, Each call) const {
    auto group = inner(key);
    if (group.at_ == nullptr) return;
    for (const auto& entry : group.at_->entries)
      call(entry.key.text, object_reader(&entry.value, group.schema_, group.path_ + "." + entry.key.text));
    for (std::size_t i = 0; i < group.at_->items.size(); ++i)
      call(std::string(), object_reader(&group.at_->items[i], group.schema_, item_path(group.path_, i)));
  }

 private:
  template <class Each>
  void for_each_item(std::string_view key, Each call) const {
    const node* list = at_ != nullptr ? at_->find(key) : nullptr;
    if (list != nullptr)
      for (const auto& item : list->items) call(item.text);
  }
  [[nodiscard]] const field_schema& field(std::string_view key) const {
    const auto* found = schema_.find(key);
    assert(found != nullptr && "the reader asks for a field that the table does not have");
    return *found;
  }
  // The value if it is what the table wants, else nullptr: the error was reported by the check.
  [[nodiscard]] const node* scalar_node(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    if (value == nullptr || value->what != node::kind::scalar || check_scalar(field(key).value.scalar, value->text))
      return nullptr;
    return value;
  }

  const node* at_;
  const object_schema& schema_;
  std::string path_;
};

[[nodiscard]] tunnel_settings read_tunnel(const std::string& name, const object_reader& in);

}  // namespace trunkgate
