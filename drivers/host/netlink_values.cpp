#include "drivers/host/netlink_values.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace trunkgate {

namespace {

ip_family family_of(int family) {
  return family == AF_INET ? ip_family::v4 : family == AF_INET6 ? ip_family::v6 : ip_family::none;
}

// The attribute as an address of the family; family none when it is absent or too short.
ip_address address_from(const nlattr* attribute, ip_family family) {
  const int size = family == ip_family::v4 ? 4 : 16;
  if (attribute == nullptr || family == ip_family::none || nla_len(attribute) < size) return {};
  return ip_address::from_bytes(family, nla_data(attribute));
}

// RTA_VIA: a gateway of a family other than the route's (RFC 5549).
ip_address via_from(nlattr* attribute) {
  if (attribute == nullptr || nla_len(attribute) < static_cast<int>(sizeof(rtvia))) return {};
  const auto* via = static_cast<const rtvia*>(nla_data(attribute));
  const ip_family family = family_of(via->rtvia_family);
  const int size = family == ip_family::v4 ? 4 : 16;
  if (family == ip_family::none || nla_len(attribute) < static_cast<int>(sizeof(rtvia)) + size) return {};
  return ip_address::from_bytes(family, via->rtvia_addr);
}

ip_address gateway_from(nlattr* gateway, nlattr* via, ip_family family) {
  return gateway != nullptr ? address_from(gateway, family) : via_from(via);
}

// The hops of RTA_MULTIPATH that may carry packets.
std::vector<kernel_next_hop> multipath_hops(nlattr* attribute, ip_family family) {
  std::vector<kernel_next_hop> hops;
  auto* hop = static_cast<rtnexthop*>(nla_data(attribute));
  int remaining = nla_len(attribute);
  while (remaining >= static_cast<int>(sizeof(rtnexthop)) && hop->rtnh_len >= sizeof(rtnexthop) &&
         hop->rtnh_len <= remaining) {
    nlattr* parts[RTA_MAX + 1];
    const bool parsed = nla_parse(parts, RTA_MAX, reinterpret_cast<nlattr*>(RTNH_DATA(hop)),
                                  hop->rtnh_len - static_cast<int>(sizeof(*hop)), nullptr) == 0;
    if (parsed && (hop->rtnh_flags & RTNH_F_DEAD) == 0)
      hops.push_back({hop->rtnh_ifindex, gateway_from(parts[RTA_GATEWAY], parts[RTA_VIA], family)});
    const int step = static_cast<int>(NLMSG_ALIGN(hop->rtnh_len));
    remaining -= step;
    hop = reinterpret_cast<rtnexthop*>(reinterpret_cast<char*>(hop) + step);
  }
  return hops;
}

std::optional<kernel_route_kind> kind_of(unsigned type) {
  switch (type) {
    case RTN_UNICAST: return kernel_route_kind::forward;
    case RTN_LOCAL:
    case RTN_ANYCAST: return kernel_route_kind::local;
    case RTN_BROADCAST: return kernel_route_kind::broadcast;
    case RTN_MULTICAST: return kernel_route_kind::multicast;
    case RTN_BLACKHOLE:
    case RTN_UNREACHABLE:
    case RTN_PROHIBIT: return kernel_route_kind::unreachable;
    default: return std::nullopt;
  }
}

}  // namespace

std::optional<kernel_link> parse_link(nlmsghdr* message) {
  nlattr* parts[IFLA_MAX + 1];
  if (nlmsg_parse(message, sizeof(ifinfomsg), parts, IFLA_MAX, nullptr) != 0) return std::nullopt;
  const auto* header = static_cast<const ifinfomsg*>(nlmsg_data(message));
  if (header->ifi_family != AF_UNSPEC) return std::nullopt;  // a bridge tells of its ports under a family of its own
  kernel_link link;
  link.index = header->ifi_index;
  if (parts[IFLA_IFNAME] != nullptr) link.name = nla_get_string(parts[IFLA_IFNAME]);
  if (nlattr* mac = parts[IFLA_ADDRESS]; mac != nullptr && nla_len(mac) == 6)
    std::memcpy(link.mac.data(), nla_data(mac), link.mac.size());
  if (parts[IFLA_MTU] != nullptr) link.mtu = nla_get_u32(parts[IFLA_MTU]);
  link.up = (header->ifi_flags & IFF_UP) != 0 && (header->ifi_flags & IFF_LOWER_UP) != 0;
  return link;
}

std::optional<link_address> parse_link_address(nlmsghdr* message) {
  nlattr* parts[IFA_MAX + 1];
  if (nlmsg_parse(message, sizeof(ifaddrmsg), parts, IFA_MAX, nullptr) != 0) return std::nullopt;
  const auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
  // On a point-to-point link IFA_ADDRESS is the peer's, IFA_LOCAL ours.
  nlattr* own = parts[IFA_LOCAL] != nullptr ? parts[IFA_LOCAL] : parts[IFA_ADDRESS];
  link_address address;
  address.link = static_cast<int>(header->ifa_index);
  address.prefix = {address_from(own, family_of(header->ifa_family)), header->ifa_prefixlen};
  if (address.prefix.address.family == ip_family::none) return std::nullopt;
  const std::uint32_t flags = parts[IFA_FLAGS] != nullptr ? nla_get_u32(parts[IFA_FLAGS]) : header->ifa_flags;
  address.usable = (flags & IFA_F_DADFAILED) == 0;
  return address;
}

std::optional<kernel_neighbour> parse_neighbour(nlmsghdr* message) {
  nlattr* parts[NDA_MAX + 1];
  if (nlmsg_parse(message, sizeof(ndmsg), parts, NDA_MAX, nullptr) != 0) return std::nullopt;
  const auto* header = static_cast<const ndmsg*>(nlmsg_data(message));
  if ((header->ndm_flags & NTF_PROXY) != 0 || (header->ndm_state & NUD_NOARP) != 0) return std::nullopt;
  kernel_neighbour neighbour;
  neighbour.link = header->ndm_ifindex;
  neighbour.address = address_from(parts[NDA_DST], family_of(header->ndm_family));
  if (neighbour.address.family == ip_family::none) return std::nullopt;
  neighbour.failed = (header->ndm_state & NUD_FAILED) != 0;
  constexpr unsigned with_mac = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
  if (nlattr* mac = parts[NDA_LLADDR]; mac != nullptr && nla_len(mac) == 6 && (header->ndm_state & with_mac) != 0) {
    std::memcpy(neighbour.mac.data(), nla_data(mac), neighbour.mac.size());
    neighbour.usable = true;
    neighbour.stale = (header->ndm_state & NUD_STALE) != 0;  // in DELAY and PROBE the kernel is at it already
  }
  return neighbour;
}

std::optional<table_route> parse_route(nlmsghdr* message) {
  nlattr* parts[RTA_MAX + 1];
  if (nlmsg_parse(message, sizeof(rtmsg), parts, RTA_MAX, nullptr) != 0) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(message));
  const ip_family family = family_of(header->rtm_family);
  const auto kind = kind_of(header->rtm_type);
  // Routes for one DSCP only are not for all packets; cached ones (RTM_F_CLONED) are exceptions of the kernel's own.
  if (family == ip_family::none || !kind || header->rtm_tos != 0 || (header->rtm_flags & RTM_F_CLONED) != 0)
    return std::nullopt;
  table_route parsed;
  parsed.table = parts[RTA_TABLE] != nullptr ? nla_get_u32(parts[RTA_TABLE]) : header->rtm_table;
  if (parsed.table != RT_TABLE_MAIN && parsed.table != RT_TABLE_LOCAL) return std::nullopt;
  kernel_route& route = parsed.route;
  route.kind = *kind;
  route.destination.length = header->rtm_dst_len;
  route.destination.address = address_from(parts[RTA_DST], family);
  route.destination.address.family = family;  // no RTA_DST: the default route
  if (parts[RTA_PRIORITY] != nullptr) route.metric = nla_get_u32(parts[RTA_PRIORITY]);
  if (route.kind == kernel_route_kind::unreachable) return parsed;
  if (parts[RTA_MULTIPATH] != nullptr) {
    route.next_hops = multipath_hops(parts[RTA_MULTIPATH], family);
  } else if (parts[RTA_OIF] != nullptr && (header->rtm_flags & RTNH_F_DEAD) == 0) {
    route.next_hops.push_back(
        {static_cast<int>(nla_get_u32(parts[RTA_OIF])), gateway_from(parts[RTA_GATEWAY], parts[RTA_VIA], family)});
  }
  return parsed;
}

}  // namespace trunkgate
