// The shape of the configuration table: objects have fields, fields have values, values are scalars or more objects.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace trunkgate {

enum class scalar_syntax : std::uint8_t {
  word,          // one of `words` and nothing else
  integer,       // least to most; decimal, or hexadecimal behind 0x
  name,          // letters, digits, - and _; at most `most` characters
  text,          // anything; at most `most` characters
  address,       // IPv4 or IPv6
  prefix,        // with or without a length
  range,         // a prefix, or "10.1.0.10-10.1.0.99"
  port_range,    // "443" or "1024-65535"
  icmp,          // a type of ICMP message: "echo-request", "8" or "3/4"
  dscp,          // "ef", "af31", "cs5", or 0 to 63
  duration,      // "90s", "50m", "1h", "1d"
  quantity,      // "1000", "900M": K, M, G and T are powers of 1000
  ike_proposal,  // "aes256gcm16-prfsha384-x25519": see ike_proposal.hpp
  esp_proposal,  // "aes256gcm16-x25519"
  identity,      // of an IKE peer: "hq.example", "hq@example.org", an address, "CN=hq, O=Example", "keyid:0a0b"
};

struct scalar_schema {
  scalar_syntax syntax = scalar_syntax::word;
  std::span<const std::string_view> words{};  // allowed besides what `syntax` describes
  std::int64_t least = 0, most = 0;
  std::string_view hint{};  // shown when the value is none of these
};

enum class value_form : std::uint8_t {
  scalar,
  list,
  scalar_or_list,
  object,
  object_or_list,
  named_objects,
  scalar_or_object
};

struct object_schema;

struct value_schema {
  value_form form = value_form::scalar;
  scalar_schema scalar{};                 // of the value, of a list's elements, or of the names of named_objects
  const object_schema* object = nullptr;  // of the value or of the elements
  std::size_t limit = 0;                  // elements at most; 0: no limit
};

struct field_schema {
  std::string_view key;
  value_schema value;
  bool required = false;
  std::string_view fallback{};  // what it is if it is not given, as it would be written; a list's words with ", "
  std::string_view meaning;
};

struct object_schema {
  std::string_view meaning;
  std::span<const field_schema> fields;
  bool secret_reference = false;  // exactly one of the fields; a value in its place may be a key and is never shown

  [[nodiscard]] constexpr const field_schema* find(std::string_view key) const {
    for (const auto& field : fields)
      if (field.key == key) return &field;
    return nullptr;
  }
};

extern const object_schema configuration_schema;

// The words of a list's default.
[[nodiscard]] constexpr std::vector<std::string_view> split_words(std::string_view list) {
  std::vector<std::string_view> out;
  while (!list.empty()) {
    const auto end = list.find(", ");
    out.push_back(list.substr(0, end));
    list.remove_prefix(end == std::string_view::npos ? list.size() : end + 2);
  }
  return out;
}

}  // namespace trunkgate
