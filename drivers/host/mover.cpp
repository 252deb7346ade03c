#include "drivers/host/mover.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ranges>

#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include "drivers/host/netlink_values.hpp"
#include "drivers/host/route_copy.hpp"

namespace trunkgate {

namespace {

// What an administrator can set; the others are the kernel's findings.
constexpr std::uint32_t settable_flags =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

bool is_link_local(const ip_address& address) {
  return address.family == ip_family::v6 && address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

std::uint32_t flags_of(nlmsghdr* message) {
  const nlattr* wide = nlmsg_find_attr(message, sizeof(ifaddrmsg), IFA_FLAGS);
  const std::uint32_t flags =
      wide != nullptr ? nla_get_u32(wide) : static_cast<ifaddrmsg*>(nlmsg_data(message))->ifa_flags;
  return flags & settable_flags;
}

result<std::vector<raw_message>> read_addresses(netlink_socket& socket, int link) {
  std::vector<raw_message> addresses;
  const int reason = socket.dump(RTM_GETADDR, AF_UNSPEC, [&](nlmsghdr* message) {
    const auto address = parse_link_address(message);
    if (address && address->link == link) addresses.push_back(copy_of(message));
  });
  if (reason != 0) return netlink_failure("read the addresses", reason);
  return addresses;
}

ip_prefix prefix_of(const raw_message& address) {
  const auto parsed = parse_link_address(header_of(address));
  return parsed ? parsed->prefix : ip_prefix{};
}

// "eth0" and "eth0:1" begin with the device's name.
std::string moved_label(const std::string& label, const host_device& from, const host_device& to) {
  if (!label.starts_with(from.name)) return label;
  const std::string moved = to.name + label.substr(from.name.size());
  return moved.size() < IFNAMSIZ ? moved : to.name;
}

// A route that the kernel makes with an address needs no copy where the address has already made it.
bool comes_with_address(const moving_route& route, const std::set<route_identity>& there,
                        const std::set<ip_prefix>& keep) {
  if (route.protocol != RTPROT_KERNEL) return false;
  const auto& destination = route.identity.destination;
  if (is_link_local(destination.address) || destination.address.is_multicast() || there.contains(route.identity))
    return true;
  return std::ranges::any_of(keep, [&](const ip_prefix& kept) { return kept.masked() == destination; });
}

result<void> move_routes(netlink_socket& socket, const host_device& from, const host_device& to,
                         const std::set<ip_prefix>& keep) {
  auto all = read_routes_over(socket, {from.index, to.index});
  if (!all) return std::unexpected(all.error());
  std::set<route_identity> there;
  for (const auto& route : *all)
    if (route.links.contains(to.index) && !route.links.contains(from.index)) there.insert(route.identity);
  std::vector<moving_route> waiting;
  for (auto& route : *all) {
    if (!route.links.contains(from.index) || route.protocol == configured_route_protocol) continue;
    if (!comes_with_address(route, there, keep)) waiting.push_back(std::move(route));
  }
  // A gateway may be reached by another of these routes, so those that are refused wait for the others.
  result<void> refusal;
  for (bool progress = true; progress && !waiting.empty();) {
    progress = false;
    std::vector<moving_route> refused;
    for (auto& route : waiting) {
      const int reason = move_route(socket, route, from.index, to.index);
      if (reason == 0) {
        progress = true;
        continue;
      }
      if (refused.empty())
        refusal = netlink_failure(
            "move route " + to_string(route.identity.destination) + " from " + from.name + " to " + to.name, reason);
      refused.push_back(std::move(route));
    }
    waiting = std::move(refused);
  }
  if (waiting.empty()) return {};
  return refusal;
}

}  // namespace

result<void> set_address(netlink_socket& socket, const raw_message& address, const host_device& from,
                         const host_device& to, std::uint32_t flags) {
  nlmsghdr* original = header_of(address);
  ifaddrmsg header = *static_cast<const ifaddrmsg*>(nlmsg_data(original));
  header.ifa_index = static_cast<unsigned>(to.index);
  header.ifa_flags = static_cast<std::uint8_t>(flags);
  auto message = make_netlink_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, header);
  if (message == nullptr) return failure("netlink message: out of memory");
  nlattr* part = nullptr;
  int remaining = 0;
  nlmsg_for_each_attr(part, original, sizeof(ifaddrmsg), remaining) {
    switch (nla_type(part)) {
      case IFA_FLAGS: break;
      case IFA_LABEL:
        (void)nla_put_string(message.get(), IFA_LABEL, moved_label(nla_get_string(part), from, to).c_str());
        break;
      default: (void)nla_put(message.get(), nla_type(part), nla_len(part), nla_data(part));
    }
  }
  (void)nla_put_u32(message.get(), IFA_FLAGS, flags);
  const int reason = socket.request(message);
  if (reason == 0 || reason == EEXIST) return {};
  return netlink_failure("set address " + to_string(prefix_of(address)) + " on " + to.name, reason);
}

result<void> remove_address(netlink_socket& socket, const raw_message& address) {
  nlmsghdr* original = header_of(address);
  auto message = make_netlink_message(RTM_DELADDR, 0, *static_cast<const ifaddrmsg*>(nlmsg_data(original)));
  if (message == nullptr) return failure("netlink message: out of memory");
  for (const int type : {IFA_LOCAL, IFA_ADDRESS})
    if (nlattr* part = nlmsg_find_attr(original, sizeof(ifaddrmsg), type); part != nullptr)
      (void)nla_put(message.get(), type, nla_len(part), nla_data(part));
  const int reason = socket.request(message);
  if (reason == 0 || reason == EADDRNOTAVAIL || reason == ENODEV) return {};
  return netlink_failure("remove address " + to_string(prefix_of(address)), reason);
}

result<std::vector<raw_message>> read_link_local(netlink_socket& socket, int link) {
  auto addresses = read_addresses(socket, link);
  if (addresses)
    std::erase_if(*addresses, [](const raw_message& address) { return !is_link_local(prefix_of(address).address); });
  return addresses;
}

// 1. The addresses are set on the new device while the old one still has them: gateways and preferred sources stay
// valid.
// 2. Each route gets its copy over the new device, then the old one goes.
// 3. The addresses leave the old device, the last first, so that no primary takes its secondaries with it.
result<void> move_addresses_and_routes(netlink_socket& socket, const host_device& from, const host_device& to,
                                       const move_options& options, address_flags& moved) {
  auto addresses = read_addresses(socket, from.index);
  if (!addresses) return std::unexpected(addresses.error());
  std::erase_if(*addresses, [&](const raw_message& address) {
    const ip_prefix prefix = prefix_of(address);
    return is_link_local(prefix.address) || options.keep.contains(prefix);
  });
  result<void> outcome;
  const auto note = [&outcome](result<void> step) {
    if (!step && outcome) outcome = std::move(step);
  };
  for (const auto& address : *addresses) {
    const ip_prefix prefix = prefix_of(address);
    const std::uint32_t had = flags_of(header_of(address));
    std::uint32_t flags = options.skip_duplicate_detection && prefix.address.family == ip_family::v6
                              ? had | IFA_F_NODAD
                              : had & ~std::uint32_t{IFA_F_NODAD};
    if (const auto wanted = options.flags.find(prefix); wanted != options.flags.end()) flags = wanted->second;
    note(set_address(socket, address, from, to, flags));
    moved.insert_or_assign(prefix, had);
  }
  note(move_routes(socket, from, to, options.keep));
  for (const auto& address : *addresses | std::views::reverse) note(remove_address(socket, address));
  return outcome;
}

}  // namespace trunkgate
