// The data plane as a whole: built at the first batch, changed by later ones, told about by dumps.
#pragma once

#include <chrono>
#include <memory>
#include <vector>

#include "dataplane/api/messages.hpp"
#include "dataplane/main/event_list.hpp"
#include "dataplane/main/host_thread.hpp"
#include "dataplane/main/kernel_sync.hpp"
#include "dataplane/main/port_set.hpp"
#include "dataplane/main/sa_set.hpp"
#include "dataplane/main/staged_batch.hpp"
#include "dataplane/main/watcher.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "drivers/crypto/engine.hpp"
#include "drivers/port/eal.hpp"

namespace trunkgate {

// Control thread.
class gateway {
 public:
  gateway();
  ~gateway();  // orderly: ports go back to the kernel

  // All or nothing. On failure the state is as before and the error names what was refused.
  [[nodiscard]] result<void> apply(staged_batch& batch);

  // Descriptors to poll for reading; -1 before the first batch.
  [[nodiscard]] int kernel_descriptor() const { return kernel_ != nullptr ? kernel_->descriptor() : -1; }
  [[nodiscard]] int worker_descriptor() const {
    return pipeline_ != nullptr ? pipeline_->control_wake.descriptor() : -1;
  }
  void on_kernel();  // netlink has something
  // Workers ask for neighbours, or tell of events. True: there may be more; give the events to who waits for them
  // first.
  bool on_workers();
  void on_tick();  // about every 200 ms
  [[nodiscard]] const event_list& events() const { return events_; }

  // nullptr before the first batch.
  [[nodiscard]] watcher* watch() const { return watcher_.get(); }

  // As sa_set::use().
  void use(std::span<const std::uint32_t> pairs, const std::function<void(const api::sa_use&)>& visit) const {
    if (running_) sas_->use(pairs, visit);
  }

  void report(const std::function<void(const api::gateway_status&)>& visit) const;
  void report(const std::function<void(const api::port_status&)>& visit) const;
  void report(const std::function<void(const api::sa_status&)>& visit) const;
  void report(const std::function<void(const api::policy_status&)>& visit) const;
  void report(const std::function<void(const api::route_status&)>& visit) const;
  void report(const std::function<void(const api::stage_status&)>& visit) const;
  void report(const std::function<void(const api::worker_status&)>& visit) const;
  void report(const std::function<void(const api::drop_status&)>& visit) const;
  void report(const std::function<void(const api::algorithm_status&)>& visit) const;
  void report(const std::function<void(const api::event&)>& visit) const;

 private:
  [[nodiscard]] result<void> start(const staged_batch& batch);
  [[nodiscard]] result<void> start_tables(const api::gateway_record& wanted);
  struct port_change {
    std::string port;
    std::optional<api::port_record> before;  // what it was, if it was there
  };
  // Ports that the batch asks for and that are not there as it wants them are opened; what changed, for undo_ports.
  [[nodiscard]] result<std::vector<port_change>> open_ports(const staged_batch& batch);
  void undo_ports(const std::vector<port_change>& changes);
  void close_ports_but(const std::vector<api::port_record>& wanted);
  struct rule_set;
  [[nodiscard]] result<std::unique_ptr<rule_set>> build_rules(const std::vector<api::policy_record>& policies) const;
  void publish_rules(std::unique_ptr<rule_set> rules);
  [[nodiscard]] result<void> set_routes(const std::vector<api::route_record>& wanted);

  std::unique_ptr<rcu_domain> rcu_;
  std::unique_ptr<forwarding_tables> tables_;
  std::unique_ptr<crypto_engines> engines_;
  std::unique_ptr<sequence_store> store_;
  rte_mempool* pool_ = nullptr;
  std::unique_ptr<kernel_sync> kernel_;
  std::unique_ptr<pipeline> pipeline_;
  std::unique_ptr<host_thread> host_;
  std::unique_ptr<port_set> ports_;
  std::unique_ptr<trap_set> traps_;
  std::unique_ptr<sa_set> sas_;
  std::unique_ptr<watcher> watcher_;

  // Rules with the counters that belong to them.
  struct rule_set {
    std::vector<api::policy_record> records;
    std::unique_ptr<counter[]> flows;
    std::unique_ptr<operator_rules> compiled;
  };
  std::unique_ptr<rule_set> rules_;
  std::vector<api::route_record> routes_;
  api::gateway_record configured_;
  event_list events_;
  eal_report eal_;
  std::uint64_t started_unix_ns_ = 0;
  unsigned ticks_ = 0;
  std::uint64_t instance_ = 0;              // of this process, random
  std::uint64_t orphans_until_ms_ = ~0ull;  // as monotonic_ms(); then the slots that nobody took up again are freed
  bool running_ = false;
};

}  // namespace trunkgate
