// Frames in buffers, and what a worker's stages counted while they passed.
#pragma once

#include <array>
#include <functional>
#include <span>

#include "perf/bench/gateway_side.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

inline constexpr std::uint32_t chunk_packets = 256;  // written and then taken at once, as from a device's receive ring
using chunk = std::array<rte_mbuf*, chunk_packets>;

// Buffers for packets of these sizes. The larger ones are made when they are first wanted.
class buffer_pools {
 public:
  buffer_pools() = default;
  ~buffer_pools();  // no buffer is in use any more
  buffer_pools(const buffer_pools&) = delete;
  buffer_pools& operator=(const buffer_pools&) = delete;
  [[nodiscard]] result<rte_mempool*> for_packets(packet_sizes sizes);

 private:
  rte_mempool *ordinary_ = nullptr, *large_ = nullptr;
};

// TSC cycles per packet of one run.
struct pass_figures {
  double total = 0;   // the worker's turns, from receive to transmit
  double crypto = 0;  // the engine alone, on the same packets in the same bursts
  std::array<double, stage_count> stages{};
};

// A chunk of buffers with `fill(buffer, i)` for the i-th written into each. False: the pool is empty, our mistake.
template <class Fill>
bool fill_chunk(rte_mempool* pool, chunk& buffers, Fill&& fill) {
  if (rte_pktmbuf_alloc_bulk(pool, buffers.data(), chunk_packets) != 0) return false;
  for (std::size_t i = 0; i < chunk_packets; ++i) fill(buffers[i], i);
  return true;
}
void free_all(std::span<rte_mbuf* const> buffers);
void write_frame(rte_mbuf* buffer, const mac_address& to, const numbered_packet& packet);

// Everything that left through the port; the buffers are freed behind `visit(frame)`.
template <class Visit>
void take_all(memory_port& port, Visit&& visit) {
  chunk frames;
  for (auto taken = port.take(frames); !taken.empty(); taken = port.take(frames)) {
    for (auto* frame : taken) visit(frame);
    free_all(taken);
  }
}
// The IP packet in a frame, to the checker.
void compare(checker& checked, rte_mbuf* frame, std::uint8_t hops_spent);

// What the stages counted, so that a run can be told from those before it.
struct stage_totals {
  std::array<std::uint64_t, stage_count> cycles{};
  std::uint64_t packets = 0, bursts = 0;  // of `of`
  stage_totals(worker& from, stage_id of);
};
void fill_stages(pass_figures& into, const stage_totals& before, const stage_totals& after, double packets);

}  // namespace trunkgate::bench
