#include <nlohmann/json.hpp>

#include "config/schema.hpp"
#include "config/selector_words.hpp"
#include "config/table.hpp"

namespace trunkgate {

namespace {

using json = nlohmann::ordered_json;

std::string range_of(const scalar_schema& schema) {
  return std::to_string(schema.least) + " to " + std::to_string(schema.most);
}

std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

// ---- the reference ----

std::string syntax_of(const scalar_schema& schema) {
  switch (schema.syntax) {
    case scalar_syntax::word: return "";
    case scalar_syntax::integer: return range_of(schema);
    case scalar_syntax::name: return "name";
    case scalar_syntax::text: return "text";
    case scalar_syntax::address: return "address";
    case scalar_syntax::prefix: return "prefix";
    case scalar_syntax::range: return "prefix or range";
    case scalar_syntax::icmp: return "name, type, or type/code";
    case scalar_syntax::port_range: return "port or range";
    case scalar_syntax::dscp: return "DSCP";
    case scalar_syntax::duration: return "duration";
    case scalar_syntax::quantity: return "quantity";
    case scalar_syntax::ike_proposal:
    case scalar_syntax::esp_proposal: return "proposal";
    case scalar_syntax::identity: return "identity";
  }
  return "";
}

std::string describe(const scalar_schema& schema) {
  std::string out;
  for (auto word : schema.words) out += (out.empty() ? "" : ", ") + code(word);
  auto syntax = syntax_of(schema);
  if (!syntax.empty()) out += (out.empty() ? "" : ", ") + syntax;
  return out;
}

std::string plural(const std::string& syntax) {
  if (syntax == "prefix or range") return "prefixes and ranges";
  return syntax + (syntax.ends_with('x') ? "es" : "s");
}

std::string describe(const value_schema& value) {
  switch (value.form) {
    case value_form::scalar: return describe(value.scalar);
    case value_form::list:
      return value.object != nullptr ? "list, below" : "list of " + plural(syntax_of(value.scalar));
    case value_form::scalar_or_list: return describe(value.scalar) + ", or a list of them";
    case value_form::object: return "map, below";
    case value_form::object_or_list: return "map, below, or a list of them";
    case value_form::named_objects: return "map by name, below";
    case value_form::scalar_or_object: return describe(value.scalar) + ", or a map, below";
  }
  return "";
}

// The heading of what stands under `key`: "tunnels.NAME.children.NAME".
std::string path_below(const std::string& path, const field_schema& field) {
  std::string out = (path.empty() ? "" : path + ".") + std::string(field.key);
  if (field.value.form == value_form::named_objects) out += ".NAME";
  if (field.value.form == value_form::list) out += "[]";
  return out;
}

void append_object(std::string& out, const object_schema& object, const std::string& path) {
  if (!path.empty()) {
    out += "### " + code(path) + "\n\n" + std::string(object.meaning) + "\n\n";
    out += "| Key | Value | Default | Meaning |\n|---|---|---|---|\n";
    for (const auto& field : object.fields) {
      std::string fallback = field.required ? "required" : field.fallback.empty() ? "none" : code(field.fallback);
      out += "| " + code(field.key) + " | " + describe(field.value) + " | " + fallback + " | " +
             std::string(field.meaning) + " |\n";
    }
    out += "\n";
  }
  for (const auto& field : object.fields)
    if (field.value.object != nullptr) append_object(out, *field.value.object, path_below(path, field));
}

// ---- JSON Schema ----

json scalar_json(const scalar_schema& schema) {
  if (schema.words.size() == 2 && schema.words[0] == "true" && schema.words[1] == "false") return {{"type", "boolean"}};
  json words = schema.words.empty()
                   ? json()
                   : json{{"enum", std::vector<std::string>(schema.words.begin(), schema.words.end())}};
  json syntax;
  switch (schema.syntax) {
    case scalar_syntax::word: return words;
    case scalar_syntax::integer:
      syntax = {{"type", "integer"}, {"minimum", schema.least}, {"maximum", schema.most}};
      break;
    case scalar_syntax::name:
      syntax = {{"type", "string"}, {"pattern", "^[A-Za-z0-9_][A-Za-z0-9_-]*$"}, {"maxLength", schema.most}};
      break;
    case scalar_syntax::identity:
    case scalar_syntax::text: syntax = {{"type", "string"}, {"minLength", 1}, {"maxLength", schema.most}}; break;
    case scalar_syntax::address: syntax = {{"type", "string"}, {"pattern", "^[0-9A-Fa-f.:]+$"}}; break;
    case scalar_syntax::prefix: syntax = {{"type", "string"}, {"pattern", "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"}}; break;
    case scalar_syntax::range:
      syntax = {{"type", "string"}, {"pattern", "^[0-9A-Fa-f.:]+(/[0-9]{1,3}|-[0-9A-Fa-f.:]+)?$"}};
      break;
    case scalar_syntax::icmp:
      syntax = {{"anyOf",
                 {{{"type", "integer"}, {"minimum", 0}, {"maximum", 255}},
                  {{"type", "string"}, {"pattern", "^[0-9]{1,3}/[0-9]{1,3}$"}},
                  {{"enum", std::vector<std::string>(icmp_words().begin(), icmp_words().end())}}}}};
      break;
    case scalar_syntax::port_range:
      syntax = {{"anyOf",
                 {{{"type", "integer"}, {"minimum", 0}, {"maximum", 65535}},
                  {{"type", "string"}, {"pattern", "^[0-9]+-[0-9]+$"}}}}};
      break;
    case scalar_syntax::dscp:
      syntax = {{"anyOf",
                 {{{"type", "integer"}, {"minimum", 0}, {"maximum", 63}},
                  {{"type", "string"}, {"pattern", "^(ef|va|le|cs[0-7]|af[1-4][1-3])$"}}}}};
      break;
    case scalar_syntax::duration: syntax = {{"type", "string"}, {"pattern", "^[0-9]+[smhd]$"}}; break;
    case scalar_syntax::quantity:
      syntax = {
          {"anyOf", {{{"type", "integer"}, {"minimum", 1}}, {{"type", "string"}, {"pattern", "^[0-9]+[KMGT]?$"}}}}};
      break;
    case scalar_syntax::ike_proposal:
    case scalar_syntax::esp_proposal: syntax = {{"type", "string"}, {"pattern", "^[a-z0-9_]+(-[a-z0-9_]+)*$"}}; break;
  }
  if (words.is_null()) return syntax;
  return {{"anyOf", json::array({words, syntax})}};
}

json object_json(const object_schema& object);

json value_json(const value_schema& value) {
  switch (value.form) {
    case value_form::scalar: return scalar_json(value.scalar);
    case value_form::object: return object_json(*value.object);
    case value_form::object_or_list:
      return {{"anyOf", json::array({object_json(*value.object),
                                     {{"type", "array"}, {"minItems", 1}, {"items", object_json(*value.object)}}})}};
    case value_form::scalar_or_list:
      return {{"anyOf",
               json::array({scalar_json(value.scalar), {{"type", "array"}, {"items", scalar_json(value.scalar)}}})}};
    case value_form::scalar_or_object:
      return {{"anyOf", json::array({scalar_json(value.scalar), object_json(*value.object)})}};
    case value_form::list: {
      json out{{"type", "array"},
               {"items", value.object != nullptr ? object_json(*value.object) : scalar_json(value.scalar)}};
      if (value.limit != 0) out["maxItems"] = value.limit;
      return out;
    }
    case value_form::named_objects: {
      json out{{"type", "object"},
               {"propertyNames", scalar_json(value.scalar)},
               {"additionalProperties", object_json(*value.object)}};
      if (value.limit != 0) out["maxProperties"] = value.limit;
      return out;
    }
  }
  return {};
}

json default_json(const field_schema& field) {
  if (field.value.form != value_form::list) return field.fallback;
  json out = json::array();
  for (auto word : split_words(field.fallback)) out.push_back(word);
  return out;
}

json object_json(const object_schema& object) {
  json out{{"type", "object"}};
  if (!object.meaning.empty()) out["description"] = object.meaning;
  out["additionalProperties"] = false;
  json required = json::array();
  for (const auto& field : object.fields) {
    json value = value_json(field.value);
    if (!field.meaning.empty()) value["description"] = field.meaning;
    if (!field.fallback.empty()) value["default"] = default_json(field);
    out["properties"][std::string(field.key)] = std::move(value);
    if (field.required) required.push_back(field.key);
  }
  if (!required.empty()) out["required"] = std::move(required);
  if (object.secret_reference) out["minProperties"] = out["maxProperties"] = 1;
  return out;
}

}  // namespace

std::string schema_markdown() {
  std::string out;
  append_object(out, configuration_schema, "");
  out.pop_back();  // no empty line at the end
  return out;
}

std::string schema_json() {
  json out{{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "Trunkgate configuration"}};
  out.update(object_json(configuration_schema));
  return out.dump(2) + "\n";
}

}  // namespace trunkgate
