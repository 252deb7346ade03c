// An engine alone: packets protected and opened again in bursts, timed, compared, and a sample opened by OpenSSL.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/core/secret.hpp"
#include "drivers/crypto/engine.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

inline constexpr std::size_t crypto_burst = 64;  // what a worker gives an engine at once when it is busy

// TSC cycles per packet of one run.
struct crypto_figures {
  double encrypt = 0, decrypt = 0;
};

// One engine and suite with so many keys: each packet uses another key than the one before it.
class crypto_bench {
 public:
  [[nodiscard]] static result<crypto_bench> make(const esp_engine& engine, esp_suite suite, std::uint32_t keys);

  // `packets` is rounded up to whole chunks. Nothing if `stop` was set meanwhile.
  [[nodiscard]] std::optional<crypto_figures> run(packet_sizes sizes, std::uint32_t packets,
                                                  const std::atomic<bool>& stop);
  [[nodiscard]] std::uint64_t verified() const { return verified_; }
  [[nodiscard]] std::uint64_t judged() const { return judged_; }
  [[nodiscard]] std::uint64_t wrong() const { return wrong_; }

 private:
  struct place {
    std::size_t offset;  // of the ESP header in bytes_
    std::uint32_t payload, whole;
    std::uint32_t key;
  };
  crypto_bench() = default;
  void write_chunk(packet_sizes sizes);
  [[nodiscard]] std::uint64_t timed(void (esp_processor::*work)(std::span<esp_op* const>) noexcept);
  void ask_judge();
  void compare_chunk();

  esp_suite suite_{};
  std::unique_ptr<esp_engine> judge_;
  std::unique_ptr<esp_processor> processor_, judge_processor_;
  std::vector<std::unique_ptr<esp_key>> keys_;
  std::vector<secret> materials_;
  std::uint64_t next_number_ = 1;
  std::vector<place> places_;
  std::vector<std::uint8_t> bytes_, plain_, opened_;  // worked on; as it was; what the judge works on
  std::vector<esp_op> ops_;
  std::vector<esp_op*> op_pointers_;
  std::uint64_t verified_ = 0, judged_ = 0, wrong_ = 0;
};

}  // namespace trunkgate::bench
