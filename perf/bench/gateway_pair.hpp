// Two gateways in one process, a memory wire between them: one protects, the other opens.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "dataplane/core/suite.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "perf/bench/memory_port.hpp"

namespace trunkgate::bench {

inline constexpr std::uint32_t sa_limit = 65536;
inline constexpr std::uint16_t link_mtu = 1700;  // the largest packet with its ESP is not cut
inline constexpr std::uint32_t first_spi = 0x1000;

// One gateway: the real tables and one worker of the real pipeline, between two memory ports.
class gateway_side {
 public:
  struct addresses {
    ip_address own, peer;
    mac_address clear_mac, wire_mac, clear_neighbour, wire_neighbour;
  };
  [[nodiscard]] static result<std::unique_ptr<gateway_side>> make(rte_mempool* pool, const crypto_engines& engines,
                                                                  const addresses& where);
  ~gateway_side();

  // Takes the frames through the pipeline; the TSC cycles its turns took. What leaves is at the other port.
  [[nodiscard]] std::uint64_t pass(memory_port& from, std::span<rte_mbuf* const> frames) noexcept;
  [[nodiscard]] worker& only_worker() noexcept { return *pipeline_->workers().front(); }

  memory_port *clear = nullptr, *wire = nullptr;  // the pipeline's
  std::vector<std::unique_ptr<outbound_sa>> outbound;
  std::vector<std::unique_ptr<inbound_sa>> inbound;

 private:
  friend class gateway_pair;
  gateway_side() = default;
  [[nodiscard]] result<memory_port*> add_port(std::uint16_t index, const mac_address& mac);
  [[nodiscard]] result<void> add_routes(const addresses& where);

  std::unique_ptr<rcu_domain> rcu_;
  std::unique_ptr<forwarding_tables> tables_;
  std::unique_ptr<pipeline> pipeline_;
};

class gateway_pair {
 public:
  // `sas` tunnels of one suite from the first gateway to the second.
  [[nodiscard]] static result<gateway_pair> make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                                 std::uint32_t sas);

  std::unique_ptr<esp_engine> judge;                 // OpenSSL, whatever the gateways use
  std::vector<std::unique_ptr<esp_key>> judge_keys;  // the SAs' keys, for the judge

 private:
  [[nodiscard]] result<void> add_tunnel(const crypto_engines& engines, esp_suite suite, std::uint32_t index);
  std::unique_ptr<sequence_store> store_;  // outlives the SAs

 public:
  std::unique_ptr<gateway_side> sender, receiver;
};

}  // namespace trunkgate::bench
