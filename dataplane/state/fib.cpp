#include "dataplane/state/fib.hpp"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "dataplane/state/crc_hash.hpp"
#include "dataplane/state/fib_tables.hpp"
#include "dataplane/state/rcu.hpp"
#include "dataplane/state/rcu_hash.hpp"

namespace trunkgate {

namespace {

struct neighbour_key {
  std::array<std::uint8_t, 16> address{};
  std::uint16_t port = 0;
  ip_family family = ip_family::none;
  std::uint8_t reserved = 0;
  friend auto operator<=>(const neighbour_key&, const neighbour_key&) = default;
};
static_assert(sizeof(neighbour_key) == 20);

struct neighbour_hash {
  std::uint32_t operator()(const neighbour_key& key) const noexcept { return crc_hash(key); }
};

// What routes with the same answer share. Immutable; numbered, since the tables hold numbers.
struct route_group {
  struct member {
    std::uint16_t port;
    adjacency* gateway;  // nullptr: directly connected
    friend auto operator<=>(const member&, const member&) = default;
  };
  route_verdict verdict = route_verdict::none;
  std::vector<member> members;
  friend auto operator<=>(const route_group&, const route_group&) = default;
};

struct route {
  route_verdict verdict;
  std::uint32_t metric;
  std::vector<fib::next_hop> next_hops;
};

// Among routes of one metric: the box's own addresses come before what leads elsewhere.
unsigned rank(route_verdict verdict) {
  switch (verdict) {
    case route_verdict::local: return 0;
    case route_verdict::multicast: return 1;
    case route_verdict::forward: return 2;
    default: return 3;
  }
}
bool better(const route& a, const route& b) {
  return std::tuple(a.metric, rank(a.verdict), a.verdict) < std::tuple(b.metric, rank(b.verdict), b.verdict);
}

class routing_tables final : public fib {
 public:
  routing_tables(rcu_domain& rcu, std::atomic<std::uint32_t>& generation, std::unique_ptr<ipv4_table> v4)
      : rcu_(rcu),
        generation_(generation),
        v4_(std::move(v4)),
        v6_(rcu),
        neighbours_(rcu),
        groups_(std::make_unique<std::atomic<const route_group*>[]>(group_limit)) {}
  ~routing_tables() override {
    rcu_.wait();  // retired group numbers come back to this object
  }

  [[nodiscard]] route_result lookup(const ip_address& destination, std::uint32_t hash) const noexcept override {
    if (is_multicast_or_broadcast(destination)) return {.verdict = route_verdict::multicast};
    std::uint16_t number = no_group;
    if (destination.family == ip_family::v4) number = v4_->lookup(destination);
    if (destination.family == ip_family::v6) number = v6_.lookup(destination);
    const route_group* group = groups_[number % group_limit].load(std::memory_order_acquire);
    if (group == nullptr) return {};
    if (group->verdict != route_verdict::forward) return {.verdict = group->verdict};
    // The hash's upper bits: its lower ones already chose queue and cache set.
    const auto& chosen = group->members[(std::uint64_t{hash} * group->members.size()) >> 32];
    if (chosen.gateway != nullptr) return {route_verdict::forward, chosen.port, chosen.gateway};
    adjacency* const* direct = neighbours_.find({destination.bytes, chosen.port, destination.family});
    if (direct == nullptr) return {.verdict = route_verdict::unresolved, .port = chosen.port};
    return {route_verdict::forward, chosen.port, *direct};
  }

  [[nodiscard]] result<void> add_route(const ip_prefix& destination, route_verdict verdict, std::uint32_t metric,
                                       std::span<const next_hop> next_hops) override {
    if (auto right = check(destination, verdict, next_hops); !right) return right;
    const ip_prefix prefix = destination.masked();
    auto& rivals = routes_[prefix];
    std::erase_if(rivals, [&](const route& r) { return r.verdict == verdict && r.metric == metric; });
    route added{verdict, metric, {next_hops.begin(), next_hops.end()}};
    rivals.insert(std::ranges::find_if(rivals, [&](const route& r) { return better(added, r); }), std::move(added));
    if (auto put = refresh(prefix); !put) {
      remove_route(prefix, verdict, metric);
      return put;
    }
    return {};
  }

  void remove_route(const ip_prefix& destination, route_verdict verdict, std::uint32_t metric) override {
    const ip_prefix prefix = destination.masked();
    const auto at = routes_.find(prefix);
    if (at == routes_.end()) return;
    if (std::erase_if(at->second, [&](const route& r) { return r.verdict == verdict && r.metric == metric; }) != 0)
      uncover(prefix);
  }

  void commit() override {
    if (v6_changed_) {
      std::vector<ipv6_table::route> routes;
      for (const auto& [prefix, number] : active_)
        if (prefix.address.family == ip_family::v6) routes.emplace_back(prefix, number);
      v6_changed_ = !v6_.replace(routes).has_value();
    }
    if (changed_) generation_.fetch_add(1, std::memory_order_release);
    changed_ = false;
    // Without memory for another IPv6 table the old one stays, and so do its groups; the next commit tries again.
    if (v6_changed_) return;
    for (std::uint16_t number : std::exchange(unused_groups_, {})) retire_group(number);
    rcu_.reclaim();
  }

  adjacency* set_neighbour(std::uint16_t port, const ip_address& address, const std::array<std::uint8_t, 6>& mac,
                           bool usable, bool failed) override {
    neighbour& entry = find_or_make(port, address);
    std::uint64_t state = (usable ? adjacency::usable_bit : 0) | (failed ? adjacency::failed_bit : 0);
    for (unsigned i = 0; i < mac.size(); ++i) state |= std::uint64_t{mac[i]} << (8 * i);
    entry.hop->mac_and_state.store(state, std::memory_order_release);
    return entry.hop.get();
  }

  void remove_port(std::uint16_t port) override {
    std::vector<ip_prefix> touched;
    for (auto& [prefix, rivals] : routes_) {
      bool lost = false;
      for (route& r : rivals)
        lost |= std::erase_if(r.next_hops, [&](const next_hop& h) { return h.port == port; }) != 0;
      std::erase_if(rivals, [](const route& r) { return r.verdict == route_verdict::forward && r.next_hops.empty(); });
      if (lost) touched.push_back(prefix);
    }
    for (const ip_prefix& prefix : touched) uncover(prefix);
    for (auto& [key, entry] : all_neighbours_) {
      if (key.port != port || !entry.present) continue;
      // The object stays for workers that still hold it, and for the port's return.
      entry.hop->mac_and_state.store(0, std::memory_order_release);
      entry.present = false;
      neighbours_.erase(key);
      changed_ = true;
    }
    commit();
  }

  void each_adjacency(const std::function<void(adjacency&)>& visit) override {
    for (auto& [key, entry] : all_neighbours_)
      if (entry.present) visit(*entry.hop);
  }

  void each_route(const std::function<void(const api::route_status&)>& visit,
                  const std::function<std::string(std::uint16_t)>& port_name) const override {
    for (const auto& [prefix, rivals] : routes_) {
      const route& used = rivals.front();
      api::route_status status;
      status.destination = prefix;
      if (used.verdict != route_verdict::forward) {
        status.kind =
            used.verdict == route_verdict::unreachable ? api::route_kind::unreachable : api::route_kind::local;
        visit(status);
        continue;
      }
      for (const next_hop& hop : used.next_hops) visit(describe(status, hop, port_name));
    }
  }

 private:
  struct neighbour {
    std::unique_ptr<adjacency> hop;
    bool present = false;  // false: its port was removed
  };
  struct group_use {
    std::uint16_t number;
    std::size_t routes;
  };

  static bool is_multicast_or_broadcast(const ip_address& destination) noexcept {
    return destination.is_multicast() || (destination.family == ip_family::v4 && destination.v4_host() == 0xffffffff);
  }
  static result<void> check(const ip_prefix& destination, route_verdict verdict, std::span<const next_hop> next_hops) {
    if (destination.address.family == ip_family::none || destination.length > destination.address.bits())
      return failure("route without a valid destination");
    const bool forwards = verdict == route_verdict::forward;
    if (verdict == route_verdict::none || verdict == route_verdict::unresolved || forwards == next_hops.empty())
      return failure("route " + to_string(destination) + ": next hops and kind of route don't fit together");
    return {};
  }

  neighbour& find_or_make(std::uint16_t port, const ip_address& address) {
    const neighbour_key key{address.bytes, port, address.family};
    neighbour& entry = all_neighbours_[key];
    if (!entry.hop) {
      entry.hop = std::make_unique<adjacency>();
      entry.hop->address = address;
      entry.hop->port = port;
    }
    if (!entry.present) {
      entry.present = true;
      neighbours_.insert(key, entry.hop.get());
      generation_.fetch_add(1, std::memory_order_release);  // was unresolved until now
    }
    return entry;
  }

  api::route_status describe(api::route_status status, const next_hop& hop,
                             const std::function<std::string(std::uint16_t)>& port_name) const {
    status.via = hop.gateway;
    status.port = api::name(port_name(hop.port));
    const auto known = all_neighbours_.find({hop.gateway.bytes, hop.port, hop.gateway.family});
    if (known == all_neighbours_.end()) return status;
    const std::uint64_t state = known->second.hop->mac_and_state.load(std::memory_order_acquire);
    status.resolved = (state & adjacency::usable_bit) != 0;
    for (unsigned i = 0; i < status.neighbour_mac.size(); ++i)
      status.neighbour_mac[i] = static_cast<std::uint8_t>(state >> (8 * i));
    return status;
  }

  // Makes the tables say what the best route of `prefix` says. At least one route is there.
  [[nodiscard]] result<void> refresh(const ip_prefix& prefix) {
    const auto number = enter_group(routes_.at(prefix).front());
    if (!number) return std::unexpected(number.error());
    const auto [at, fresh] = active_.try_emplace(prefix, no_group);
    if (at->second == *number) {
      leave_group(*number);
      return {};
    }
    if (prefix.address.family == ip_family::v4) {
      if (auto put = v4_->put(prefix, *number); !put) {
        leave_group(*number);
        if (fresh) active_.erase(at);
        return put;
      }
    } else {
      v6_changed_ = true;
    }
    if (!fresh) leave_group(at->second);
    at->second = *number;
    changed_ = true;
    return {};
  }
  // After routes of `prefix` went: the next best one takes over, or the prefix goes too.
  void uncover(const ip_prefix& prefix) {
    const auto rivals = routes_.find(prefix);
    if (!rivals->second.empty() && refresh(prefix)) return;
    if (rivals->second.empty()) routes_.erase(rivals);
    const auto at = active_.find(prefix);
    if (at == active_.end()) return;
    if (prefix.address.family == ip_family::v4)
      v4_->remove(prefix);
    else
      v6_changed_ = true;
    leave_group(at->second);
    active_.erase(at);
    changed_ = true;
  }

  [[nodiscard]] result<std::uint16_t> enter_group(const route& r) {
    route_group wanted{r.verdict, {}};
    for (const next_hop& hop : r.next_hops)
      wanted.members.push_back(
          {hop.port, hop.gateway.family == ip_family::none ? nullptr : find_or_make(hop.port, hop.gateway).hop.get()});
    if (const auto known = group_numbers_.find(wanted); known != group_numbers_.end()) {
      ++known->second.routes;
      return known->second.number;
    }
    std::uint16_t number = next_group_;
    if (!free_groups_.empty()) {
      number = free_groups_.back();
      free_groups_.pop_back();
    } else if (next_group_ == group_limit) {
      return failure("routes lead to more than " + std::to_string(group_limit - 1) + " different sets of next hops");
    } else {
      ++next_group_;
    }
    const auto made = group_numbers_.emplace(std::move(wanted), group_use{number, 1}).first;
    by_number_[number] = made;
    groups_[number].store(&made->first, std::memory_order_release);
    return number;
  }
  void leave_group(std::uint16_t number) {
    const auto at = by_number_.at(number);
    if (--at->second.routes == 0) unused_groups_.push_back(number);
  }
  // Readers of the tables as they were may still ask for the number.
  void retire_group(std::uint16_t number) {
    const auto known = by_number_.find(number);
    if (known == by_number_.end() || known->second->second.routes != 0) return;  // in use again
    auto keep = std::make_shared<std::map<route_group, group_use>::node_type>(group_numbers_.extract(known->second));
    by_number_.erase(known);
    rcu_.retire([this, number, keep] {
      groups_[number].store(nullptr, std::memory_order_release);
      free_groups_.push_back(number);
    });
  }

  rcu_domain& rcu_;
  std::atomic<std::uint32_t>& generation_;
  std::unique_ptr<ipv4_table> v4_;
  ipv6_table v6_;
  rcu_hash<neighbour_key, adjacency*, neighbour_hash> neighbours_;
  std::unique_ptr<std::atomic<const route_group*>[]> groups_;

  // The control thread's.
  std::map<ip_prefix, std::vector<route>> routes_;  // best first, never empty
  std::map<ip_prefix, std::uint16_t> active_;       // the group of the best
  std::map<neighbour_key, neighbour> all_neighbours_;
  std::map<route_group, group_use> group_numbers_;  // an entry stays in place: readers point into it
  std::map<std::uint16_t, std::map<route_group, group_use>::iterator> by_number_;
  std::vector<std::uint16_t> free_groups_, unused_groups_;
  std::uint16_t next_group_ = no_group + 1;
  bool changed_ = false, v6_changed_ = false;
};

}  // namespace

result<std::unique_ptr<fib>> fib::make(rcu_domain& rcu, std::atomic<std::uint32_t>& generation,
                                       std::uint32_t ipv4_route_limit) {
  auto v4 = ipv4_table::make(rcu, ipv4_route_limit);
  if (!v4) return std::unexpected(v4.error());
  return std::make_unique<routing_tables>(rcu, generation, std::move(*v4));
}

}  // namespace trunkgate
