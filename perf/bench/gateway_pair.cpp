#include "perf/bench/gateway_pair.hpp"

#include <openssl/rand.h>
#include <rte_cycles.h>

#include "dataplane/core/secret.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::uint16_t clear_index = 0, wire_index = 1;
constexpr std::uint32_t flow_entries = 65536;

const ip_address sender_address = ip_address::v4(0xcb007101), receiver_address = ip_address::v4(0xcb007102);
const ip_address host_behind = ip_address::v4(0x0afffffe);

ip_prefix senders_side() { return {ip_address::v4(0xc0a80000), 16}; }
ip_prefix receivers_side() { return {ip_address::v4(0x0a000000), 8}; }

}  // namespace

result<memory_port*> gateway_side::add_port(std::uint16_t index, const mac_address& mac) {
  auto port = std::make_unique<memory_port>(mac, link_mtu);
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
  const fib::next_hop on_wire{wire_index, {}}, by_peer{wire_index, where.peer}, behind{clear_index, host_behind};
  const bool sends = where.own == sender_address;
  const ip_prefix link{ip_address::v4(0xcb007100), 24}, own{where.own, 32};
  if (auto added = routes.add_route(link, route_verdict::forward, 0, std::span(&on_wire, 1)); !added) return added;
  if (auto added = routes.add_route(own, route_verdict::local, 0, {}); !added) return added;
  const auto& far = sends ? by_peer : behind;
  if (auto added = routes.add_route(receivers_side(), route_verdict::forward, 0, std::span(&far, 1)); !added)
    return added;
  routes.commit();
  routes.set_neighbour(wire_index, where.peer, where.wire_neighbour, true, false);
  routes.set_neighbour(clear_index, host_behind, where.clear_neighbour, true, false);
  return {};
}

result<std::unique_ptr<gateway_side>> gateway_side::make(rte_mempool* pool, const crypto_engines& engines,
                                                         const addresses& where) {
  std::unique_ptr<gateway_side> made(new gateway_side);
  auto rcu = rcu_domain::make(1);
  if (!rcu) return std::unexpected(rcu.error());
  made->rcu_ = std::move(*rcu);
  made->tables_ = std::make_unique<forwarding_tables>(*made->rcu_);
  auto routes = fib::make(*made->rcu_, made->tables_->generation);
  if (!routes) return std::unexpected(routes.error());
  made->tables_->routes = std::move(*routes);
  made->tables_->selectors = selector_table::make(*made->rcu_);
  auto workers =
      pipeline::make(*made->tables_, {.workers = 1, .flow_entries = flow_entries, .pool = pool, .engines = &engines});
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

std::uint64_t gateway_side::pass(memory_port& from, std::span<rte_mbuf* const> frames) noexcept {
  auto& runs = only_worker();
  from.offer(frames);
  std::uint64_t cycles = 0;
  while (!from.all_taken()) {
    const std::uint64_t start = rte_rdtsc();
    runs.turn();
    cycles += rte_rdtsc() - start;
  }
  return cycles;
}

result<void> gateway_pair::add_tunnel(const crypto_engines& engines, esp_suite suite, std::uint32_t index) {
  api::sa_record record;
  record.tunnel = api::name("bench-" + std::to_string(index));
  record.child = api::name("all");
  record.suite = suite;
  record.spi = first_spi + index;
  record.local = sender_address;
  record.remote = receiver_address;
  record.local_count = record.remote_count = 1;
  record.local_ranges[0] = senders_side();
  record.remote_ranges[0] = ip_prefix{ip_address::v4(0x0a000000 | index << 8), 24};
  record.key_length = static_cast<std::uint8_t>(info(suite).key_material());
  if (RAND_bytes(record.key.data(), record.key_length) != 1) return failure("openssl: no random bytes");
  auto judge_key = judge->prepare(suite, {record.key.data(), record.key_length}, false);
  if (!judge_key) return std::unexpected(judge_key.error());
  judge_keys.push_back(std::move(*judge_key));

  auto mirrored = record;  // "local" is always the gateway's own side
  mirrored.direction = api::sa_direction::inbound;
  std::swap(mirrored.local, mirrored.remote);
  std::swap(mirrored.local_ranges, mirrored.remote_ranges);
  auto out = make_outbound_sa(record, engines, *store_, 0);
  auto in = make_inbound_sa(mirrored, engines, *store_, 0);
  if (!out) return std::unexpected(out.error());
  if (!in) return std::unexpected(in.error());
  sender->tables_->selectors->add((*out)->record, out->get());
  receiver->tables_->inbound.insert((*in)->record.spi, in->get());
  sender->outbound.push_back(std::move(*out));
  receiver->inbound.push_back(std::move(*in));
  return {};
}

result<gateway_pair> gateway_pair::make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                        std::uint32_t sas) {
  gateway_pair pair;
  auto store = sequence_store::open();
  if (!store) return std::unexpected(store.error());
  pair.store_ = std::move(*store);
  auto judge = make_openssl_engine();
  if (!judge) return std::unexpected(judge.error());
  pair.judge = std::move(*judge);
  const mac_address sender_clear{2, 0, 0, 0, 1, 0}, sender_wire{2, 0, 0, 0, 1, 1}, receiver_clear{2, 0, 0, 0, 2, 0},
      receiver_wire{2, 0, 0, 0, 2, 1}, host{2, 0, 0, 0, 3, 0};
  auto first = gateway_side::make(pool, engines,
                                  {sender_address, receiver_address, sender_clear, sender_wire, host, receiver_wire});
  if (!first) return std::unexpected(first.error());
  auto second = gateway_side::make(
      pool, engines, {receiver_address, sender_address, receiver_clear, receiver_wire, host, sender_wire});
  if (!second) return std::unexpected(second.error());
  pair.sender = std::move(*first);
  pair.receiver = std::move(*second);
  for (std::uint32_t i = 0; i < sas; ++i)
    if (auto added = pair.add_tunnel(engines, suite, i); !added) return std::unexpected(added.error());
  return pair;
}

}  // namespace trunkgate::bench
