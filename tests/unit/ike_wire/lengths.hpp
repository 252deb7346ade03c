// Where the length and count fields of a message stand, found by a walk that knows RFC 7296's pictures only: nothing of
// the parser is used. Only for messages that are well-formed.
#pragma once

#include <string>
#include <vector>

#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {

struct length_field {
  std::size_t at = 0;    // in the octets that were walked
  std::size_t size = 0;  // 1, 2 or 4 octets
  std::string what;      // "payload 33: length of transform 2"
};

// `start`: where the first generic header stands. Not what is inside of SK or SKF.
[[nodiscard]] std::vector<length_field> length_fields(ike::payload_type first, byte_view octets, std::size_t start);

[[nodiscard]] std::uint32_t number_at(byte_view octets, const length_field& field);
void put_number(bytes& octets, const length_field& field, std::uint32_t value);

}  // namespace trunkgate::test
