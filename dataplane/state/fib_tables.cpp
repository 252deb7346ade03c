// rte_fib_rcu_qsbr_add is still marked experimental in DPDK 24.11; without it a reader could meet a reused tbl8.
#define ALLOW_EXPERIMENTAL_API

#include "dataplane/state/fib_tables.hpp"

#include <cerrno>
#include <cstring>
#include <string>

#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_fib6.h>
#include <rte_memory.h>

namespace trunkgate {

namespace {

// Blocks of 256 addresses that may hold routes longer than /24: 8 MiB.
constexpr std::uint32_t ipv4_long_blocks = 16384;

// DPDK wants a name per table, and two may live at once.
std::string table_name(const char* kind) {
  static std::atomic<unsigned> tables{0};
  return std::string("tg_") + kind + "_" + std::to_string(tables.fetch_add(1));
}

rte_ipv6_addr to_rte(const ip_address& address) {
  rte_ipv6_addr out;
  std::memcpy(out.a, address.bytes.data(), sizeof out.a);
  return out;
}

struct free_fib6 {
  void operator()(rte_fib6* fib) const { rte_fib6_free(fib); }
};

}  // namespace

result<std::unique_ptr<ipv4_table>> ipv4_table::make(rcu_domain& rcu, std::uint32_t route_limit) {
  rte_fib_conf config{};
  config.type = RTE_FIB_DIR24_8;
  config.default_nh = no_group;
  config.max_routes = static_cast<int>(route_limit);
  config.dir24_8.nh_sz = RTE_FIB_DIR24_8_2B;
  config.dir24_8.num_tbl8 = ipv4_long_blocks;
  rte_fib* fib = rte_fib_create(table_name("fib4").c_str(), SOCKET_ID_ANY, &config);
  if (fib == nullptr)
    return failure(std::string("IPv4 routing table: ") + rte_strerror(rte_errno) +
                   "; it takes about 64 MiB of the data plane's memory");
  std::unique_ptr<ipv4_table> table(new ipv4_table(fib));
  rte_fib_rcu_config reclaim{};
  reclaim.v = rcu.qsbr();
  reclaim.mode = RTE_FIB_QSBR_MODE_DQ;
  if (int error = rte_fib_rcu_qsbr_add(fib, &reclaim); error != 0)
    return failure(std::string("IPv4 routing table: ") + rte_strerror(-error));
  return table;
}

ipv4_table::~ipv4_table() { rte_fib_free(fib_); }

std::uint16_t ipv4_table::lookup(const ip_address& destination) const noexcept {
  std::uint32_t address = destination.v4_host();
  std::uint64_t group = no_group;
  rte_fib_lookup_bulk(fib_, &address, &group, 1);
  return static_cast<std::uint16_t>(group);
}

result<void> ipv4_table::put(const ip_prefix& destination, std::uint16_t group) {
  if (int error = rte_fib_add(fib_, destination.address.v4_host(), destination.length, group); error != 0)
    return failure("route " + to_string(destination) + ": the IPv4 routing table is full (" + rte_strerror(-error) +
                   "); announce fewer or shorter prefixes");
  return {};
}

void ipv4_table::remove(const ip_prefix& destination) {
  rte_fib_delete(fib_, destination.address.v4_host(), destination.length);
}

ipv6_table::~ipv6_table() { rte_fib6_free(fib_.load()); }

std::uint16_t ipv6_table::lookup(const ip_address& destination) const noexcept {
  rte_fib6* fib = fib_.load(std::memory_order_acquire);
  if (fib == nullptr) return no_group;
  const rte_ipv6_addr address = to_rte(destination);
  std::uint64_t group = no_group;
  rte_fib6_lookup_bulk(fib, &address, &group, 1);
  return static_cast<std::uint16_t>(group);
}

result<void> ipv6_table::replace(std::span<const route> routes) {
  std::unique_ptr<rte_fib6, free_fib6> fresh;
  if (!routes.empty()) {
    rte_fib6_conf config{};
    config.type = RTE_FIB6_DUMMY;
    config.default_nh = no_group;
    config.max_routes = static_cast<int>(routes.size()) + 1;
    fresh.reset(rte_fib6_create(table_name("fib6").c_str(), SOCKET_ID_ANY, &config));
    if (!fresh)
      return failure("IPv6 routing table of " + std::to_string(routes.size()) + " routes: " + rte_strerror(rte_errno));
  }
  for (const auto& [destination, group] : routes) {
    const rte_ipv6_addr address = to_rte(destination.address);
    if (int error = rte_fib6_add(fresh.get(), &address, destination.length, group); error != 0)
      return failure("route " + to_string(destination) + ": " + rte_strerror(-error));
  }
  rte_fib6* old = fib_.exchange(fresh.release(), std::memory_order_acq_rel);
  if (old != nullptr) rcu_.retire([old] { rte_fib6_free(old); });
  return {};
}

}  // namespace trunkgate
