#include "drivers/host/route_copy.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include <linux/rtnetlink.h>

namespace trunkgate {

namespace {

// Calls `each` for every hop in the value of RTA_MULTIPATH.
template <class Each>
void for_each_hop(void* value, int size, Each each) {
  auto* at = static_cast<char*>(value);
  while (size >= static_cast<int>(sizeof(rtnexthop))) {
    auto* hop = reinterpret_cast<rtnexthop*>(at);
    if (hop->rtnh_len < sizeof(rtnexthop) || hop->rtnh_len > size) return;
    each(*hop);
    const int step = static_cast<int>(NLMSG_ALIGN(hop->rtnh_len));
    at += step;
    size -= step;
  }
}

std::optional<moving_route> parse_moving_route(nlmsghdr* message) {
  nlattr* parts[RTA_MAX + 1];
  if (nlmsg_parse(message, sizeof(rtmsg), parts, RTA_MAX, nullptr) != 0) return std::nullopt;
  const auto* header = static_cast<const rtmsg*>(nlmsg_data(message));
  if ((header->rtm_flags & RTM_F_CLONED) != 0) return std::nullopt;
  if (header->rtm_family != AF_INET && header->rtm_family != AF_INET6) return std::nullopt;
  moving_route route;
  route.protocol = header->rtm_protocol;
  route.identity.table = parts[RTA_TABLE] != nullptr ? nla_get_u32(parts[RTA_TABLE]) : header->rtm_table;
  if (route.identity.table == RT_TABLE_LOCAL) return std::nullopt;
  route.identity.tos = header->rtm_tos;
  if (parts[RTA_PRIORITY] != nullptr) route.identity.metric = nla_get_u32(parts[RTA_PRIORITY]);
  const ip_family family = header->rtm_family == AF_INET ? ip_family::v4 : ip_family::v6;
  auto& destination = route.identity.destination;
  destination.length = header->rtm_dst_len;
  destination.address.family = family;
  if (nlattr* part = parts[RTA_DST]; part != nullptr && nla_len(part) >= static_cast<int>(destination.address.size()))
    destination.address = ip_address::from_bytes(family, nla_data(part));
  if (parts[RTA_OIF] != nullptr) route.links.insert(static_cast<int>(nla_get_u32(parts[RTA_OIF])));
  if (nlattr* hops = parts[RTA_MULTIPATH]; hops != nullptr)
    for_each_hop(nla_data(hops), nla_len(hops), [&](const rtnexthop& hop) { route.links.insert(hop.rtnh_ifindex); });
  return route;
}

void put_hops(nl_msg* message, nlattr* hops, int from, int to) {
  std::vector<std::uint8_t> value(static_cast<std::size_t>(nla_len(hops)));
  std::memcpy(value.data(), nla_data(hops), value.size());
  for_each_hop(value.data(), static_cast<int>(value.size()), [&](rtnexthop& hop) {
    hop.rtnh_flags &= RTNH_F_ONLINK;  // the others tell the hop's state
    if (hop.rtnh_ifindex == from) hop.rtnh_ifindex = to;
  });
  (void)nla_put(message, RTA_MULTIPATH, static_cast<int>(value.size()), value.data());
}

// The route as a request, its hops over `from` now over `to`.
netlink_message request_from(const moving_route& route, int type, int flags, int from, int to) {
  nlmsghdr* original = header_of(route.message);
  rtmsg header = *static_cast<const rtmsg*>(nlmsg_data(original));
  header.rtm_flags &= RTNH_F_ONLINK;
  auto message = make_netlink_message(type, flags, header);
  if (message == nullptr) return message;
  nlattr* part = nullptr;
  int remaining = 0;
  nlmsg_for_each_attr(part, original, sizeof(rtmsg), remaining) {
    switch (nla_type(part)) {
      case RTA_OIF: {
        const int link = static_cast<int>(nla_get_u32(part));
        (void)nla_put_u32(message.get(), RTA_OIF, static_cast<std::uint32_t>(link == from ? to : link));
        break;
      }
      case RTA_MULTIPATH: put_hops(message.get(), part, from, to); break;
      case RTA_CACHEINFO: {  // a route from a router advertisement has a lifetime: in clock ticks of 1/100 s here
        const auto* info = static_cast<const rta_cacheinfo*>(nla_data(part));
        if (header.rtm_family == AF_INET6 && nla_len(part) >= static_cast<int>(sizeof(*info)) && info->rta_expires > 0)
          (void)nla_put_u32(message.get(), RTA_EXPIRES, static_cast<std::uint32_t>(info->rta_expires) / 100);
        break;
      }
      case RTA_NH_ID: break;  // the hops themselves are told as well
      default: (void)nla_put(message.get(), nla_type(part), nla_len(part), nla_data(part));
    }
  }
  return message;
}

}  // namespace

std::vector<std::uint8_t> copy_of(const nlmsghdr* message) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(message);
  return {bytes, bytes + message->nlmsg_len};
}

nlmsghdr* header_of(const std::vector<std::uint8_t>& message) {
  // libnl reads through pointers to non-const.
  return reinterpret_cast<nlmsghdr*>(const_cast<std::uint8_t*>(message.data()));
}

result<std::vector<moving_route>> read_routes_over(netlink_socket& socket, const std::set<int>& links) {
  std::vector<moving_route> routes;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    const int reason = socket.dump(RTM_GETROUTE, family, [&](nlmsghdr* message) {
      auto route = parse_moving_route(message);
      if (!route || std::ranges::none_of(route->links, [&](int link) { return links.contains(link); })) return;
      route->message = copy_of(message);
      routes.push_back(std::move(*route));
    });
    if (reason != 0) return netlink_failure("read the routes", reason);
  }
  return routes;
}

int move_route(netlink_socket& socket, const moving_route& route, int from, int to) {
  // With several hops, some may stay where they are: the whole is replaced. With one, the copy is set beside the route
  // and then the route removed, as replacing would hit another one of the same destination and metric.
  const bool several = nlmsg_find_attr(header_of(route.message), sizeof(rtmsg), RTA_MULTIPATH) != nullptr;
  const int how = several ? NLM_F_REPLACE : NLM_F_APPEND;
  const int reason = socket.request(request_from(route, RTM_NEWROUTE, NLM_F_CREATE | how, from, to));
  if (reason != 0 && reason != EEXIST) return reason;
  if (several) return 0;
  const int removal = socket.request(request_from(route, RTM_DELROUTE, 0, 0, 0));
  return removal == ESRCH ? 0 : removal;
}

}  // namespace trunkgate
