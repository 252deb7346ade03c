// Memory and time of everything but security associations.
#include "perf/bench/memory_run.hpp"

#include <algorithm>

#include <rte_mbuf.h>

#include "dataplane/packet/meta.hpp"
#include "dataplane/state/flow_cache.hpp"
#include "dataplane/state/tables.hpp"
#include "perf/bench/memory_meter.hpp"
#include "perf/bench/rule_set.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::uint16_t ordinary_buffer = 2176;  // what a gateway with an MTU of 1500 makes its buffers of

ip_prefix numbered_prefix(ip_family family, std::uint32_t number) {
  if (family == ip_family::v4) return {ip_address::v4(0x14000000u + (number << 8)), 24};
  ip_prefix prefix;
  prefix.address.family = ip_family::v6;
  auto& bytes = prefix.address.bytes;
  bytes[0] = 0x20;
  bytes[1] = 0x01;
  for (unsigned i = 0; i < 4; ++i) bytes[2 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
  prefix.length = 48;
  return prefix;
}

// A domain that nobody reads in, and its generation.
struct routing {
  std::unique_ptr<rcu_domain> rcu;
  std::atomic<std::uint32_t> generation{0};
  std::unique_ptr<fib> routes;  // goes first

  [[nodiscard]] result<void> start(std::uint32_t limit) {
    auto domain = rcu_domain::make(1);
    if (!domain) return std::unexpected(domain.error());
    rcu = std::move(*domain);
    auto made = fib::make(*rcu, generation, limit);
    if (!made) return std::unexpected(made.error());
    routes = std::move(*made);
    return {};
  }
};

result<object_figures> measure_routes(ip_family family, std::uint32_t count) {
  object_figures figures;
  const auto before = memory_now();
  {
    routing none;
    if (auto started = none.start(16); !started) return std::unexpected(started.error());
    figures.fixed_bytes = (memory_now() - before).allocated();
  }
  routing full;
  if (auto started = full.start(count); !started) return std::unexpected(started.error());
  const std::uint16_t port = 1;
  const ip_address gateway = family == ip_family::v4 ? ip_address::v4(0xcb007102) : numbered_prefix(family, 0).address;
  (void)full.routes->set_neighbour(port, gateway, {2, 0, 0, 0, 0, 1}, true, false);
  const fib::next_hop hop{port, gateway};
  const stopwatch clock;
  for (std::uint32_t i = 0; i < count; ++i)
    if (auto added = full.routes->add_route(numbered_prefix(family, i), route_verdict::forward, 0, std::span(&hop, 1));
        !added)
      return std::unexpected(added.error());
  full.routes->commit();
  figures.add_seconds = clock.seconds();
  figures.bytes_each = ((memory_now() - before).allocated() - figures.fixed_bytes) / count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto found = full.routes->lookup(numbered_prefix(family, i).address, i);
    ++(found.verdict == route_verdict::forward && found.port == port ? figures.verified : figures.wrong);
  }
  return figures;
}

}  // namespace

result<object_figures> measure_flow_entries(const crypto_engines&, std::uint32_t count) {
  object_figures figures;
  const auto before = memory_now();
  auto flows = flow_cache::make(count);
  // Rounded up to a power of two, 64 at least: those are there, too.
  figures.bytes_each = (memory_now() - before).heap / std::max(64u, std::bit_ceil(count));
  const auto key_of = [](std::uint32_t number) {
    flow_key key;
    key.family = ip_family::v4;
    key.source = ip_address::v4(0xc0a80001).bytes;
    key.destination = ip_address::v4(0x0a000000u + number).bytes;
    return key;
  };
  const stopwatch clock;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key = key_of(i);
    flow_verdict verdict;
    verdict.egress = static_cast<std::uint16_t>(i);
    flows.store(key, flow_cache::hash(key), 1, verdict);
    const auto* found = flows.find(key, flow_cache::hash(key), 1);
    ++(found != nullptr && found->egress == verdict.egress ? figures.verified : figures.wrong);
  }
  figures.add_seconds = clock.seconds();
  return figures;
}

result<object_figures> measure_ipv4_routes(const crypto_engines&, std::uint32_t count) {
  return measure_routes(ip_family::v4, count);
}
result<object_figures> measure_ipv6_routes(const crypto_engines&, std::uint32_t count) {
  return measure_routes(ip_family::v6, count);
}

result<object_figures> measure_operator_rules(const crypto_engines&, std::uint32_t count) {
  object_figures figures;
  rule_set rules(count);
  const auto before = memory_now();
  const stopwatch clock;
  auto built = operator_rules::build(rules.rules());
  if (!built) return std::unexpected(built.error());
  figures.add_seconds = clock.seconds();
  figures.bytes_each = (memory_now() - before).allocated() / count;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto* found = (*built)->match(rules.key_for(i), no_port);
    ++(found != nullptr && found->flows == rules.rules()[i].flows ? figures.verified : figures.wrong);
  }
  return figures;
}

result<object_figures> measure_packet_buffers(const crypto_engines&, std::uint32_t count) {
  object_figures figures;
  const auto before = memory_now();
  const stopwatch clock;
  auto* pool = rte_pktmbuf_pool_create("bench_buffers", count, 0, sizeof(packet_meta), ordinary_buffer, SOCKET_ID_ANY);
  figures.add_seconds = clock.seconds();
  if (pool == nullptr) return failure("no memory for " + std::to_string(count) + " packet buffers");
  figures.bytes_each = (memory_now() - before).dpdk / count;
  figures.verified = rte_mempool_avail_count(pool);
  figures.wrong = count - figures.verified;
  rte_mempool_free(pool);
  return figures;
}

}  // namespace trunkgate::bench
