#include "tests/unit/ike_wire/lengths.hpp"

#include <format>

namespace trunkgate::test {

namespace {

std::size_t big_endian_at(byte_view octets, std::size_t at, std::size_t size) {
  std::size_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | octets[at + i];
  return value;
}

class walk {
 public:
  explicit walk(byte_view octets) : octets_(octets) {}

  // RFC 7296 3.3
  void proposals(std::size_t at, std::size_t end) {
    while (at < end) {
      const auto stop = at + note(at + 2, 2, "length of a proposal");
      note(at + 6, 1, "SPI size of a proposal");
      note(at + 7, 1, "number of transforms");
      for (auto transform = at + 8 + octets_[at + 6]; transform < stop;)
        transform += note(transform + 2, 2, "length of a transform");
      at = stop;
    }
  }
  // RFC 7296 3.13
  void selectors(std::size_t at, std::size_t end) {
    note(at, 1, "number of selectors");
    for (at += 4; at < end;) at += note(at + 2, 2, "length of a selector");
  }
  void payload_body(std::size_t type, std::size_t at, std::size_t end) {
    if (type == 33) proposals(at, end);
    if (type == 44 || type == 45) selectors(at, end);
    if (type == 41) note(at + 1, 1, "SPI size of a notify");
    if (type == 42) {
      note(at + 1, 1, "SPI size of a delete");
      note(at + 2, 2, "number of SPIs");
    }
  }
  void chain(std::size_t type, std::size_t at) {
    while (type != 0) {
      payload_ = type;
      const auto stop = at + note(at + 2, 2, "length");
      if (type == 46 || type == 53) return;
      payload_body(type, at + 4, stop);
      type = octets_[at];
      at = stop;
    }
  }
  std::size_t note(std::size_t at, std::size_t size, std::string_view what) {
    found.push_back({at, size, std::format("payload {}: {} (at {})", payload_, what, at)});
    return big_endian_at(octets_, at, size);
  }

  std::vector<length_field> found;

 private:
  byte_view octets_;
  std::size_t payload_ = 0;
};

}  // namespace

std::vector<length_field> length_fields(ike::payload_type first, byte_view octets, std::size_t start) {
  walk all(octets);
  all.chain(static_cast<std::size_t>(first), start);
  return all.found;
}

std::uint32_t number_at(byte_view octets, const length_field& field) {
  return static_cast<std::uint32_t>(big_endian_at(octets, field.at, field.size));
}

void put_number(bytes& octets, const length_field& field, std::uint32_t value) {
  for (std::size_t i = field.size; i-- > 0; value >>= 8) octets[field.at + i] = static_cast<std::uint8_t>(value);
}

}  // namespace trunkgate::test
