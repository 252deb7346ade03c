// Packets for tests, byte by byte and with checksums summed the slow way, so that they judge the code and don't share
// it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/core/ip.hpp"

namespace trunkgate::test {

using bytes = std::vector<std::uint8_t>;

[[nodiscard]] ip_address address(std::string_view text);
[[nodiscard]] bytes address_bytes(const ip_address& address);
[[nodiscard]] bytes join(std::initializer_list<bytes> parts);
[[nodiscard]] bytes be(std::uint64_t value, std::size_t size);
[[nodiscard]] std::uint64_t read_be(const bytes& from, std::size_t offset, std::size_t size);
[[nodiscard]] bytes filled(std::size_t size, std::uint8_t first = 0);  // first, first + 1, ...

// The ones' complement sum of RFC 1071, word for word; 0 over data that holds its own right checksum.
[[nodiscard]] std::uint16_t slow_checksum(const bytes& data);
// Over the pseudo header of RFC 9293 3.1 or RFC 8200 8.1 and the transport header with its payload.
[[nodiscard]] std::uint16_t transport_checksum(const ip_address& source, const ip_address& destination,
                                               std::uint8_t protocol, const bytes& segment);

struct ip_fields {
  ip_address source, destination;
  std::uint8_t protocol = 17, traffic_class = 0, hops = 64;
  std::uint16_t id = 0x1234, fragment = 0;  // fragment: flags and offset, IPv4
  bytes options;                            // IPv4 options or IPv6 extension headers in front of the payload
  std::uint8_t first_extension = 0;         // the IPv6 next header when there are extension headers
};
// An IPv4 or IPv6 packet, by the addresses' family.
[[nodiscard]] bytes ip_packet(const ip_fields& ip, const bytes& payload);
[[nodiscard]] bytes udp_packet(const ip_fields& ip, std::uint16_t source_port, std::uint16_t destination_port,
                               const bytes& payload);
// `options` is padded to words with zeros; `flags` as on the wire (SYN is 2).
[[nodiscard]] bytes tcp_packet(const ip_fields& ip, std::uint16_t source_port, std::uint16_t destination_port,
                               std::uint8_t flags, const bytes& options, const bytes& payload = {});
[[nodiscard]] bytes icmp_packet(const ip_fields& ip, std::uint8_t type, std::uint8_t code, const bytes& rest);

// Whether the IPv4 header's own checksum, and the transport's where it has one, are right.
[[nodiscard]] bool checksums_hold(const bytes& packet);
// The same ip_fields with source and destination given as text.
[[nodiscard]] ip_fields between(std::string_view source, std::string_view destination, std::uint8_t protocol = 17);

}  // namespace trunkgate::test
