#include "drivers/host/route_table.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <linux/rtnetlink.h>

namespace trunkgate {

namespace {

bool same_hop(const kernel_next_hop& a, const kernel_next_hop& b) { return a.link == b.link && a.gateway == b.gateway; }

bool has_hop(const std::vector<kernel_next_hop>& hops, const kernel_next_hop& hop) {
  return std::ranges::any_of(hops, [&](const auto& other) { return same_hop(hop, other); });
}

bool has_all_hops(const std::vector<kernel_next_hop>& hops, const std::vector<kernel_next_hop>& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& hop) { return has_hop(hops, hop); });
}

bool same_hops(const std::vector<kernel_next_hop>& a, const std::vector<kernel_next_hop>& b) {
  return std::ranges::equal(a, b, same_hop);
}

bool same_route(const table_route& a, const table_route& b) {
  return a.table == b.table && a.route.kind == b.route.kind && same_hops(a.route.next_hops, b.route.next_hops);
}

// The route that counts: table local is looked up before table main. An address of ours may be on several links.
kernel_route effective(const std::vector<table_route>& routes) {
  const auto* first = &routes.front();
  for (const auto& route : routes)
    if (route.table == RT_TABLE_LOCAL && first->table != RT_TABLE_LOCAL) first = &route;
  kernel_route chosen = first->route;
  if (chosen.kind == kernel_route_kind::forward || chosen.kind == kernel_route_kind::unreachable) return chosen;
  for (const auto& other : routes) {
    if (other.table != first->table || other.route.kind != chosen.kind) continue;
    for (const auto& hop : other.route.next_hops)
      if (!has_hop(chosen.next_hops, hop)) chosen.next_hops.push_back(hop);
  }
  return chosen;
}

}  // namespace

std::size_t route_table::key_hash::operator()(const key& of) const {
  std::array<char, 24> bytes{};
  std::ranges::copy(of.destination.address.bytes, bytes.begin());
  bytes[16] = static_cast<char>(of.destination.length);
  bytes[17] = static_cast<char>(of.destination.address.family);
  std::memcpy(bytes.data() + 20, &of.metric, sizeof(of.metric));
  return std::hash<std::string_view>{}({bytes.data(), bytes.size()});
}

void route_table::settle(records::iterator position) {
  record& at = position->second;
  if (at.routes.empty()) {
    const kernel_route gone = std::move(at.told);
    const bool was_told = at.is_told;
    records_.erase(position);
    if (was_told) tell_(gone, false);
    return;
  }
  kernel_route now = effective(at.routes);
  if (at.is_told && at.told.kind == now.kind && same_hops(at.told.next_hops, now.next_hops)) return;
  at.told = std::move(now);
  at.is_told = true;
  tell_(at.told, true);
}

bool route_table::added(table_route route, how how_added) {
  const auto position = records_.try_emplace(key{route.route.destination, route.route.metric}).first;
  auto& routes = position->second.routes;
  const bool is_v6 = route.route.destination.address.family == ip_family::v6;
  const auto known = std::ranges::find_if(routes, [&](const auto& other) { return same_route(other, route); });
  if (known != routes.end()) return true;
  const auto in_table = std::ranges::count(routes, route.table, &table_route::table);
  // The message does not say which one was replaced.
  if (how_added == how::replace && in_table > 1) return false;
  const auto old = std::ranges::find_if(routes, [&](const auto& other) {
    if (other.table != route.table) return false;
    // IPv6 tells a route that got another hop as a whole, as if it were new.
    const bool grown = is_v6 && other.route.kind == route.route.kind && route.route.next_hops.size() > 1 &&
                       has_all_hops(route.route.next_hops, other.route.next_hops);
    return how_added == how::replace || grown;
  });
  if (old != routes.end())
    *old = std::move(route);
  else
    routes.push_back(std::move(route));
  settle(position);
  return true;
}

void route_table::removed(const table_route& route) {
  const auto position = records_.find(key{route.route.destination, route.route.metric});
  if (position == records_.end()) return;
  auto& routes = position->second.routes;
  if (const auto known = std::ranges::find_if(routes, [&](const auto& other) { return same_route(other, route); });
      known != routes.end()) {
    routes.erase(known);
  } else {
    // IPv6 tells a lost hop of several as the removal of a route with that hop alone. A hop that was dead when the
    // route was told is missing from our picture, so an entry whose hops are all told as gone is gone.
    for (auto& other : routes) {
      if (other.table != route.table || other.route.kind != route.route.kind) continue;
      std::erase_if(other.route.next_hops, [&](const auto& hop) { return has_hop(route.route.next_hops, hop); });
    }
    std::erase_if(routes, [&](const auto& other) {
      return other.table == route.table && other.route.kind == route.route.kind && other.route.next_hops.empty() &&
             other.route.kind != kernel_route_kind::unreachable;
    });
  }
  settle(position);
}

void route_table::set_all(ip_family family, std::vector<table_route> routes) {
  for (auto& [at, entry] : records_)
    if (at.destination.address.family == family) entry.routes.clear();
  std::vector<key> order;
  order.reserve(routes.size());
  for (auto& route : routes) {
    const key at{route.route.destination, route.route.metric};
    auto& entry = records_[at];
    if (entry.routes.empty()) order.push_back(at);
    entry.routes.push_back(std::move(route));
  }
  for (const auto& at : order) settle(records_.find(at));
  std::vector<key> gone;
  for (const auto& [at, entry] : records_)
    if (entry.routes.empty()) gone.push_back(at);
  for (const auto& at : gone) settle(records_.find(at));
}

}  // namespace trunkgate
