// One gateway of the bench: the real tables and one worker of the real pipeline, between two ports in memory.
#pragma once

#include <memory>

#include "dataplane/pipeline/pipeline.hpp"
#include "perf/bench/memory_port.hpp"

namespace trunkgate::bench {

inline constexpr std::uint16_t link_mtu = 9216;             // the largest packet with its ESP is not cut
inline constexpr std::uint32_t round_packets = 4096;        // buffers in flight: each is used once a round
inline constexpr std::uint32_t least_flow_entries = 65536;  // what a gateway has without gateway.flow_entries

class gateway_side {
 public:
  static constexpr std::uint16_t clear_index = 0, wire_index = 1;

  struct addresses {
    ip_address own, peer;
    mac_address clear_mac, wire_mac, clear_neighbour, wire_neighbour;
    ip_prefix far;             // what this gateway sends on,
    std::uint16_t far_port{};  // and through which port
  };
  // Room in the flow cache for so many flows, and not less than a gateway has by default.
  [[nodiscard]] static result<std::unique_ptr<gateway_side>> make(rte_mempool* pool, const crypto_engines& engines,
                                                                  const addresses& where, std::uint32_t flows);
  ~gateway_side();
  gateway_side(const gateway_side&) = delete;
  gateway_side& operator=(const gateway_side&) = delete;

  // The operator's rules from now on, as the gateway publishes them. Control thread.
  void publish_rules(std::unique_ptr<operator_rules> rules);
  // Takes the frames through the pipeline; the TSC cycles its turns took. What leaves is at the other port.
  [[nodiscard]] std::uint64_t pass(memory_port& from, std::span<rte_mbuf* const> frames) noexcept;
  [[nodiscard]] worker& only_worker() noexcept { return *pipeline_->workers().front(); }
  [[nodiscard]] forwarding_tables& tables() noexcept { return *tables_; }

  memory_port *clear = nullptr, *wire = nullptr;  // the pipeline's

 private:
  gateway_side() = default;
  [[nodiscard]] result<memory_port*> add_port(std::uint16_t index, const mac_address& mac);
  [[nodiscard]] result<void> add_routes(const addresses& where);

  std::unique_ptr<rcu_domain> rcu_;
  std::unique_ptr<operator_rules> rules_;
  std::unique_ptr<forwarding_tables> tables_;
  std::unique_ptr<pipeline> pipeline_;
};

// Gateways on the documentation network 203.0.113.0/24: the first has the senders' side 192.168.0.0/16 behind it, the
// second the receivers' side 10.0.0.0/8.
[[nodiscard]] ip_prefix senders_side();
[[nodiscard]] ip_prefix receivers_side();
[[nodiscard]] gateway_side::addresses first_gateway();
[[nodiscard]] gateway_side::addresses second_gateway();

}  // namespace trunkgate::bench
