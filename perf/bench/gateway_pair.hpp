// Two gateways in one process, a memory wire between them: one protects, the other opens.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/core/secret.hpp"
#include "dataplane/core/suite.hpp"
#include "perf/bench/gateway_side.hpp"

namespace trunkgate::bench {

inline constexpr std::uint32_t first_spi = 0x1000;

// What one SA pair of the bench is: tunnel number `index`, with selectors for flow `index` (traffic.hpp) and a random
// key; outbound at the first gateway.
[[nodiscard]] result<api::sa_record> outbound_record(esp_suite suite, std::uint32_t index);
// The same SA at the other gateway: "local" is always the gateway's own side.
[[nodiscard]] api::sa_record mirrored(const api::sa_record& outbound);

class gateway_pair {
 public:
  // `sas` tunnels of one suite from the first gateway to the second.
  [[nodiscard]] static result<gateway_pair> make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                                 std::uint32_t sas);
  // The SA's key once more, as OpenSSL prepares it, whatever the gateways use.
  [[nodiscard]] result<std::unique_ptr<esp_key>> judge_key(std::uint32_t sa) const;
  [[nodiscard]] const esp_engine& judge() const { return *judge_; }

 private:
  [[nodiscard]] result<void> add_tunnel(const crypto_engines& engines, std::uint32_t index);

  esp_suite suite_{};
  std::unique_ptr<esp_engine> judge_;
  std::vector<secret> materials_;                                  // by SA
  std::unique_ptr<sequence_store> sender_store_, receiver_store_;  // outlive the SAs

 public:
  std::vector<std::unique_ptr<outbound_sa>> outbound;  // outlived by the gateways' workers only
  std::vector<std::unique_ptr<inbound_sa>> inbound;
  std::unique_ptr<gateway_side> sender, receiver;
  double add_seconds = 0;   // of all SAs
  double bytes_per_sa = 0;  // of one tunnel: an outbound and an inbound SA with their tables' entries
};

}  // namespace trunkgate::bench
