// One measurement: packets out through one gateway and in through another, timed, and every one of them compared.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "perf/bench/frames.hpp"
#include "perf/bench/gateway_pair.hpp"

namespace trunkgate::bench {

struct run_figures {
  pass_figures out, in;
};

// One suite with so many SAs. Packets of any size may be sent through it, one plan of sizes at a time.
class esp_bench {
 public:
  [[nodiscard]] static result<esp_bench> make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                              std::uint32_t sas);

  // `packets` is rounded up to whole rounds; their buffers come from `pool`. Nothing if `stop` was set meanwhile.
  [[nodiscard]] std::optional<run_figures> run(rte_mempool* pool, checker& checked, std::uint32_t packets,
                                               const std::atomic<bool>& stop);
  // Packets that the judge opened and found right.
  [[nodiscard]] std::uint64_t judged() const { return judged_; }
  [[nodiscard]] const gateway_pair& pair() const { return pair_; }

 private:
  struct wire_frame {
    std::size_t offset;  // in wire_bytes_
    std::uint32_t length;
  };
  struct crypto_cycles {
    std::uint64_t encrypt = 0, decrypt = 0;
  };

  esp_bench(gateway_pair pair, crypto_worker crypto, std::unique_ptr<esp_processor> judge, std::uint32_t sas,
            esp_suite suite)
      : pair_(std::move(pair)), crypto_(std::move(crypto)), judge_(std::move(judge)), sas_(sas), suite_(suite) {}

  [[nodiscard]] std::uint64_t send_round(rte_mempool* pool, packet_sizes sizes);
  [[nodiscard]] std::uint64_t receive_round(rte_mempool* pool, checker& checked);
  void time_crypto(rte_mempool* pool, checker& checked, std::size_t burst, crypto_cycles& into);
  void ask_judge(checker& checked);
  [[nodiscard]] std::uint32_t sa_of(const std::uint8_t* frame) const;

  gateway_pair pair_;
  crypto_worker crypto_;
  std::unique_ptr<esp_processor> judge_;
  std::uint32_t sas_;
  esp_suite suite_;
  std::uint64_t next_number_ = 1;
  std::vector<std::uint8_t> wire_bytes_;  // what the sender put on the wire in this round
  std::vector<wire_frame> wire_;
  std::uint64_t judged_ = 0;
};

}  // namespace trunkgate::bench
