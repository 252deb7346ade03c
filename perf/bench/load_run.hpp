// A gateway under a load that does not wait for it: one thread works, another sends at a rate and looks when what comes
// out.
#pragma once

#include <sched.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "perf/bench/frames.hpp"
#include "perf/bench/gateway_pair.hpp"

namespace trunkgate::bench {

inline constexpr unsigned receive_room = 1024;  // frames that wait for the gateway at most, as in a device's ring

// One trial.
struct trial_figures {
  double wanted = 0, offered = 0, delivered = 0;  // packets per second
  std::uint64_t sent = 0, lost = 0;
  double gateway_share = 0;         // of a processor; less than 1: other work took it
  double longest_pause = 0;         // seconds in which the generator was not there
  std::vector<double> latencies{};  // microseconds, sorted; of a packet from the one ring into the other
  [[nodiscard]] double loss() const { return sent == 0 ? 0 : static_cast<double>(lost) / static_cast<double>(sent); }
};

// Samples of what came out, opened by OpenSSL and compared.
struct checks_of_load {
  std::uint64_t judged = 0, wrong = 0;
};

// One SA, outbound, of one suite. Wants two processors.
class load_bench {
 public:
  [[nodiscard]] static result<std::unique_ptr<load_bench>> make(rte_mempool* pool, const crypto_engines& engines,
                                                                esp_suite suite);
  ~load_bench();
  load_bench(const load_bench&) = delete;
  load_bench& operator=(const load_bench&) = delete;

  void prepare(packet_sizes sizes);  // what run() sends from now on
  // Sends for so long at so many packets per second; 0: as fast as it can. Nothing if `stop` was set meanwhile.
  [[nodiscard]] std::optional<trial_figures> run(double rate, double seconds, const std::atomic<bool>& stop);
  [[nodiscard]] const checks_of_load& checked() const { return checked_; }

 private:
  load_bench(rte_mempool* pool, gateway_pair pair, std::unique_ptr<esp_processor> judge, esp_suite suite);
  struct trial_state;
  [[nodiscard]] bool find_first_sequence();
  void send(trial_state& now, std::size_t due);
  void collect(trial_state& now);
  void ask_judge();

  rte_mempool* pool_;
  gateway_pair pair_;
  std::unique_ptr<esp_processor> judge_;
  esp_suite suite_;
  packet_sizes sizes_{0};
  std::vector<std::vector<std::uint8_t>> frames_;   // what is sent, in turn
  std::vector<std::vector<std::uint8_t>> samples_;  // of what came out, for the judge
  std::uint32_t first_sequence_ = 0;                // of the trial
  checks_of_load checked_;
  cpu_set_t allowed_;  // the caller's, before it was bound to one
  std::atomic<bool> end_{false};
  std::jthread gateway_;
};

}  // namespace trunkgate::bench
