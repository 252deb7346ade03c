#include "dataplane/packet/watch_filter.hpp"

#include <algorithm>

#include "dataplane/packet/headers.hpp"

namespace trunkgate {
namespace {

bool covers(const ip_range& range, const ip_address& address) noexcept {
  return range.any() || range.contains(address);
}

}  // namespace

std::optional<packet_addresses> addresses_of_ip(std::span<const std::uint8_t> packet) noexcept {
  if (packet.empty()) return std::nullopt;
  if (packet[0] >> 4 == 4 && packet.size() >= sizeof(ipv4_header)) {
    const auto* ip = reinterpret_cast<const ipv4_header*>(packet.data());
    return packet_addresses{.source = ip_address::from_bytes(ip_family::v4, ip->source.data()),
                            .destination = ip_address::from_bytes(ip_family::v4, ip->destination.data())};
  }
  if (packet[0] >> 4 == 6 && packet.size() >= sizeof(ipv6_header)) {
    const auto* ip = reinterpret_cast<const ipv6_header*>(packet.data());
    return packet_addresses{.source = ip_address::from_bytes(ip_family::v6, ip->source.data()),
                            .destination = ip_address::from_bytes(ip_family::v6, ip->destination.data())};
  }
  return std::nullopt;
}

std::optional<packet_addresses> addresses_of_frame(std::span<const std::uint8_t> frame) noexcept {
  std::size_t length = sizeof(ethernet_header);
  if (frame.size() < length) return std::nullopt;
  auto ethertype = reinterpret_cast<const ethernet_header*>(frame.data())->ethertype.host();
  if (ethertype == ethertype_vlan) {
    if (frame.size() < length + sizeof(vlan_header)) return std::nullopt;
    ethertype = reinterpret_cast<const vlan_header*>(frame.data() + length)->ethertype.host();
    length += sizeof(vlan_header);
  }
  if (ethertype != ethertype_ipv4 && ethertype != ethertype_ipv6) return std::nullopt;
  return addresses_of_ip(frame.subspan(length));
}

bool watch_filter::matches(const packet_addresses& packet) const noexcept {
  return std::any_of(pairs.begin(), pairs.begin() + count, [&packet](const pair& p) {
    return (covers(p.one, packet.source) && covers(p.other, packet.destination)) ||
           (covers(p.other, packet.source) && covers(p.one, packet.destination));
  });
}

}  // namespace trunkgate
