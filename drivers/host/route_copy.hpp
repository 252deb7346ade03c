// Routes as the kernel gives them, re-created over another device with all that it said about them.
#pragma once

#include <set>
#include <vector>

#include "drivers/host/netlink.hpp"

namespace trunkgate {

// What makes a route another one for the kernel.
struct route_identity {
  ip_prefix destination;
  std::uint32_t table = 0;
  std::uint32_t metric = 0;
  std::uint8_t tos = 0;
  friend auto operator<=>(const route_identity&, const route_identity&) = default;
};

struct moving_route {
  route_identity identity;
  std::uint8_t protocol = 0;
  std::set<int> links;
  std::vector<std::uint8_t> message;
};

[[nodiscard]] std::vector<std::uint8_t> copy_of(const nlmsghdr* message);
[[nodiscard]] nlmsghdr* header_of(const std::vector<std::uint8_t>& message);

// Routes of all tables but local that lead over one of the links.
[[nodiscard]] result<std::vector<moving_route>> read_routes_over(netlink_socket& socket, const std::set<int>& links);

// 0 or an errno value. Both routes exist for a moment, or the kernel replaces one by the other; there is never none.
[[nodiscard]] int move_route(netlink_socket& socket, const moving_route& route, int from, int to);

}  // namespace trunkgate
