// Plain forwarding: packets through one gateway that an operator's rule lets pass, timed, and every one compared.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "perf/bench/frames.hpp"

namespace trunkgate::bench {

// A rule that lets everything pass. The counter outlives what is built from it.
[[nodiscard]] operator_rules::rule bypass_all(counter* flows);

class forward_bench {
 public:
  [[nodiscard]] static result<forward_bench> make(rte_mempool* pool, const crypto_engines& engines,
                                                  std::uint32_t flows);
  // `packets` is rounded up to whole rounds; their buffers come from `pool`. Nothing if `stop` was set meanwhile.
  [[nodiscard]] std::optional<pass_figures> run(rte_mempool* pool, checker& checked, std::uint32_t packets,
                                                const std::atomic<bool>& stop);

 private:
  forward_bench() = default;
  std::unique_ptr<counter> rule_flows_;  // of the one rule
  std::unique_ptr<gateway_side> side_;
  std::uint32_t flows_ = 1;
  std::uint64_t next_number_ = 1;
};

}  // namespace trunkgate::bench
