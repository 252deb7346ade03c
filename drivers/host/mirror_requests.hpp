// What the mirror asks of the kernel: to resolve a neighbour, to have or not have an address or a route.
#pragma once

#include "drivers/host/netlink.hpp"

namespace trunkgate {

void request_neighbour(netlink_socket& socket, int link, const ip_address& address);
[[nodiscard]] result<void> request_address(netlink_socket& socket, bool present, int link, const ip_prefix& address);
[[nodiscard]] result<void> request_route(netlink_socket& socket, bool present, const ip_prefix& destination,
                                         const ip_address& via, int link);

}  // namespace trunkgate
