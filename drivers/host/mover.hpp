// Moves a device's addresses and the routes over it to another device, by netlink, with no moment without a route.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "drivers/host/netlink.hpp"

namespace trunkgate {

struct host_device {
  int index = 0;
  std::string name;
};

using raw_message = std::vector<std::uint8_t>;  // one netlink message as the kernel gave it

// Flags with which an address is to be set (IFA_F_*), by address.
using address_flags = std::map<ip_prefix, std::uint32_t>;

struct move_options {
  std::set<ip_prefix> keep;               // addresses that stay, with their connected routes
  bool skip_duplicate_detection = false;  // the addresses stay on the same link: detected already (RFC 4862 5.4)
  address_flags flags;                    // for these addresses instead
};

// Everything but IPv6 link-local addresses and routes of protocol configured_route_protocol. Goes on after a failure
// and returns the first one. `moved` gets the addresses and the flags they had.
[[nodiscard]] result<void> move_addresses_and_routes(netlink_socket& socket, const host_device& from,
                                                     const host_device& to, const move_options& options,
                                                     address_flags& moved);

// The device's IPv6 link-local addresses; to set them on a device, and to remove them from one.
[[nodiscard]] result<std::vector<raw_message>> read_link_local(netlink_socket& socket, int link);
[[nodiscard]] result<void> set_address(netlink_socket& socket, const raw_message& address, const host_device& from,
                                       const host_device& to, std::uint32_t flags);
[[nodiscard]] result<void> remove_address(netlink_socket& socket, const raw_message& address);

}  // namespace trunkgate
