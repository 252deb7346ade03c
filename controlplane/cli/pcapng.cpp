#include "controlplane/cli/pcapng.hpp"

#include <algorithm>
#include <cstring>

namespace trunkgate {

namespace {

using block = pcapng_writer::block;

constexpr std::uint32_t section_header_type = 0x0a0d0d0a, interface_type = 1, packet_type = 6;
constexpr std::uint16_t opt_end = 0, opt_comment = 1, shb_user_application = 4, if_name = 2,
                        if_timestamp_resolution = 9, epb_flags = 2;

template <class T>
void add(block& out, T value) {
  const auto at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

// Everything variable is padded to 32 bits (3.6.1, 3.5).
void add_padded(block& out, std::span<const std::uint8_t> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
  out.resize((out.size() + 3) / 4 * 4);
}

void add_option(block& out, std::uint16_t code, std::span<const std::uint8_t> value) {
  const auto size = std::min<std::size_t>(value.size(), UINT16_MAX);
  add(out, code);
  add(out, static_cast<std::uint16_t>(size));
  add_padded(out, value.first(size));
}

void add_option(block& out, std::uint16_t code, std::string_view text) {
  add_option(out, code, std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

void end_options(block& out) {
  add(out, opt_end);
  add(out, std::uint16_t{0});
}

// Type and length before the body, the length again behind it (3.1).
block framed(std::uint32_t type, const block& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  block out;
  out.reserve(length);
  add(out, type);
  add(out, length);
  out.insert(out.end(), body.begin(), body.end());
  add(out, length);
  return out;
}

}  // namespace

block pcapng_writer::section_header(std::string_view program) {
  block body;
  add(body, std::uint32_t{0x1a2b3c4d});  // tells the byte order
  add(body, std::uint16_t{1});           // version 1.0
  add(body, std::uint16_t{0});
  add(body, ~std::uint64_t{0});  // length of the section: not known
  add_option(body, shb_user_application, program);
  end_options(body);
  return framed(section_header_type, body);
}

std::uint32_t pcapng_writer::interface(std::string_view name, link_type link, block& out) {
  const auto found =
      std::ranges::find_if(interfaces_, [&](const known& one) { return one.name == name && one.link == link; });
  if (found != interfaces_.end()) return static_cast<std::uint32_t>(found - interfaces_.begin());
  block body;
  add(body, static_cast<std::uint16_t>(link));
  add(body, std::uint16_t{0});
  add(body, std::uint32_t{0});  // no limit to what is captured of a packet
  add_option(body, if_name, name);
  constexpr std::uint8_t nanoseconds[] = {9};
  add_option(body, if_timestamp_resolution, nanoseconds);
  end_options(body);
  const auto made = framed(interface_type, body);
  out.insert(out.end(), made.begin(), made.end());
  interfaces_.push_back({.name = std::string(name), .link = link});
  return static_cast<std::uint32_t>(interfaces_.size() - 1);
}

block pcapng_writer::packet(const pcapng_packet& packet) {
  block body;
  add(body, packet.interface);
  add(body, static_cast<std::uint32_t>(packet.unix_ns >> 32));
  add(body, static_cast<std::uint32_t>(packet.unix_ns));
  add(body, static_cast<std::uint32_t>(packet.bytes.size()));
  add(body, packet.length);
  add_padded(body, packet.bytes);
  if (packet.direction != packet_direction::unknown) {
    const std::uint8_t flags[] = {static_cast<std::uint8_t>(packet.direction), 0, 0, 0};
    add_option(body, epb_flags, flags);
  }
  if (!packet.comment.empty()) add_option(body, opt_comment, packet.comment);
  end_options(body);
  return framed(packet_type, body);
}

}  // namespace trunkgate
