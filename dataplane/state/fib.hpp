// Where packets go: routes (rte_fib, rte_fib6) and the neighbours behind them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/api/messages.hpp"
#include "dataplane/core/ip.hpp"
#include "dataplane/core/port_index.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

class rcu_domain;

// A next hop on a port. Its address is updated in place when the neighbour changes: nobody's cached pointer goes stale.
// An adjacency lives as long as the FIB.
struct alignas(64) adjacency {
  ip_address address;
  std::uint16_t port = 0;
  std::atomic<std::uint64_t> mac_and_state{0};  // bits 0-47 the MAC, first byte lowest; bit 48 usable, bit 49 failed
  std::atomic<std::uint8_t> used{0};            // set by workers that send through it, cleared by the control thread

  static constexpr std::uint64_t usable_bit = 1ull << 48, failed_bit = 1ull << 49;
  [[nodiscard]] bool usable() const noexcept {
    return (mac_and_state.load(std::memory_order_acquire) & usable_bit) != 0;
  }
};
static_assert(sizeof(adjacency) == 64);

enum class route_verdict : std::uint8_t {
  none,         // no route
  unreachable,  // blackhole, unreachable, prohibit
  local,        // for the box itself
  multicast,    // multicast or broadcast: never forwarded; the box may want it
  forward,      // through `next_hop` (usable or not)
  unresolved,   // directly connected and no adjacency yet: ask the control thread for (port, destination)
};

struct route_result {
  route_verdict verdict = route_verdict::none;
  std::uint16_t port = no_port;   // for forward and unresolved
  adjacency* next_hop = nullptr;  // for forward
};

class fib {
 public:
  // `generation` is bumped after each change that can alter a lookup's answer (for routes: at commit()), but not for a
  // neighbour's new MAC. Needs an EAL; docs/decisions/0001-fib.md says how much memory.
  [[nodiscard]] static result<std::unique_ptr<fib>> make(rcu_domain& rcu, std::atomic<std::uint32_t>& generation,
                                                         std::uint32_t ipv4_route_limit = 65536);
  virtual ~fib() = default;

  // Worker threads. Equal-cost next hops are chosen by `hash`.
  [[nodiscard]] virtual route_result lookup(const ip_address& destination, std::uint32_t hash) const noexcept = 0;

  // ---- control thread ----
  struct next_hop {
    std::uint16_t port;
    ip_address gateway;  // family none: directly connected
  };
  // Several routes to one destination may coexist with different metrics; the lowest counts.
  [[nodiscard]] virtual result<void> add_route(const ip_prefix& destination, route_verdict verdict,
                                               std::uint32_t metric, std::span<const next_hop> next_hops) = 0;
  virtual void remove_route(const ip_prefix& destination, route_verdict verdict, std::uint32_t metric) = 0;
  virtual void commit() = 0;  // publishes a batch of route changes (rte_fib6 is rebuilt aside here)
  // A neighbour became known, changed (usable) or was lost. Creates the adjacency if there is none yet.
  virtual adjacency* set_neighbour(std::uint16_t port, const ip_address& address,
                                   const std::array<std::uint8_t, 6>& mac, bool usable, bool failed) = 0;
  virtual void remove_port(std::uint16_t port) = 0;  // its routes and neighbours are gone
  // Every adjacency, for refreshing and showing.
  virtual void each_adjacency(const std::function<void(adjacency&)>& visit) = 0;
  virtual void each_route(const std::function<void(const api::route_status&)>& visit,
                          const std::function<std::string(std::uint16_t)>& port_name) const = 0;
};

}  // namespace trunkgate
