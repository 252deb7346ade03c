#include "dataplane/main/gateway.hpp"

#include <sched.h>

#include <algorithm>
#include <random>

#include <rte_cycles.h>
#include <rte_mempool.h>

#include "dataplane/main/log.hpp"
#include "drivers/host/netdev_guard.hpp"

namespace trunkgate {
namespace {

constexpr std::uint32_t default_flow_entries = 65536;
constexpr unsigned tables_mb = 320;  // FIB (64 MB for IPv4), reassembly, rules, and room
// A control plane that has kept its keys puts them in again within seconds of a restart, or never.
constexpr std::uint64_t orphan_lifetime_ms = 10 * 60 * 1000;
constexpr unsigned ticks_per_refresh = 5, ticks_per_confirmation = 25;

std::uint16_t worker_count(const api::gateway_record& wanted) {
  if (wanted.workers != 0) return wanted.workers;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  const int cores = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
  return static_cast<std::uint16_t>(std::clamp(cores - 1, 1, 64));
}

// A buffer takes a whole frame of the largest MTU, and what a peer's ESP fragments add up to (RFC 4303 3.4.1).
std::uint16_t buffer_size(std::uint16_t max_mtu) {
  return static_cast<std::uint16_t>((packet_headroom + std::max<std::uint16_t>(max_mtu, 1500) + 512 + 127) / 128 * 128);
}

std::uint32_t buffer_count(const api::gateway_record& wanted, std::uint16_t workers) {
  if (wanted.buffers != 0) return wanted.buffers;
  return (wanted.max_mtu > 2048 ? 8192u : 16384u) * std::max<std::uint32_t>(1, (workers + 1u) / 2);
}

bool needs_restart(const api::gateway_record& a, const api::gateway_record& b) {
  return a.workers != b.workers || a.busy_poll != b.busy_poll || a.hugepages != b.hugepages || a.max_mtu != b.max_mtu ||
         a.buffers != b.buffers || a.flow_entries != b.flow_entries;
}

}  // namespace

gateway::gateway() : instance_(std::random_device{}() | std::uint64_t{std::random_device{}()} << 32 | 1) {}

gateway::~gateway() {
  if (!running_) return;
  // Routes of ours first, while their TAPs are there; then the ports go back to the kernel, then the threads end.
  for (const auto& route : routes_)
    (void)kernel_->kernel().remove_route(route.destination, route.via, ports_->tap_of(route.port.view())).has_value();
  close_ports_but({});
  host_.reset();
  pipeline_->stop();
  watcher_.reset();
  tables_->rules.store(nullptr);
  rules_.reset();
  sas_.reset();
  traps_.reset();
  ports_.reset();
  rcu_->wait();
  pipeline_.reset();
  kernel_.reset();
  tables_.reset();
}

result<void> gateway::start_tables(const api::gateway_record& wanted) {
  const std::uint16_t workers = worker_count(wanted);
  auto rcu = rcu_domain::make(workers);
  if (!rcu) return std::unexpected(rcu.error());
  rcu_ = std::move(*rcu);
  tables_ = std::make_unique<forwarding_tables>(*rcu_);
  auto routes = fib::make(*rcu_, tables_->generation);
  if (!routes) return std::unexpected(routes.error());
  tables_->routes = std::move(*routes);
  tables_->selectors = selector_table::make(*rcu_);
  auto made =
      pipeline::make(*tables_, {.workers = workers,
                                .busy_poll = wanted.busy_poll != 0,
                                .flow_entries = wanted.flow_entries != 0 ? wanted.flow_entries : default_flow_entries,
                                .pool = pool_,
                                .engines = engines_.get()});
  if (!made) return std::unexpected(made.error());
  pipeline_ = std::move(*made);
  auto kernel = kernel_sync::open(*tables_, [this](const kernel_link& link, bool present) {
    if (ports_ != nullptr) ports_->link_changed(link, present);
  });
  if (!kernel) return std::unexpected(kernel.error());
  kernel_ = std::move(*kernel);
  const auto port_of = [this](std::string_view name) {
    const auto port = ports_->find(name);
    return is_tunnel_port(port) ? port : no_port;
  };
  traps_ = std::make_unique<trap_set>(*tables_, port_of);
  sas_ = std::make_unique<sa_set>(
      *tables_, *engines_, *store_, workers, port_of, [this](const api::event& event) { events_.add(event); },
      traps_.get());
  return {};
}

result<void> gateway::start(const staged_batch& batch) {
  if (!batch.gateway) return failure("the first batch must describe the gateway");
  const auto& wanted = *batch.gateway;
  const auto buffers = buffer_count(wanted, worker_count(wanted));
  const auto size = buffer_size(wanted.max_mtu);
  eal_options options{
      .hugepages = wanted.hugepages != 0,
      .memory_mb = tables_mb + static_cast<std::uint32_t>(std::uint64_t{buffers} * (size + 320u) / (1 << 20)),
      .pci_devices = {}};
  for (const auto& port : batch.ports)
    if (port.device.view().find(':') != std::string_view::npos && port.driver <= api::port_driver_kind::vfio)
      options.pci_devices.emplace_back(port.device.view());
  auto eal = start_eal(options);
  if (!eal) return std::unexpected(eal.error());
  eal_ = *eal;
  auto engines = crypto_engines::start();
  if (!engines) return std::unexpected(engines.error());
  engines_ = std::make_unique<crypto_engines>(std::move(*engines));
  auto store = sequence_store::open();
  if (!store) return std::unexpected(store.error());
  store_ = std::move(*store);
  pool_ = rte_pktmbuf_pool_create("packets", buffers, 256, sizeof(packet_meta), size, SOCKET_ID_ANY);
  if (pool_ == nullptr)
    return failure("no memory for " + std::to_string(buffers) + " packet buffers of " + std::to_string(size) +
                   " bytes: lower gateway.buffers");
  if (auto tables = start_tables(wanted); !tables) return tables;
  configured_ = wanted;
  pipeline_->start();
  host_ = std::make_unique<host_thread>(*pipeline_);
  ports_ = std::make_unique<port_set>(*pipeline_, *host_, *kernel_);
  watcher_ = std::make_unique<watcher>(*pipeline_, *ports_, *sas_);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  started_unix_ns_ = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  orphans_until_ms_ = monotonic_ms() + orphan_lifetime_ms;
  running_ = true;
  if (auto first = kernel_->dispatch(); !first) return first;
  events_.add(api::event{});  // of the kind `started`
  log_event("started",
            std::to_string(pipeline_->workers().size()) + " workers, " + (eal_.hugepages ? "hugepages" : eal_.note));
  for (const auto& choice : engines_->choices())
    if (!choice.note.empty()) log_event("engine", std::string(info(choice.suite).name) + ": " + choice.note);
  return {};
}

result<std::vector<gateway::port_change>> gateway::open_ports(const staged_batch& batch) {
  std::vector<api::port_record> present;
  ports_->each([&](const api::port_record& record) { present.push_back(record); });
  std::vector<port_change> changes;
  for (const auto& wanted : batch.ports) {
    const auto old = std::find_if(present.begin(), present.end(), [&](const auto& p) { return p.port == wanted.port; });
    if (old != present.end() && *old == wanted) continue;
    changes.push_back({std::string(wanted.port.view()), std::nullopt});
    if (old != present.end()) {
      changes.back().before = *old;
      ports_->close(wanted.port.view());
    }
    if (auto index = ports_->open(wanted); !index) {
      undo_ports(changes);
      return std::unexpected(index.error());
    }
  }
  return changes;
}

void gateway::undo_ports(const std::vector<port_change>& changes) {
  for (const auto& change : changes) {
    ports_->close(change.port);
    if (!change.before) continue;
    if (auto again = ports_->open(*change.before); !again) log_event("port-lost", again.error().reason);
  }
  sas_->rebind_interfaces();
  traps_->rebind_interfaces();
  ports_->refresh_tunnels();
  // The routes over a port went with its TAP.
  for (const auto& route : routes_)
    if (auto again = kernel_->kernel().add_route(route.destination, route.via, ports_->tap_of(route.port.view()));
        !again)
      log_event("route-lost", to_string(route.destination) + ": " + again.error().reason);
  ports_->start_receiving();
}

void gateway::close_ports_but(const std::vector<api::port_record>& wanted) {
  std::vector<std::string> gone;
  ports_->each([&](const api::port_record& record) {
    if (std::none_of(wanted.begin(), wanted.end(), [&](const auto& w) { return w.port == record.port; }))
      gone.emplace_back(record.port.view());
  });
  for (const auto& port : gone) ports_->close(port);
}

result<std::unique_ptr<gateway::rule_set>> gateway::build_rules(const std::vector<api::policy_record>& policies) const {
  auto made = std::make_unique<rule_set>();
  made->records = policies;
  made->flows = std::make_unique<counter[]>(policies.size());
  std::vector<operator_rules::rule> rules;
  const auto index_of = [this](const api::name& port) {
    if (port.view() == api::any_port) return no_port;
    return port.view() == api::box_port ? box_index : ports_->find(port.view());
  };
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const auto& p = policies[i];
    const auto from = index_of(p.from), to = index_of(p.to);
    if ((from == no_port && p.from.view() != api::any_port) || (to == no_port && p.to.view() != api::any_port))
      return failure("policy " + std::string(p.policy.view()) + ": there is no such port");
    rules.push_back({.record = p, .from = from, .to = to, .flows = &made->flows[i]});
  }
  if (rules.empty()) return made;
  auto compiled = operator_rules::build(rules);
  if (!compiled) return std::unexpected(compiled.error());
  made->compiled = std::move(*compiled);
  return made;
}

void gateway::publish_rules(std::unique_ptr<rule_set> rules) {
  tables_->rules.store(rules->compiled.get(), std::memory_order_release);
  tables_->generation.fetch_add(1, std::memory_order_release);
  if (rules_ != nullptr) rcu_->retire(std::move(rules_));
  rules_ = std::move(rules);
}

result<void> gateway::set_routes(const std::vector<api::route_record>& wanted) {
  auto& kernel = kernel_->kernel();
  const auto take_away = [&](const std::vector<api::route_record>& from, const std::vector<api::route_record>& but) {
    for (const auto& route : from)
      if (std::find(but.begin(), but.end(), route) == but.end())
        if (auto gone = kernel.remove_route(route.destination, route.via, ports_->tap_of(route.port.view())); !gone)
          log_event("route", to_string(route.destination) + ": " + gone.error().reason);
  };
  std::vector<api::route_record> added;
  for (const auto& route : wanted) {
    if (auto done = kernel.add_route(route.destination, route.via, ports_->tap_of(route.port.view())); !done) {
      take_away(added, routes_);
      return failure("route " + to_string(route.destination) + ": " + done.error().reason);
    }
    added.push_back(route);
  }
  take_away(routes_, wanted);
  routes_ = wanted;
  return {};
}

result<void> gateway::apply(staged_batch& batch) {
  if (!running_) {
    if (auto started = start(batch); !started) return started;
  } else if (batch.gateway && needs_restart(configured_, *batch.gateway)) {
    return failure(
        "gateway: workers, busy_poll, hugepages, buffers, flow_entries or the largest MTU changed: needs a restart of "
        "the data plane");
  }
  auto changes = open_ports(batch);
  if (!changes) return std::unexpected(changes.error());
  const auto undo = [&](const error& why) -> result<void> {
    undo_ports(*changes);
    return std::unexpected(why);
  };
  std::unique_ptr<rule_set> rules;
  const auto orders = trap_set::orders_of(batch.traps);
  if (!orders) return undo(orders.error());
  if (batch.replace) {
    auto built = build_rules(batch.policies);
    if (!built) return undo(built.error());
    rules = std::move(*built);
  }
  auto change = sas_->prepare({.sas = batch.sas,
                               .removed = batch.removed,
                               .moved = batch.moved,
                               .replaced_by = batch.replace ? &batch.ports : nullptr});
  if (!change) return undo(change.error());
  if (batch.replace)
    if (auto routed = set_routes(batch.routes); !routed) return undo(routed.error());
  sas_->commit(**change);
  if (!changes->empty()) sas_->rebind_interfaces();
  if (batch.replace) {
    sas_->follow_orders(*orders, true);
    traps_->replace(batch.traps);
    sas_->follow_orders(*orders, false);
    publish_rules(std::move(rules));
    close_ports_but(batch.ports);
  }
  if (batch.gateway) configured_ = *batch.gateway;
  on_kernel();
  ports_->refresh_tunnels();
  ports_->start_receiving();
  rcu_->reclaim();
  return {};
}

void gateway::on_kernel() {
  if (auto done = kernel_->dispatch(); !done) log_event("netlink", done.error().reason);
}

bool gateway::on_workers() {
  // announce() comes back with the next look; what arrives between is found by this loop or wakes us again.
  pipeline_->control_wake.woke();
  pipeline_->control_wake.announce();
  resolve_request request;
  while (pipeline_->next_resolve(request)) kernel_->resolve(request);
  api::event event;
  // No more than are kept: a flood of one kind must not push out what subscribers have not got yet.
  for (std::size_t taken = 0; taken < events_kept / 2; ++taken) {
    if (!pipeline_->next_event(event)) return false;
    events_.add(event);
  }
  return true;
}

void gateway::on_tick() {
  if (!running_) return;
  rcu_->reclaim();
  if (monotonic_ms() >= orphans_until_ms_) {
    orphans_until_ms_ = ~0ull;
    if (const auto freed = store_->give_back_orphans(); freed != 0)
      log_event("sequences",
                std::to_string(freed) + " records of negotiated keys from an earlier process are free again");
  }
  sas_->expire(monotonic_ms());
  ports_->refresh_tunnels();
  ++ticks_;
  if (ticks_ % ticks_per_refresh == 0) ports_->refresh();
  if (ticks_ % ticks_per_confirmation == 0) kernel_->confirm_neighbours();
}

}  // namespace trunkgate
