#include "dataplane/core/ip.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace trunkgate {

namespace {

// The last address of a prefix, whose host bits are cleared.
ip_address last_of(const ip_prefix& prefix) {
  ip_address last = prefix.address;
  for (unsigned bit = prefix.length; bit < prefix.address.bits(); ++bit)
    last.bytes[bit / 8] |= static_cast<std::uint8_t>(0x80 >> bit % 8);
  return last;
}

// The address behind this one, which is not the family's last.
ip_address after(ip_address address) {
  for (std::size_t i = address.size(); i-- > 0;)
    if (++address.bytes[i] != 0) break;
  return address;
}

}  // namespace

ip_address ip_address::v4(std::uint32_t host_order) {
  std::uint32_t network = htonl(host_order);
  return from_bytes(ip_family::v4, &network);
}

ip_address ip_address::from_bytes(ip_family family, const void* network_order) {
  ip_address address;
  address.family = family;
  std::memcpy(address.bytes.data(), network_order, address.size());
  return address;
}

std::uint32_t ip_address::v4_host() const {
  std::uint32_t network;
  std::memcpy(&network, bytes.data(), 4);
  return ntohl(network);
}

bool ip_address::is_multicast() const {
  return family == ip_family::v4 ? (bytes[0] & 0xf0) == 0xe0 : family == ip_family::v6 && bytes[0] == 0xff;
}

ip_prefix ip_prefix::masked() const {
  ip_prefix out = *this;
  for (unsigned i = 0; i < out.address.bytes.size(); ++i) {
    int keep = length - static_cast<int>(i) * 8;
    if (keep <= 0)
      out.address.bytes[i] = 0;
    else if (keep < 8)
      out.address.bytes[i] &= static_cast<std::uint8_t>(0xff << (8 - keep));
  }
  return out;
}

bool ip_prefix::contains(const ip_address& other) const {
  return other.family == address.family && ip_prefix{other, length}.masked().address == masked().address;
}

bool ip_prefix::overlaps(const ip_prefix& other) const {
  return length <= other.length ? contains(other.address) : other.contains(address);
}

ip_range::ip_range(const ip_prefix& prefix) {
  if (prefix.address.family == ip_family::none) return;
  const ip_prefix clean = prefix.masked();
  first = clean.address;
  last = last_of(clean);
}

ip_prefix ip_range::cover() const {
  unsigned length = 0;
  while (length < first.bits() && ((first.bytes[length / 8] ^ last.bytes[length / 8]) & 0x80 >> length % 8) == 0)
    ++length;
  return ip_prefix{first, static_cast<std::uint8_t>(length)}.masked();
}

bool ip_range::is_prefix() const { return ip_range(cover()) == *this; }

std::vector<ip_prefix> ip_range::prefixes() const {
  std::vector<ip_prefix> out;
  for (ip_address at = first;;) {
    // The largest block that begins here and ends inside: its size doubles while the next bit of its start is clear.
    ip_prefix block{at, at.bits()};
    ip_address end = at;
    while (block.length > 0) {
      const ip_prefix larger{at, static_cast<std::uint8_t>(block.length - 1)};
      if (larger.masked().address != at || last_of(larger).bytes > last.bytes) break;
      block = larger;
      end = last_of(larger);
    }
    out.push_back(block);
    if (end == last) return out;
    at = after(end);
  }
}

result<ip_address> parse_ip_address(std::string_view text) {
  std::string copy(text);
  std::uint8_t bytes[16];
  if (inet_pton(AF_INET, copy.c_str(), bytes) == 1) return ip_address::from_bytes(ip_family::v4, bytes);
  if (inet_pton(AF_INET6, copy.c_str(), bytes) == 1) return ip_address::from_bytes(ip_family::v6, bytes);
  return failure("\"" + copy + "\" is not an IPv4 or IPv6 address");
}

result<ip_prefix> parse_ip_prefix(std::string_view text) {
  auto slash = text.find('/');
  auto address = parse_ip_address(text.substr(0, slash));
  if (!address) return std::unexpected(address.error());
  ip_prefix prefix{*address, address->bits()};
  if (slash == std::string_view::npos) return prefix;
  auto digits = text.substr(slash + 1);
  unsigned length = 0;
  auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (code != std::errc{} || end != digits.data() + digits.size() || length > address->bits())
    return failure("\"" + std::string(text) + "\" has no prefix length between 0 and " +
                   std::to_string(address->bits()));
  prefix.length = static_cast<std::uint8_t>(length);
  return prefix;
}

result<ip_range> parse_ip_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) {
    auto prefix = parse_ip_prefix(text);
    if (!prefix) return std::unexpected(prefix.error());
    return ip_range(*prefix);
  }
  auto first = parse_ip_address(text.substr(0, dash)), last = parse_ip_address(text.substr(dash + 1));
  if (!first) return std::unexpected(first.error());
  if (!last) return std::unexpected(last.error());
  const ip_range range(*first, *last);
  if (!range.valid())
    return failure("\"" + std::string(text) +
                   "\" does not go from a lower address to a higher one of the same IP version");
  return range;
}

std::string to_string(const ip_address& address) {
  char text[INET6_ADDRSTRLEN] = "none";
  if (address.family != ip_family::none)
    inet_ntop(address.family == ip_family::v4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}

std::string to_string(const ip_range& range) {
  if (range.any()) return "any";
  return range.is_prefix() ? to_string(range.cover()) : to_string(range.first) + "-" + to_string(range.last);
}

std::string to_string(const ip_prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace trunkgate
