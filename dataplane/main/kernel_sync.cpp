#include "dataplane/main/kernel_sync.hpp"

#include <cstring>

#include "dataplane/main/log.hpp"

namespace trunkgate {
namespace {

route_verdict verdict_of(kernel_route_kind kind) {
  switch (kind) {
    case kernel_route_kind::forward: return route_verdict::forward;
    case kernel_route_kind::local: return route_verdict::local;
    case kernel_route_kind::broadcast:
    case kernel_route_kind::multicast: return route_verdict::multicast;
    case kernel_route_kind::unreachable: return route_verdict::unreachable;
  }
  return route_verdict::none;
}

}  // namespace

result<std::unique_ptr<kernel_sync>> kernel_sync::open(forwarding_tables& tables,
                                                       std::function<void(const kernel_link&, bool present)> on_link) {
  std::unique_ptr<kernel_sync> made(new kernel_sync(tables));
  auto* self = made.get();
  mirror_events events;
  events.link = std::move(on_link);
  events.address = [self](int link, const ip_prefix& address, bool present) {
    self->address_changed(link, address, present);
  };
  events.neighbour = [self](const kernel_neighbour& neighbour, bool present) {
    self->neighbour_changed(neighbour, present);
  };
  events.route = [self](const kernel_route& route, bool present) { self->route_changed(route, present); };
  auto mirror = kernel_mirror::open(std::move(events));
  if (!mirror) return std::unexpected(mirror.error());
  made->mirror_ = std::move(*mirror);
  return made;
}

result<void> kernel_sync::dispatch() {
  auto done = mirror_->dispatch();
  if (std::exchange(changed_, false)) tables_.routes->commit();
  return done;
}

void kernel_sync::bind_port(std::uint16_t port, int tap) {
  ports_[tap] = port;
  for (const auto& [key, route] : routes_)
    for (const auto& hop : route.next_hops)
      if (hop.link == tap) {
        apply_route(route);
        break;
      }
  for (const auto& [key, neighbour] : neighbours_)
    if (key.first == tap) neighbour_changed(kernel_neighbour(neighbour), true);
  publish_addresses(tap);
  tables_.routes->commit();
}

void kernel_sync::unbind_port(std::uint16_t port) {
  std::erase_if(ports_, [port](const auto& entry) { return entry.second == port; });
  tables_.routes->remove_port(port);
  tables_.routes->commit();
}

void kernel_sync::resolve(const resolve_request& request) {
  for (const auto& [link, port] : ports_)
    if (port == request.port) mirror_->resolve(link, request.address);
}

void kernel_sync::confirm_neighbours() {
  tables_.routes->each_adjacency([this](adjacency& hop) {
    if (hop.used.exchange(0, std::memory_order_relaxed) == 0) return;
    for (const auto& [link, port] : ports_) {
      if (port != hop.port) continue;
      const auto known = neighbours_.find({link, hop.address});
      if (known != neighbours_.end() && known->second.stale) mirror_->resolve(link, hop.address);
    }
  });
}

std::set<ip_prefix> kernel_sync::addresses_of(std::uint16_t port) const {
  for (const auto& [link, bound] : ports_)
    if (bound == port && addresses_.contains(link)) return addresses_.at(link);
  return {};
}

std::uint16_t kernel_sync::port_of(int link) const {
  const auto found = ports_.find(link);
  return found == ports_.end() ? no_port : found->second;
}

void kernel_sync::route_changed(const kernel_route& route, bool present) {
  const route_key key{route.destination, route.metric};
  if (const auto old = routes_.find(key); old != routes_.end()) {
    tables_.routes->remove_route(route.destination, verdict_of(old->second.kind), route.metric);
    routes_.erase(old);
    changed_ = true;
  }
  if (!present) return;
  routes_[key] = route;
  apply_route(route);
}

// A way that leaves by none of our ports is none of ours: management networks stay the kernel's.
void kernel_sync::apply_route(const kernel_route& route) {
  const auto verdict = verdict_of(route.kind);
  std::vector<fib::next_hop> hops;
  if (verdict == route_verdict::forward)
    for (const auto& hop : route.next_hops)
      if (const auto port = port_of(hop.link); port != no_port) hops.push_back({.port = port, .gateway = hop.gateway});
  if (verdict == route_verdict::forward && hops.empty()) return;
  changed_ = true;
  if (auto added = tables_.routes->add_route(route.destination, verdict, route.metric, hops); !added)
    log_event("route", to_string(route.destination) + ": " + added.error().reason);
}

void kernel_sync::neighbour_changed(const kernel_neighbour& neighbour, bool present) {
  const std::pair key{neighbour.link, neighbour.address};
  if (present)
    neighbours_[key] = neighbour;
  else
    neighbours_.erase(key);
  const auto port = port_of(neighbour.link);
  if (port == no_port) return;
  const bool usable = present && neighbour.usable;
  tables_.routes->set_neighbour(port, neighbour.address, neighbour.mac, usable, present && !usable && neighbour.failed);
}

void kernel_sync::address_changed(int link, const ip_prefix& address, bool present) {
  if (present)
    addresses_[link].insert(address);
  else
    addresses_[link].erase(address);
  publish_addresses(link);
}

// ICMP errors come from the port's first address of the family, for IPv6 a global one before link-local.
void kernel_sync::publish_addresses(int link) {
  const auto index = port_of(link);
  if (index == no_port) return;
  auto& port = tables_.ports[index];
  std::uint32_t v4 = 0;
  std::uint64_t v6[2] = {};
  for (const auto& prefix : addresses_[link]) {
    const auto& bytes = prefix.address.bytes;
    const bool link_local = bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
    if (prefix.address.family == ip_family::v4 && v4 == 0) std::memcpy(&v4, bytes.data(), sizeof v4);
    if (prefix.address.family == ip_family::v6 && (v6[0] == 0 || !link_local)) std::memcpy(v6, bytes.data(), sizeof v6);
  }
  port.ipv4.store(v4, std::memory_order_relaxed);
  port.ipv6[0].store(v6[0], std::memory_order_relaxed);
  port.ipv6[1].store(v6[1], std::memory_order_relaxed);
}

}  // namespace trunkgate
