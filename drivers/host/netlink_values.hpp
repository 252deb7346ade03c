// The kernel's messages about links, addresses, neighbours and routes as values of ours.
#pragma once

#include <optional>

#include "drivers/host/mirror.hpp"
#include "drivers/host/netlink.hpp"

namespace trunkgate {

struct link_address {
  int link = 0;
  ip_prefix prefix;
  bool usable = true;  // false: duplicate address detection found another owner
  friend auto operator<=>(const link_address&, const link_address&) = default;
};

struct table_route {
  std::uint32_t table = 0;
  kernel_route route;
};

// Empty: a message of no interest (another family, a proxy entry, a cached route, a table other than main and local).
[[nodiscard]] std::optional<kernel_link> parse_link(nlmsghdr* message);
[[nodiscard]] std::optional<link_address> parse_link_address(nlmsghdr* message);
[[nodiscard]] std::optional<kernel_neighbour> parse_neighbour(nlmsghdr* message);
[[nodiscard]] std::optional<table_route> parse_route(nlmsghdr* message);

}  // namespace trunkgate
