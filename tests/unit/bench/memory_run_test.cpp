// Objects are found again after they were added, and their bytes are about what their types say.
#include "perf/bench/memory_run.hpp"

#include <gtest/gtest.h>

#include "dataplane/state/sa.hpp"
#include "perf/bench/memory_meter.hpp"
#include "perf/bench/rebuild_run.hpp"
#include "perf/bench/rule_set.hpp"
#include "tests/unit/bench/surroundings.hpp"

namespace trunkgate::bench {
namespace {

// A sanitizer's malloc keeps no such books.
bool heap_is_counted() {
  const auto before = memory_now();
  const std::vector<char> some(1 << 20);
  return (memory_now() - before).heap >= static_cast<double>(some.size());
}

TEST(memory_run, every_object_is_found_again) {
  auto& around = surroundings::get();
  for (const auto& row : object_rows) {
    const auto figures = row.measure(around.engines, 300);
    ASSERT_TRUE(figures) << row.name << ": " << figures.error().reason;
    EXPECT_EQ(figures->verified, 300u) << row.name;
    EXPECT_EQ(figures->wrong, 0u) << row.name;
    EXPECT_GT(figures->add_seconds, 0) << row.name;
  }
}

TEST(memory_run, bytes_are_those_of_the_objects) {
  if (!heap_is_counted()) GTEST_SKIP() << "this malloc does not count";
  auto& around = surroundings::get();
  const auto each = [&](auto measure) { return measure(around.engines, 2000)->bytes_each; };
  const double pair = sizeof(outbound_sa) + sizeof(inbound_sa);
  for (const auto measure : {measure_sa_pairs, measure_batched_sa_pairs}) {
    EXPECT_GT(each(measure), pair + 4096 / 8);  // the replay window is outside
    EXPECT_LT(each(measure), 3 * pair + 8192);
  }
  EXPECT_GE(each(measure_flow_entries), 64);
  EXPECT_LT(each(measure_flow_entries), 256);
  EXPECT_GE(each(measure_sequence_slots), sizeof(sequence_slot) / 2);  // pages of freed memory may come back
  EXPECT_GT(each(measure_packet_buffers), 2176);
  EXPECT_GT(each(measure_operator_rules), sizeof(operator_rules::rule));
}

TEST(memory_run, the_last_adds_are_timed_one_by_one) {
  const auto figures = measure_sa_pairs(surroundings::get().engines, 300);
  ASSERT_TRUE(figures && figures->last_add_us);
  EXPECT_GT(figures->last_add_us->min, 0);
  EXPECT_LE(figures->last_add_us->min * 300, figures->add_seconds * 1e6);
  EXPECT_GE(figures->last_add_us->max * 300, figures->add_seconds * 1e6);
}

TEST(memory_run, each_rule_has_flows_of_its_own) {
  (void)surroundings::get();
  const rule_set rules(50);
  auto built = operator_rules::build(rules.rules());
  ASSERT_TRUE(built) << built.error().reason;
  for (std::uint32_t i = 0; i < 50; ++i)
    EXPECT_EQ((*built)->match(rules.key_for(i), no_port)->flows, rules.rules()[i].flows) << i;
}

TEST(memory_run, a_worker_forwards_through_a_rebuild) {
  auto& around = surroundings::get();
  const auto figures = measure_rebuild(around.pool(64), around.engines, 1000);
  ASSERT_TRUE(figures) << figures.error().reason;
  EXPECT_GT(figures->build_seconds, 0);
  EXPECT_GT(figures->verified, 0u);
  EXPECT_EQ(figures->wrong, 0u);
  for (const auto* turns : {&figures->quiet, &figures->rebuild}) {
    EXPECT_GT(turns->turns, 0u);
    EXPECT_GE(turns->longest_us, turns->median_us);
  }
}

}  // namespace
}  // namespace trunkgate::bench
