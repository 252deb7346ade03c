// A gateway of real tables, real engines and real workers between two ports in memory, for tests of stages and
// pipeline.
//
// Port 0 is "inside": 10.1.0.1/16 and fd01::1/64, with a host 10.1.0.2 and fd01::2. Port 1 is "outside": 192.0.2.1/24
// and 2001:db8::1/64, with peers 192.0.2.2, 192.0.2.3 and 2001:db8::2. Everything else is routed outside, over the
// first peer.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/pipeline/pipeline.hpp"
#include "perf/bench/memory_port.hpp"
#include "tests/unit/packet/packets.hpp"

namespace trunkgate::test {

using bench::memory_port;
inline constexpr std::uint16_t inside = 0, outside = 1;
inline constexpr mac_address inside_mac{2, 0, 0, 0, 0, 1}, outside_mac{2, 0, 0, 0, 0, 2}, host_mac{2, 1, 1, 1, 1, 1},
    peer_mac{2, 2, 2, 2, 2, 2};

void start_test_eal();  // once per process
[[nodiscard]] const crypto_engines& engines();
[[nodiscard]] bytes some_key(esp_suite suite, std::uint8_t first = 1);

// A record that make_outbound_sa or make_inbound_sa takes: this gateway's 10.1.0.0/16 and fd01::/64 with the peer's
// 10.2.0.0/16 and fd02::/64, between 192.0.2.1 and 192.0.2.2.
[[nodiscard]] api::sa_record sa_between(api::sa_direction direction, esp_suite suite, std::uint32_t spi);
void set_prefixes(api::sa_record& record, std::initializer_list<const char*> local,
                  std::initializer_list<const char*> remote);

struct gateway_options {
  std::uint16_t workers = 1;
  unsigned buffers = 4095;
  bool outside_has_one_queue = false;
  bool busy_poll = false;
  const crypto_engines* engines = nullptr;  // nullptr: this machine's
};

class little_gateway {
 public:
  explicit little_gateway(const gateway_options& options = {});
  ~little_gateway();  // fails the test if a packet buffer got lost
  little_gateway(const little_gateway&) = delete;

  outbound_sa& add_outbound(api::sa_record record, std::uint16_t owner = 0);
  inbound_sa& add_inbound(api::sa_record record, std::uint16_t owner = 0);
  void add_rule(const char* source, const char* destination, api::policy_action action);
  void add_rule(const api::policy_record& record);  // for every port

  [[nodiscard]] stage_context& context(std::uint16_t worker = 0) { return pipeline_->workers()[worker]->context(); }
  // A buffer with these bytes and a fresh packet_meta.
  [[nodiscard]] rte_mbuf* buffer(const bytes& content);
  // An IP packet as a frame that comes in from a host on `port`.
  void receive(std::uint16_t port, const bytes& ip, std::uint16_t queue = 0);
  void receive_frame(std::uint16_t port, const bytes& frame, std::uint16_t queue = 0);
  // Turns of every worker, one after the other, until nothing moves.
  void run();
  // The IP packets that left through the port since the last call, or the whole frames.
  [[nodiscard]] std::vector<bytes> sent(std::uint16_t port);
  [[nodiscard]] std::vector<bytes> sent_frames(std::uint16_t port);
  [[nodiscard]] std::vector<bytes> punted();  // frames for the kernel
  [[nodiscard]] std::uint64_t drops(drop_reason reason) const;
  [[nodiscard]] std::uint64_t all_drops() const;
  // What waits before a stage of worker 0 leaves it, as bytes.
  [[nodiscard]] std::vector<bytes> waiting_at(stage_id stage);

  [[nodiscard]] forwarding_tables& tables() { return *tables_; }
  [[nodiscard]] pipeline& workers() { return *pipeline_; }
  [[nodiscard]] rcu_domain& rcu() { return *rcu_; }
  [[nodiscard]] memory_port& wire(std::uint16_t port) { return *wires_[port]; }
  [[nodiscard]] sequence_store& store() { return *store_; }
  [[nodiscard]] rte_mempool* pool() { return pool_; }

 private:
  void fill_tables();

  rte_mempool* pool_ = nullptr;
  unsigned buffers_;
  std::unique_ptr<sequence_store> store_;
  std::unique_ptr<rcu_domain> rcu_;
  std::unique_ptr<forwarding_tables> tables_;
  std::unique_ptr<pipeline> pipeline_;
  memory_port* wires_[2] = {};
  std::vector<std::unique_ptr<outbound_sa>> outbound_;
  std::vector<std::unique_ptr<inbound_sa>> inbound_;
  std::vector<operator_rules::rule> rules_;
  std::unique_ptr<operator_rules> compiled_;
  counter rule_flows_;
};

// The frame around an IP packet; VLAN 0: none.
[[nodiscard]] bytes frame_of(const mac_address& destination, const mac_address& source, const bytes& ip,
                             std::uint16_t vlan = 0);
[[nodiscard]] bytes content_of(rte_mbuf* packet);  // and frees it

}  // namespace trunkgate::test
