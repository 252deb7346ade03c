// Plain packets pass unchanged but for their hop limit; one that is lost counts.
#include "perf/bench/forward_run.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bench/surroundings.hpp"

namespace trunkgate::bench {
namespace {

TEST(forward_run, nothing_is_lost_or_changed) {
  auto& around = surroundings::get();
  const std::atomic<bool> stop{false};
  auto bench = forward_bench::make(around.pool(64), around.engines, 9);
  ASSERT_TRUE(bench) << bench.error().reason;
  for (const packet_sizes sizes : {packet_sizes(smallest_packet), packet_sizes::imix(), packet_sizes(largest_packet)}) {
    checker checked(sizes, 9);
    const auto run = bench->run(around.pool(sizes), checked, 1, stop);
    ASSERT_TRUE(run);
    EXPECT_EQ(checked.verified(), round_packets) << sizes.name();
    EXPECT_EQ(checked.wrong(), 0u) << sizes.name();
    EXPECT_GT(run->total, 0);
    EXPECT_EQ(run->crypto, 0);
    for (const auto stage : {stage_id::rx, stage_id::classify, stage_id::policy, stage_id::forward, stage_id::tx})
      EXPECT_GT(run->stages[static_cast<std::size_t>(stage)], 0) << stage_names[static_cast<std::size_t>(stage)];
  }
}

// The rule is what lets packets pass: without it none arrives, and all count as wrong.
TEST(forward_run, what_is_dropped_is_wrong) {
  auto& around = surroundings::get();
  auto side = gateway_side::make(around.pool(64), around.engines, first_gateway(), 1);
  ASSERT_TRUE(side) << side.error().reason;
  checker checked(64, 1);
  checked.begin_round(0, chunk_packets);
  chunk buffers;
  ASSERT_TRUE(fill_chunk(around.pool(64), buffers, [&](rte_mbuf* buffer, std::size_t i) {
    write_frame(buffer, (*side)->clear->description().mac, {i, 0, 64});
  }));
  (void)(*side)->pass(*(*side)->clear, buffers);
  take_all(*(*side)->wire, [&](rte_mbuf* frame) { compare(checked, frame, 1); });
  checked.end_round();
  EXPECT_EQ(checked.verified(), 0u);
  EXPECT_EQ(checked.wrong(), chunk_packets);
}

}  // namespace
}  // namespace trunkgate::bench
