// Longest prefix match from an address to a small number: what the FIB keeps its routes in.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "dataplane/core/ip.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/state/rcu.hpp"

struct rte_fib;
struct rte_fib6;

namespace trunkgate {

inline constexpr std::uint16_t no_group = 0;              // what a lookup without a route answers
inline constexpr std::uint16_t group_limit = (1u << 15);  // a two-byte table entry keeps one bit for itself

// IPv4: DIR-24-8 with two-byte entries, changed in place.
class ipv4_table {
 public:
  [[nodiscard]] static result<std::unique_ptr<ipv4_table>> make(rcu_domain& rcu, std::uint32_t route_limit);
  ~ipv4_table();
  ipv4_table(const ipv4_table&) = delete;
  ipv4_table& operator=(const ipv4_table&) = delete;

  [[nodiscard]] std::uint16_t lookup(const ip_address& destination) const noexcept;
  [[nodiscard]] result<void> put(const ip_prefix& destination, std::uint16_t group);  // new or changed
  void remove(const ip_prefix& destination);

 private:
  explicit ipv4_table(rte_fib* fib) : fib_(fib) {}
  rte_fib* fib_;
};

// IPv6: rte_fib6 has no RCU, so every change builds another tree aside and swaps.
class ipv6_table {
 public:
  using route = std::pair<ip_prefix, std::uint16_t>;

  explicit ipv6_table(rcu_domain& rcu) : rcu_(rcu) {}
  ~ipv6_table();
  ipv6_table(const ipv6_table&) = delete;
  ipv6_table& operator=(const ipv6_table&) = delete;

  [[nodiscard]] std::uint16_t lookup(const ip_address& destination) const noexcept;
  [[nodiscard]] result<void> replace(std::span<const route> routes);  // on failure the old routes stay

 private:
  rcu_domain& rcu_;
  std::atomic<rte_fib6*> fib_{nullptr};  // nullptr: no routes
};

}  // namespace trunkgate
