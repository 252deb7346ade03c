#include "dataplane/core/ip.hpp"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace trunkgate {

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

std::string to_string(const ip_address& address) {
  char text[INET6_ADDRSTRLEN] = "none";
  if (address.family != ip_family::none)
    inet_ntop(address.family == ip_family::v4 ? AF_INET : AF_INET6, address.bytes.data(), text, sizeof text);
  return text;
}

std::string to_string(const ip_prefix& prefix) {
  return to_string(prefix.address) + "/" + std::to_string(prefix.length);
}

}  // namespace trunkgate
