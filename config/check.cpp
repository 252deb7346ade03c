#include <algorithm>

#include "config/report.hpp"
#include "config/scalar.hpp"
#include "config/table.hpp"

namespace trunkgate {

namespace {

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

class checker {
 public:
  explicit checker(report& to) : to_(to) {}

  void object(const node& at, const object_schema& schema, const std::string& path) const {
    if (holds_secret(schema) && at.what != node::kind::map) return refuse_secret(path);
    if (at.what != node::kind::map && at.what != node::kind::empty)
      return to_.error(path, "must be a map: " + keys_of(schema), as_first_field(at, schema));
    for (const auto& entry : at.entries) {
      const auto* field = schema.find(entry.key.text);
      if (field == nullptr)
        unknown_key(schema, path, entry.key);
      else
        value(entry.value, field->value, join(path, field->key));
    }
    for (const auto& field : schema.fields)
      if (field.required && at.find(field.key) == nullptr)
        to_.error(join(path, field.key), "is missing", plain(field.meaning));
    if (schema.secret_reference && at.entries.size() != 1) to_.error(path, "needs exactly one of " + keys_of(schema));
  }

 private:
  // What stands in place of such a map may be the key itself.
  static bool holds_secret(const object_schema& schema) {
    return schema.secret_reference || std::ranges::any_of(schema.fields, [](const field_schema& field) {
             return field.required && field.value.object != nullptr && field.value.object->secret_reference;
           });
  }

  // A lone value is mostly that of the first field: "local: 203.0.113.2".
  static std::string as_first_field(const node& at, const object_schema& schema) {
    const auto& first = schema.fields.front();
    if (at.what != node::kind::scalar || first.value.form != value_form::scalar) return {};
    return "{ " + std::string(first.key) + ": " + at.text + " }";
  }

  static std::string keys_of(const object_schema& schema) {
    std::string out;
    for (const auto& field : schema.fields) out += (out.empty() ? "" : ", ") + std::string(field.key);
    return out;
  }

  // The table's prose without its marks.
  static std::string plain(std::string_view prose) {
    std::string out(prose);
    std::erase(out, '`');
    return out;
  }

  void refuse_secret(const std::string& path) const {
    to_.error_on_secret(path, "must say where the key is: a key itself never stands in the configuration",
                        "{file: NAME}, {env: NAME}, or {credential: NAME}");
  }

  void unknown_key(const object_schema& schema, const std::string& path, const node& key) const {
    if (schema.secret_reference) return refuse_secret(join(path, key.text));
    std::vector<std::string_view> candidates;
    for (const auto& field : schema.fields) candidates.push_back(field.key);
    auto hint = did_you_mean(key.text, candidates);
    if (hint.empty()) hint = "known here: " + keys_of(schema);
    to_.error_at_key(join(path, key.text), key, "unknown key", hint);
  }

  void value(const node& at, const value_schema& schema, const std::string& path) const {
    switch (schema.form) {
      case value_form::scalar: return scalar(at, schema.scalar, path);
      case value_form::object: return object(at, *schema.object, path);
      case value_form::list: return list(at, schema, path);
      case value_form::object_or_list:
        return at.what == node::kind::list ? list(at, schema, path) : object(at, *schema.object, path);
      case value_form::scalar_or_list:
        return at.what == node::kind::list ? list(at, schema, path) : scalar(at, schema.scalar, path);
      case value_form::named_objects: return named_objects(at, schema, path);
      case value_form::scalar_or_object:
        if (at.what == node::kind::map) return object(at, *schema.object, path);
        return scalar(at, schema.scalar, path);
    }
  }

  void scalar(const node& at, const scalar_schema& schema, const std::string& path) const {
    if (at.what == node::kind::empty) return to_.error(path, "has no value");
    if (at.what != node::kind::scalar) return to_.error(path, "must be a single value");
    if (auto problem = check_scalar(schema, at.text)) to_.error(path, problem->message, problem->hint);
  }

  void list(const node& at, const value_schema& schema, const std::string& path) const {
    if (at.what == node::kind::empty) return;
    if (at.what != node::kind::list)
      return to_.error(path, "must be a list", at.what == node::kind::scalar ? "[" + at.text + "]" : std::string());
    if (schema.limit != 0 && at.items.size() > schema.limit)
      to_.error(path, "has " + std::to_string(at.items.size()) + " entries, at most " + std::to_string(schema.limit) +
                          " are possible");
    for (std::size_t i = 0; i < at.items.size(); ++i) {
      if (schema.object != nullptr)
        list_object(at.items[i], *schema.object, item_path(path, i));
      else
        scalar(at.items[i], schema.scalar, item_path(path, i));
    }
  }

  void list_object(const node& at, const object_schema& schema, const std::string& path) const {
    if (at.what == node::kind::empty) return to_.error(path, "must be a map: " + keys_of(schema));
    object(at, schema, path);
  }

  void named_objects(const node& at, const value_schema& schema, const std::string& path) const {
    if (at.what == node::kind::empty) return;
    if (at.what != node::kind::map) return to_.error(path, "must be a map of names");
    if (schema.limit != 0 && at.entries.size() > schema.limit)
      to_.error(path, "has " + std::to_string(at.entries.size()) + " entries, at most " + std::to_string(schema.limit) +
                          " are possible");
    for (const auto& entry : at.entries) {
      auto inner = join(path, entry.key.text);
      if (auto problem = check_scalar(schema.scalar, entry.key.text))
        to_.error_at_key(inner, entry.key, "the name " + problem->message, problem->hint);
      object(entry.value, *schema.object, inner);
    }
  }

  report& to_;
};

}  // namespace

void check_document(const node& root, report& to) { checker(to).object(root, configuration_schema, ""); }

}  // namespace trunkgate
