// What dumps answer: the state as it is now, in the API's words.
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_mempool.h>

#include "dataplane/main/gateway.hpp"

namespace trunkgate {

void gateway::report(const std::function<void(const api::gateway_status&)>& visit) const {
  api::gateway_status status;
  status.configured = configured_;
  status.pid = static_cast<std::uint32_t>(::getpid());
  status.instance = instance_;
  if (running_) {
    status.started_unix_ns = started_unix_ns_;
    status.workers = static_cast<std::uint16_t>(pipeline_->workers().size());
    status.hugepages = eal_.hugepages ? 1 : 0;
    status.sequences_survive = store_->survives() ? 1 : 0;
    status.buffers = pool_->size;
    status.buffers_free = rte_mempool_avail_count(pool_);
    status.generation = tables_->generation.load();
    status.tsc_hz = rte_get_tsc_hz();
  }
  visit(status);
}

void gateway::report(const std::function<void(const api::port_status&)>& visit) const {
  if (!running_) return;
  ports_->report([&](api::port_status status) {
    sas_->add_traffic(status.configured.port.view(), status);
    visit(status);
  });
}

void gateway::report(const std::function<void(const api::sa_status&)>& visit) const {
  if (running_) sas_->report(visit);
}

void gateway::report(const std::function<void(const api::policy_status&)>& visit) const {
  if (rules_ == nullptr) return;
  for (std::size_t i = 0; i < rules_->records.size(); ++i) {
    api::policy_status status;
    status.configured = rules_->records[i];
    status.order = static_cast<std::uint32_t>(i);
    status.flows = rules_->flows[i].get();
    visit(status);
  }
}

void gateway::report(const std::function<void(const api::route_status&)>& visit) const {
  if (!running_) return;
  const auto tell = [&](api::route_status status) {
    // Nobody resolves a next hop inside a tunnel.
    if (is_tunnel_port(ports_->find(status.port.view()))) status.resolved = 1;
    visit(status);
  };
  tables_->routes->each_route(tell, [this](std::uint16_t port) { return ports_->name_of(port); });
}

void gateway::report(const std::function<void(const api::stage_status&)>& visit) const {
  if (!running_) return;
  for (const auto& worker : pipeline_->workers())
    for (std::size_t s = 0; s < stage_count; ++s) {
      const auto& counters = worker->context().stages[s];
      api::stage_status status;
      status.stage = api::text<24>(stage_names[s]);
      status.worker = worker->context().worker;
      status.packets = counters.packets.get();
      status.bursts = counters.bursts.get();
      status.cycles = counters.cycles.get();
      visit(status);
    }
}

void gateway::report(const std::function<void(const api::worker_status&)>& visit) const {
  if (!running_) return;
  for (const auto& worker : pipeline_->workers()) {
    api::worker_status status;
    status.worker = worker->context().worker;
    status.busy_cycles = worker->counters.busy_cycles.get();
    status.idle_cycles = worker->counters.idle_cycles.get();
    status.sleeps = worker->counters.sleeps.get();
    status.flow_hits = worker->context().flow_hits.get();
    status.flow_misses = worker->context().flow_misses.get();
    status.handed_over = worker->context().handed_over.get();
    visit(status);
  }
}

void gateway::report(const std::function<void(const api::drop_status&)>& visit) const {
  if (!running_) return;
  const auto tell = [&visit](std::uint16_t worker, const std::array<counter, drop_reason_count>& drops) {
    for (std::size_t reason = 1; reason < drop_reason_count; ++reason)
      if (const auto packets = drops[reason].get(); packets != 0) {
        api::drop_status status;
        status.worker = worker;
        status.reason = static_cast<std::uint8_t>(reason);
        status.packets = packets;
        visit(status);
      }
  };
  for (const auto& worker : pipeline_->workers()) tell(worker->context().worker, worker->context().drops);
  tell(0xffff, host_->drops);  // the host thread, no worker
}

void gateway::report(const std::function<void(const api::algorithm_status&)>& visit) const {
  if (!running_) return;
  for (const auto& choice : engines_->choices()) {
    api::algorithm_status status;
    status.algorithm = api::text<32>(info(choice.suite).name);
    status.engine = api::text<16>(choice.engine->name());
    status.note = api::text<96>(choice.note);
    visit(status);
  }
}

void gateway::report(const std::function<void(const api::event&)>& visit) const {
  for (const auto& event : events_.all()) visit(event);
}

}  // namespace trunkgate
