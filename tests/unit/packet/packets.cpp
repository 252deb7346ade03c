#include "tests/unit/packet/packets.hpp"

#include <stdexcept>

namespace trunkgate::test {
namespace {

bytes pseudo_header(const ip_address& source, const ip_address& destination, std::uint8_t protocol, std::size_t size) {
  if (source.family == ip_family::v4)
    return join({address_bytes(source), address_bytes(destination), {0, protocol}, be(size, 2)});
  return join({address_bytes(source), address_bytes(destination), be(size, 4), {0, 0, 0, protocol}});
}

void put(bytes& into, std::size_t offset, std::uint16_t value) {
  into.at(offset) = static_cast<std::uint8_t>(value >> 8);
  into.at(offset + 1) = static_cast<std::uint8_t>(value);
}

}  // namespace

ip_address address(std::string_view text) { return parse_ip_address(text).value(); }

bytes address_bytes(const ip_address& a) {
  return {a.bytes.begin(), a.bytes.begin() + static_cast<std::ptrdiff_t>(a.size())};
}

bytes join(std::initializer_list<bytes> parts) {
  bytes all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

bytes be(std::uint64_t value, std::size_t size) {
  bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[size - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
  return out;
}

std::uint64_t read_be(const bytes& from, std::size_t offset, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | from.at(offset + i);
  return value;
}

bytes filled(std::size_t size, std::uint8_t first) {
  bytes out(size);
  for (auto& byte : out) byte = first++;
  return out;
}

std::uint16_t slow_checksum(const bytes& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); ++i) {
    sum += i % 2 == 0 ? data[i] * 256u : data[i];
    if (sum > 0xffff) sum -= 0xffff;  // the carry comes in again at the bottom
  }
  return static_cast<std::uint16_t>(0xffff - sum);
}

std::uint16_t transport_checksum(const ip_address& source, const ip_address& destination, std::uint8_t protocol,
                                 const bytes& segment) {
  return slow_checksum(join({pseudo_header(source, destination, protocol, segment.size()), segment}));
}

bytes ip_packet(const ip_fields& ip, const bytes& payload) {
  const auto addresses = join({address_bytes(ip.source), address_bytes(ip.destination)});
  const auto behind = join({ip.options, payload});
  if (ip.source.family == ip_family::v6) {
    const std::uint8_t next = ip.options.empty() ? ip.protocol : ip.first_extension;
    return join({be(6u << 28 | std::uint32_t{ip.traffic_class} << 20, 4),
                 be(behind.size(), 2),
                 {next, ip.hops},
                 addresses,
                 behind});
  }
  const auto words = static_cast<std::uint8_t>(5 + ip.options.size() / 4);
  auto header = join({{static_cast<std::uint8_t>(0x40 | words), ip.traffic_class},
                      be(words * 4u + payload.size(), 2),
                      be(ip.id, 2),
                      be(ip.fragment, 2),
                      {ip.hops, ip.protocol},
                      {0, 0},
                      addresses,
                      ip.options});
  put(header, 10, slow_checksum(header));
  return join({header, payload});
}

bytes udp_packet(const ip_fields& given, std::uint16_t source_port, std::uint16_t destination_port,
                 const bytes& payload) {
  auto ip = given;
  ip.protocol = 17;
  auto udp = join({be(source_port, 2), be(destination_port, 2), be(8 + payload.size(), 2), {0, 0}, payload});
  const auto sum = transport_checksum(ip.source, ip.destination, 17, udp);
  put(udp, 6, sum == 0 ? 0xffff : sum);
  return ip_packet(ip, udp);
}

bytes tcp_packet(const ip_fields& given, std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags,
                 const bytes& options, const bytes& payload) {
  auto ip = given;
  ip.protocol = 6;
  auto padded = options;
  padded.resize((options.size() + 3) / 4 * 4);
  const auto words = static_cast<std::uint8_t>(5 + padded.size() / 4);
  auto tcp = join({be(source_port, 2),
                   be(destination_port, 2),
                   be(0x01020304, 4),
                   be(0, 4),
                   {static_cast<std::uint8_t>(words << 4), flags},
                   be(65535, 2),
                   {0, 0},
                   {0, 0},
                   padded,
                   payload});
  put(tcp, 16, transport_checksum(ip.source, ip.destination, 6, tcp));
  return ip_packet(ip, tcp);
}

bytes icmp_packet(const ip_fields& given, std::uint8_t type, std::uint8_t code, const bytes& rest) {
  auto ip = given;
  const bool v4 = ip.source.family == ip_family::v4;
  ip.protocol = v4 ? 1 : 58;
  auto icmp = join({{type, code, 0, 0}, rest});
  put(icmp, 2, v4 ? slow_checksum(icmp) : transport_checksum(ip.source, ip.destination, 58, icmp));
  return ip_packet(ip, icmp);
}

bool checksums_hold(const bytes& packet) {
  const bool v4 = packet.at(0) >> 4 == 4;
  const std::size_t header = v4 ? (packet[0] & 15u) * 4 : 40;
  const auto family = v4 ? ip_family::v4 : ip_family::v6;
  const auto source = ip_address::from_bytes(family, &packet.at(v4 ? 12 : 8));
  const auto destination = ip_address::from_bytes(family, &packet.at(v4 ? 16 : 24));
  const bytes transport(packet.begin() + static_cast<std::ptrdiff_t>(header), packet.end());
  if (v4 && slow_checksum({packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header)}) != 0) return false;
  if (v4 && (read_be(packet, 6, 2) & 0x3fff) != 0) return true;  // a fragment
  const std::uint8_t protocol = packet.at(v4 ? 9 : 6);
  if (protocol == 1) return slow_checksum(transport) == 0;
  if (protocol == 17 && v4 && read_be(transport, 6, 2) == 0) return true;
  if (protocol == 6 || protocol == 17 || protocol == 58)
    return transport_checksum(source, destination, protocol, transport) == 0;
  return true;
}

ip_fields between(std::string_view source, std::string_view destination, std::uint8_t protocol) {
  return {.source = address(source), .destination = address(destination), .protocol = protocol, .options = {}};
}

}  // namespace trunkgate::test
