#include "dataplane/pipeline/watch.hpp"

namespace trunkgate {
namespace {

// The control thread comes by every 10 ms: room for 200 packets of 20 events, and for 100,000 frames a second.
constexpr std::uint32_t trace_slots = 4096, capture_slots = 1024;

}  // namespace

result<std::unique_ptr<watch>> watch::make(const watch_options& options, std::size_t workers) {
  std::unique_ptr<watch> made(new watch);
  auto& plan = made->plan_;
  plan.filter = options.filter;
  plan.capture = options.capture;
  plan.wire = options.wire;
  plan.inner = options.inner;
  plan.first_id = options.first_id;
  plan.limit = options.limit;
  const std::uint32_t slots = options.capture ? capture_slots : trace_slots;
  const std::uint32_t captured = options.capture ? options.captured : 0;
  for (std::size_t w = 0; w < workers; ++w) {
    auto* memory = static_cast<std::uint8_t*>(std::aligned_alloc(64, slots * watch_ring::slot_size(captured)));
    if (memory == nullptr) return failure("no memory for the records of a watch");
    made->memory_.emplace_back(memory);
    made->workers_.push_back(std::make_unique<worker_watch>(plan, memory, slots, captured));
  }
  return made;
}

std::uint64_t watch::lost() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& w : workers_) sum += w->ring.lost.get();
  return sum;
}

}  // namespace trunkgate
