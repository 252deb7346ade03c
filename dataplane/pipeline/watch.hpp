// One watch over all workers: what it is about, and a ring of records per worker.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "dataplane/core/result.hpp"
#include "dataplane/stages/watch.hpp"

namespace trunkgate {

struct watch_options {
  watch_filter filter;
  bool capture = false;
  bool wire = false, inner = false;  // views of a capture
  std::uint8_t first_id = 1;
  std::uint32_t limit = 0;     // packets to trace
  std::uint32_t captured = 0;  // bytes of a packet that a capture keeps at most
};

// Made, drained and freed by the control thread; between publication and a grace period after it, workers write to it.
class watch {
 public:
  [[nodiscard]] static result<std::unique_ptr<watch>> make(const watch_options& options, std::size_t workers);

  [[nodiscard]] worker_watch& of(std::uint16_t worker) noexcept { return *workers_[worker]; }
  [[nodiscard]] std::uint16_t workers() const noexcept { return static_cast<std::uint16_t>(workers_.size()); }
  [[nodiscard]] std::uint32_t begun() const noexcept { return plan_.begun.load(std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t lost() const noexcept;

 private:
  watch() = default;
  struct release {
    void operator()(std::uint8_t* memory) const { std::free(memory); }
  };
  watch_plan plan_;
  std::vector<std::unique_ptr<std::uint8_t, release>> memory_;
  std::vector<std::unique_ptr<worker_watch>> workers_;
};

}  // namespace trunkgate
