#include "perf/bench/gateway_side.hpp"

#include <algorithm>
#include <bit>

#include <rte_cycles.h>

namespace trunkgate::bench {
namespace {

const ip_address first_address = ip_address::v4(0xcb007101), second_address = ip_address::v4(0xcb007102);
const ip_address host_behind = ip_address::v4(0x0afffffe);
constexpr mac_address first_clear{2, 0, 0, 0, 1, 0}, first_wire{2, 0, 0, 0, 1, 1}, second_clear{2, 0, 0, 0, 2, 0},
    second_wire{2, 0, 0, 0, 2, 1}, host{2, 0, 0, 0, 3, 0};

}  // namespace

ip_prefix senders_side() { return {ip_address::v4(0xc0a80000), 16}; }
ip_prefix receivers_side() { return {ip_address::v4(0x0a000000), 8}; }

gateway_side::addresses first_gateway() {
  return {first_address, second_address, first_clear,      first_wire,
          host,          second_wire,    receivers_side(), gateway_side::wire_index};
}
gateway_side::addresses second_gateway() {
  return {second_address, first_address, second_clear,     second_wire,
          host,           first_wire,    receivers_side(), gateway_side::clear_index};
}

result<memory_port*> gateway_side::add_port(std::uint16_t index, const mac_address& mac) {
  auto port = std::make_unique<memory_port>(mac, 1, round_packets);
  auto* raw = port.get();
  auto device = pipeline_->add_device(std::move(port));
  if (!device) return std::unexpected(device.error());
  auto& entry = tables_->ports[index];
  entry.device = *device;
  entry.mac = mac;
  entry.mtu = link_mtu;
  entry.up = true;
  entry.present = true;
  return raw;
}

result<void> gateway_side::add_routes(const addresses& where) {
  auto& routes = *tables_->routes;
  const fib::next_hop on_wire{wire_index, {}};
  const fib::next_hop far{where.far_port, where.far_port == wire_index ? where.peer : host_behind};
  const ip_prefix link{ip_address::v4(0xcb007100), 24}, own{where.own, 32};
  if (auto added = routes.add_route(link, route_verdict::forward, 0, std::span(&on_wire, 1)); !added) return added;
  if (auto added = routes.add_route(own, route_verdict::local, 0, {}); !added) return added;
  if (auto added = routes.add_route(where.far, route_verdict::forward, 0, std::span(&far, 1)); !added) return added;
  routes.commit();
  routes.set_neighbour(wire_index, where.peer, where.wire_neighbour, true, false);
  routes.set_neighbour(clear_index, host_behind, where.clear_neighbour, true, false);
  return {};
}

result<std::unique_ptr<gateway_side>> gateway_side::make(rte_mempool* pool, const crypto_engines& engines,
                                                         const addresses& where, std::uint32_t flows) {
  std::unique_ptr<gateway_side> made(new gateway_side);
  auto rcu = rcu_domain::make(1);
  if (!rcu) return std::unexpected(rcu.error());
  made->rcu_ = std::move(*rcu);
  made->tables_ = std::make_unique<forwarding_tables>(*made->rcu_);
  auto routes = fib::make(*made->rcu_, made->tables_->generation);
  if (!routes) return std::unexpected(routes.error());
  made->tables_->routes = std::move(*routes);
  made->tables_->selectors = selector_table::make(*made->rcu_);
  auto workers = pipeline::make(*made->tables_, {.workers = 1,
                                                 .flow_entries = std::max(least_flow_entries, std::bit_ceil(2 * flows)),
                                                 .pool = pool,
                                                 .engines = &engines});
  if (!workers) return std::unexpected(workers.error());
  made->pipeline_ = std::move(*workers);
  auto clear = made->add_port(clear_index, where.clear_mac);
  auto wire = made->add_port(wire_index, where.wire_mac);
  if (!clear || !wire) return failure("the pipeline takes no port");
  made->clear = *clear;
  made->wire = *wire;
  if (auto routed = made->add_routes(where); !routed) return std::unexpected(routed.error());
  return made;
}

gateway_side::~gateway_side() {
  pipeline_.reset();
  if (rcu_ != nullptr) rcu_->wait();
}

void gateway_side::publish_rules(std::unique_ptr<operator_rules> rules) {
  tables_->rules.store(rules.get(), std::memory_order_release);
  tables_->generation.fetch_add(1, std::memory_order_release);
  if (rules_ != nullptr) rcu_->retire(std::move(rules_));
  rules_ = std::move(rules);
}

std::uint64_t gateway_side::pass(memory_port& from, std::span<rte_mbuf* const> frames) noexcept {
  auto& runs = only_worker();
  std::uint64_t cycles = 0;
  // A port's ring has room for a round: what it does not take is lost, and found missing.
  for (auto* lost : frames.subspan(from.deliver(frames))) rte_pktmbuf_free(lost);
  while (!from.all_received()) {
    const std::uint64_t start = rte_rdtsc();
    runs.turn();
    cycles += rte_rdtsc() - start;
  }
  return cycles;
}

}  // namespace trunkgate::bench
