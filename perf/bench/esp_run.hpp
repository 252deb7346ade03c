// One measurement: packets out through one gateway and in through another, timed, and every one of them compared.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "perf/bench/gateway_pair.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

inline constexpr std::uint32_t round_packets = 4096;  // buffers in flight: each is used once a round
inline constexpr std::uint32_t chunk_packets = 256;   // written and then taken at once, as from a device's receive ring

// TSC cycles per packet of one run in one direction.
struct direction_figures {
  double total = 0;   // the worker's turns, from receive to transmit
  double crypto = 0;  // the engine alone, on the same packets in the same bursts
  std::array<double, stage_count> stages{};
};

struct run_figures {
  direction_figures out, in;
};

// One suite with so many SAs. Packets of any size may be sent through it, one size at a time.
class esp_bench {
 public:
  [[nodiscard]] static result<esp_bench> make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                              std::uint32_t sas);

  // `packets` is rounded up to whole rounds. Nothing if `stop` was set meanwhile.
  [[nodiscard]] std::optional<run_figures> run(checker& checked, std::uint32_t packets, const std::atomic<bool>& stop);
  // Packets that the judge opened and found right.
  [[nodiscard]] std::uint64_t judged() const { return judged_; }

 private:
  struct frame_copy {
    std::uint32_t length;
    std::array<std::uint8_t, link_mtu + 64> bytes;
  };
  struct crypto_cycles {
    std::uint64_t encrypt = 0, decrypt = 0;
  };

  esp_bench(rte_mempool* pool, gateway_pair pair, crypto_worker crypto, std::unique_ptr<esp_processor> judge,
            std::uint32_t sas, esp_suite suite)
      : pool_(pool),
        pair_(std::move(pair)),
        crypto_(std::move(crypto)),
        judge_(std::move(judge)),
        sas_(sas),
        suite_(suite) {}

  [[nodiscard]] std::uint64_t send_round(std::uint16_t size);
  [[nodiscard]] std::uint64_t receive_round(checker& checked);
  void time_crypto(checker& checked, std::size_t burst, crypto_cycles& into);
  void ask_judge(checker& checked);
  [[nodiscard]] esp_op operation(std::uint8_t* frame, std::uint32_t length, const esp_key* key) const;
  [[nodiscard]] std::uint32_t sa_of(const std::uint8_t* frame) const;

  rte_mempool* pool_;
  gateway_pair pair_;
  crypto_worker crypto_;
  std::unique_ptr<esp_processor> judge_;
  std::uint32_t sas_;
  esp_suite suite_;
  std::uint64_t next_number_ = 1;
  std::vector<frame_copy> wire_;  // what the sender put on the wire in this round
  std::uint64_t judged_ = 0;
};

}  // namespace trunkgate::bench
