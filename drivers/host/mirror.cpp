#include "drivers/host/mirror.hpp"

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <map>
#include <set>

#include <linux/if.h>
#include <linux/rtnetlink.h>

#include "drivers/host/mirror_requests.hpp"
#include "drivers/host/route_table.hpp"

namespace trunkgate {

namespace {

constexpr int event_buffer = 16 << 20;  // for some ten thousand route changes between two calls of dispatch()

class netlink_mirror final : public kernel_mirror {
 public:
  netlink_mirror(mirror_events events, netlink_socket changes, netlink_socket requests)
      : events_(std::move(events)),
        changes_(std::move(changes)),
        requests_(std::move(requests)),
        receive_(65536),
        routes_([this](const kernel_route& route, bool present) {
          if (events_.route) events_.route(route, present);
        }) {}

  int descriptor() const override { return changes_.descriptor(); }
  result<void> dispatch() override;
  void resolve(int link, const ip_address& address) override { request_neighbour(requests_, link, address); }
  result<void> add_address(int link, const ip_prefix& address) override {
    return request_address(requests_, true, link, address);
  }
  result<void> remove_address(int link, const ip_prefix& address) override {
    return request_address(requests_, false, link, address);
  }
  result<void> add_route(const ip_prefix& destination, const ip_address& via, int link) override {
    return request_route(requests_, true, destination, via, link);
  }
  result<void> remove_route(const ip_prefix& destination, const ip_address& via, int link) override {
    return request_route(requests_, false, destination, via, link);
  }

 private:
  struct link_record {
    kernel_link link;
    unsigned flags = 0;
  };
  using neighbour_key = std::pair<int, ip_address>;

  [[nodiscard]] result<void> read_again();
  [[nodiscard]] result<void> read_routes(std::uint8_t family);
  void handle(nlmsghdr* message);
  void handle_link(nlmsghdr* message);
  void handle_address(nlmsghdr* message);
  void handle_neighbour(nlmsghdr* message);
  void handle_route(nlmsghdr* message);
  void set_link(const kernel_link& link, unsigned flags);
  void forget_link(int index);
  void forget_address(const link_address& address);
  void set_neighbour(const kernel_neighbour& neighbour);
  void forget_neighbour(const neighbour_key& key);

  mirror_events events_;
  netlink_socket changes_;
  netlink_socket requests_;
  std::vector<std::uint8_t> receive_;
  std::map<int, link_record> links_;
  std::set<std::pair<int, ip_prefix>> addresses_;
  std::map<neighbour_key, kernel_neighbour> neighbours_;
  route_table routes_;
  bool all_unknown_ = true;         // nothing read yet, or changes were lost
  bool v4_routes_unknown_ = false;  // the kernel removes IPv4 routes without a word when a link or an address goes
  bool v6_routes_unknown_ = false;
};

result<void> netlink_mirror::dispatch() {
  constexpr int most_blocks = 20000;  // the descriptor stays readable for what is left
  bool drained = false;
  for (int blocks = 0; blocks < most_blocks; ++blocks) {
    const ssize_t size = ::recv(descriptor(), receive_.data(), receive_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      all_unknown_ = true;
      continue;
    }
    drained = size < 0 && errno == EAGAIN;
    if (drained) break;
    if (size < 0) return system_failure("read the kernel's changes");
    // What will be read whole anyway needs no step by step.
    if (all_unknown_) continue;
    for_each_message(receive_.data(), static_cast<std::size_t>(size), [this](nlmsghdr* message) { handle(message); });
  }
  // Until the socket has been empty once, the kernel drops further changes without reporting another overrun.
  if (all_unknown_) return drained ? read_again() : result<void>{};
  if (v4_routes_unknown_)
    if (auto done = read_routes(AF_INET); !done) return done;
  if (v6_routes_unknown_)
    if (auto done = read_routes(AF_INET6); !done) return done;
  return {};
}

// Reads everything and tells the differences to what was told before.
result<void> netlink_mirror::read_again() {
  auto old_links = links_;
  int reason = requests_.dump(RTM_GETLINK, AF_UNSPEC, [&](nlmsghdr* message) {
    if (const auto link = parse_link(message)) old_links.erase(link->index);
    handle_link(message);
  });
  if (reason != 0) return netlink_failure("read the kernel's links", reason);
  for (const auto& [index, gone] : old_links) forget_link(index);

  auto old_addresses = addresses_;
  reason = requests_.dump(RTM_GETADDR, AF_UNSPEC, [&](nlmsghdr* message) {
    if (const auto address = parse_link_address(message)) old_addresses.erase({address->link, address->prefix});
    handle_address(message);
  });
  if (reason != 0) return netlink_failure("read the kernel's addresses", reason);
  for (const auto& [link, prefix] : old_addresses) forget_address({link, prefix});

  auto old_neighbours = neighbours_;
  for (const std::uint8_t family : {AF_INET, AF_INET6}) {
    reason = requests_.dump(RTM_GETNEIGH, family, [&](nlmsghdr* message) {
      if (const auto neighbour = parse_neighbour(message)) old_neighbours.erase({neighbour->link, neighbour->address});
      handle_neighbour(message);
    });
    if (reason != 0) return netlink_failure("read the kernel's neighbours", reason);
  }
  for (const auto& [key, gone] : old_neighbours) forget_neighbour(key);

  if (auto done = read_routes(AF_INET); !done) return done;
  if (auto done = read_routes(AF_INET6); !done) return done;
  all_unknown_ = false;
  return {};
}

result<void> netlink_mirror::read_routes(std::uint8_t family) {
  std::vector<table_route> routes;
  const int reason = requests_.dump(RTM_GETROUTE, family, [&](nlmsghdr* message) {
    if (auto route = parse_route(message)) routes.push_back(std::move(*route));
  });
  if (reason != 0) return netlink_failure("read the kernel's routes", reason);
  (family == AF_INET ? v4_routes_unknown_ : v6_routes_unknown_) = false;
  routes_.set_all(family == AF_INET ? ip_family::v4 : ip_family::v6, std::move(routes));
  return {};
}

void netlink_mirror::handle(nlmsghdr* message) {
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK: return handle_link(message);
    case RTM_NEWADDR:
    case RTM_DELADDR: return handle_address(message);
    case RTM_NEWNEIGH:
    case RTM_DELNEIGH: return handle_neighbour(message);
    case RTM_NEWROUTE:
    case RTM_DELROUTE: return handle_route(message);
    default: return;
  }
}

void netlink_mirror::handle_link(nlmsghdr* message) {
  const auto link = parse_link(message);
  if (!link) return;
  if (message->nlmsg_type == RTM_DELLINK)
    forget_link(link->index);
  else
    set_link(*link, static_cast<const ifinfomsg*>(nlmsg_data(message))->ifi_flags & (IFF_UP | IFF_LOWER_UP));
}

void netlink_mirror::set_link(const kernel_link& link, unsigned flags) {
  const auto known = links_.find(link.index);
  if (known != links_.end()) {
    if (known->second.flags != flags) v4_routes_unknown_ = true;
    known->second.flags = flags;
    const kernel_link& old = known->second.link;
    if (old.name == link.name && old.mac == link.mac && old.mtu == link.mtu && old.up == link.up) return;
  }
  links_[link.index] = {link, flags};
  if (events_.link) events_.link(link, true);
}

void netlink_mirror::forget_link(int index) {
  v4_routes_unknown_ = true;
  const auto known = links_.find(index);
  if (known == links_.end()) return;
  const kernel_link gone = known->second.link;
  links_.erase(known);
  if (events_.link) events_.link(gone, false);
}

void netlink_mirror::handle_address(nlmsghdr* message) {
  const auto address = parse_link_address(message);
  if (!address) return;
  if (message->nlmsg_type == RTM_DELADDR || !address->usable) return forget_address(*address);
  if (!addresses_.emplace(address->link, address->prefix).second) return;
  if (events_.address) events_.address(address->link, address->prefix, true);
}

void netlink_mirror::forget_address(const link_address& address) {
  v4_routes_unknown_ |= address.prefix.address.family == ip_family::v4;
  if (addresses_.erase({address.link, address.prefix}) == 0) return;
  if (events_.address) events_.address(address.link, address.prefix, false);
}

void netlink_mirror::handle_neighbour(nlmsghdr* message) {
  const auto neighbour = parse_neighbour(message);
  if (!neighbour) return;
  if (message->nlmsg_type == RTM_DELNEIGH)
    forget_neighbour({neighbour->link, neighbour->address});
  else
    set_neighbour(*neighbour);
}

void netlink_mirror::set_neighbour(const kernel_neighbour& neighbour) {
  const auto [known, is_new] = neighbours_.try_emplace({neighbour.link, neighbour.address}, neighbour);
  const kernel_neighbour& old = known->second;
  if (!is_new && old.mac == neighbour.mac && old.usable == neighbour.usable && old.stale == neighbour.stale) return;
  known->second = neighbour;
  if (events_.neighbour) events_.neighbour(neighbour, true);
}

void netlink_mirror::forget_neighbour(const neighbour_key& key) {
  const auto known = neighbours_.find(key);
  if (known == neighbours_.end()) return;
  const kernel_neighbour gone = known->second;
  neighbours_.erase(known);
  if (events_.neighbour) events_.neighbour(gone, false);
}

void netlink_mirror::handle_route(nlmsghdr* message) {
  auto route = parse_route(message);
  if (!route) return;
  if (message->nlmsg_type == RTM_DELROUTE) return routes_.removed(*route);
  const bool replaces = (message->nlmsg_flags & NLM_F_REPLACE) != 0;
  const bool is_v4 = route->route.destination.address.family == ip_family::v4;
  if (!routes_.added(std::move(*route), replaces ? route_table::how::replace : route_table::how::add))
    (is_v4 ? v4_routes_unknown_ : v6_routes_unknown_) = true;
}

}  // namespace

result<std::unique_ptr<kernel_mirror>> kernel_mirror::open(mirror_events events) {
  auto changes = netlink_socket::open();
  if (!changes) return std::unexpected(changes.error());
  auto requests = netlink_socket::open();
  if (!requests) return std::unexpected(requests.error());
  // Without the privilege for a large buffer a small one serves too: lost changes are found by reading again.
  const int size = event_buffer;
  if (::setsockopt(changes->descriptor(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
    (void)::setsockopt(changes->descriptor(), SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
  for (const int group :
       {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE})
    if (const int code = nl_socket_add_membership(changes->get(), group); code < 0)
      return failure(std::string("subscribe to the kernel's changes: ") + nl_geterror(code));
  return std::make_unique<netlink_mirror>(std::move(events), std::move(*changes), std::move(*requests));
}

}  // namespace trunkgate
