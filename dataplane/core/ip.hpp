// IP addresses, prefixes and ranges of both families as plain values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/result.hpp"

namespace trunkgate {

enum class ip_family : std::uint8_t { none = 0, v4 = 4, v6 = 6 };

// An address in network byte order. An IPv4 address uses the first four bytes; the others are zero. The default is
// "none".
struct ip_address {
  std::array<std::uint8_t, 16> bytes{};
  ip_family family = ip_family::none;

  [[nodiscard]] static ip_address v4(std::uint32_t host_order);
  [[nodiscard]] static ip_address from_bytes(ip_family family, const void* network_order);  // reads 4 or 16 bytes
  [[nodiscard]] std::uint32_t v4_host() const;  // host order; only for family v4
  [[nodiscard]] std::size_t size() const { return family == ip_family::v4 ? 4 : 16; }
  [[nodiscard]] std::uint8_t bits() const { return family == ip_family::v4 ? 32 : 128; }
  [[nodiscard]] bool is_multicast() const;
  friend auto operator<=>(const ip_address&, const ip_address&) = default;
};

// An address and how many of its leading bits count. Bits behind the length are kept for interface addresses
// ("10.1.0.1/16"); masked() clears them.
struct ip_prefix {
  ip_address address;
  std::uint8_t length = 0;

  [[nodiscard]] ip_prefix masked() const;
  [[nodiscard]] bool contains(const ip_address& other) const;
  [[nodiscard]] bool overlaps(const ip_prefix& other) const;
  friend auto operator<=>(const ip_prefix&, const ip_prefix&) = default;
};

// The addresses from `first` to `last`, as a traffic selector says them (RFC 7296 3.13.1); both of one family, or none:
// every address of either family. A prefix is a range too.
struct ip_range {
  ip_address first, last;

  ip_range() = default;
  ip_range(const ip_address& from, const ip_address& to) : first(from), last(to) {}
  ip_range(const ip_prefix& prefix);  // NOLINT(google-explicit-constructor): every prefix is a range

  [[nodiscard]] bool any() const { return first.family == ip_family::none; }
  // Of one family, and its first address not above its last.
  [[nodiscard]] bool valid() const { return !any() && first.family == last.family && first.bytes <= last.bytes; }
  [[nodiscard]] bool contains(const ip_address& address) const {
    return address.family == first.family && first.bytes <= address.bytes && address.bytes <= last.bytes;
  }
  [[nodiscard]] bool contains(const ip_range& other) const { return contains(other.first) && contains(other.last); }
  // The longest prefix that holds all of it. Only for a valid range, as are the next two.
  [[nodiscard]] ip_prefix cover() const;
  [[nodiscard]] bool is_prefix() const;
  // The fewest prefixes that hold it and nothing else, in order: 62 at most for IPv4, 254 for IPv6.
  [[nodiscard]] std::vector<ip_prefix> prefixes() const;
  friend auto operator<=>(const ip_range&, const ip_range&) = default;
};

[[nodiscard]] result<ip_address> parse_ip_address(std::string_view text);
[[nodiscard]] result<ip_prefix> parse_ip_prefix(
    std::string_view text);                                            // "10.0.0.0/8", "2001:db8::/32"; no length: host
[[nodiscard]] result<ip_range> parse_ip_range(std::string_view text);  // a prefix, or "10.1.0.10-10.1.0.99"
[[nodiscard]] std::string to_string(const ip_address& address);
[[nodiscard]] std::string to_string(const ip_prefix& prefix);
[[nodiscard]] std::string to_string(const ip_range& range);  // "any", a prefix where it is one, or "FIRST-LAST"

}  // namespace trunkgate
