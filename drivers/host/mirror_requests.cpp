#include "drivers/host/mirror_requests.hpp"

#include <sys/socket.h>

#include <cerrno>

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace trunkgate {

namespace {

std::uint8_t kernel_family(const ip_address& address) { return address.family == ip_family::v4 ? AF_INET : AF_INET6; }

std::string on_link(int link) { return link == 0 ? "" : " on link " + std::to_string(link); }

}  // namespace

void request_neighbour(netlink_socket& socket, int link, const ip_address& address) {
  ndmsg header{};
  header.ndm_family = kernel_family(address);
  header.ndm_ifindex = link;
  header.ndm_flags = NTF_USE;
  auto message = make_netlink_message(RTM_NEWNEIGH, NLM_F_CREATE, header);
  if (message == nullptr) return;
  put_address(message.get(), NDA_DST, address);
  (void)socket.request(message);  // a link that went away meanwhile is told by an event of its own
}

result<void> request_address(netlink_socket& socket, bool present, int link, const ip_prefix& address) {
  ifaddrmsg header{};
  header.ifa_family = kernel_family(address.address);
  header.ifa_prefixlen = address.length;
  header.ifa_index = static_cast<unsigned>(link);
  auto message =
      make_netlink_message(present ? RTM_NEWADDR : RTM_DELADDR, present ? NLM_F_CREATE | NLM_F_EXCL : 0, header);
  if (message == nullptr) return failure("netlink message: out of memory");
  put_address(message.get(), IFA_LOCAL, address.address);
  put_address(message.get(), IFA_ADDRESS, address.address);
  const int reason = socket.request(message);
  const bool already = present ? reason == EEXIST : reason == EADDRNOTAVAIL || reason == ENODEV;
  if (reason == 0 || already) return {};
  return netlink_failure((present ? "add address " : "remove address ") + to_string(address) + on_link(link), reason);
}

result<void> request_route(netlink_socket& socket, bool present, const ip_prefix& destination, const ip_address& via,
                           int link) {
  const bool has_gateway = via.family != ip_family::none;
  if (!has_gateway && link == 0) return failure("route " + to_string(destination) + ": neither a gateway nor a link");
  rtmsg header{};
  header.rtm_family = kernel_family(destination.address);
  header.rtm_dst_len = destination.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = configured_route_protocol;
  header.rtm_type = RTN_UNICAST;
  if (!has_gateway) header.rtm_scope = RT_SCOPE_LINK;
  auto message =
      make_netlink_message(present ? RTM_NEWROUTE : RTM_DELROUTE, present ? NLM_F_CREATE | NLM_F_REPLACE : 0, header);
  if (message == nullptr) return failure("netlink message: out of memory");
  put_address(message.get(), RTA_DST, destination.masked().address);
  if (has_gateway) put_address(message.get(), RTA_GATEWAY, via);
  if (link != 0) (void)nla_put_u32(message.get(), RTA_OIF, static_cast<std::uint32_t>(link));
  const int reason = socket.request(message);
  // An identical route may be reported as there already.
  const bool already = present ? reason == EEXIST : reason == ESRCH || reason == ENODEV;
  if (reason == 0 || already) return {};
  const std::string by = has_gateway ? " via " + to_string(via) : "";
  return netlink_failure((present ? "add route " : "remove route ") + to_string(destination) + by + on_link(link),
                         reason);
}

}  // namespace trunkgate
