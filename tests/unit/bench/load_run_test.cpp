// Under load every packet is found again at its time, and what is lost is counted.
#include "perf/bench/load_run.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "perf/bench/rate_search.hpp"
#include "tests/unit/bench/surroundings.hpp"

namespace trunkgate::bench {
namespace {

TEST(load_run, every_packet_has_its_time) {
  auto& around = surroundings::get();
  const std::atomic<bool> stop{false};
  auto bench = load_bench::make(around.pool(64), around.engines, esp_suite::aes128gcm16);
  ASSERT_TRUE(bench) << bench.error().reason;
  for (const packet_sizes sizes : {packet_sizes(64), packet_sizes::imix()}) {
    (*bench)->prepare(sizes);
    const auto trial = (*bench)->run(10'000, 0.1, stop);  // so slow that only a stopped thread could lose something
    ASSERT_TRUE(trial);
    EXPECT_EQ(trial->latencies.size(), trial->sent - trial->lost);
    EXPECT_GT(trial->sent, trial->lost);
    EXPECT_LE(trial->offered, 10'500);
    EXPECT_GT(trial->latencies.front(), 0);
    EXPECT_LE(trial->latencies.back(), 1e6);
    EXPECT_TRUE(std::ranges::is_sorted(trial->latencies));
  }
  EXPECT_GT((*bench)->checked().judged, 0u);
  EXPECT_EQ((*bench)->checked().wrong, 0u);
}

TEST(load_run, more_than_the_gateway_takes_is_lost) {
  auto& around = surroundings::get();
  const std::atomic<bool> stop{false};
  auto bench = load_bench::make(around.pool(64), around.engines, esp_suite::aes256cbc_sha512);
  ASSERT_TRUE(bench) << bench.error().reason;
  (*bench)->prepare(1420);
  const auto trial = (*bench)->run(0, 0.1, stop);
  ASSERT_TRUE(trial);
  EXPECT_GT(trial->lost, 0u);
  EXPECT_GT(trial->offered, trial->delivered);
  EXPECT_EQ((*bench)->checked().wrong, 0u);
}

TEST(rate_search, finds_the_rate_within_its_width) {
  int asked = 0;
  const auto gateway_of = [&asked](double able) {
    return [&asked, able](double rate) { return ++asked, rate <= able ? 0 : 1 - able / rate; };
  };
  EXPECT_NEAR(highest_rate(10e6, ndr_loss, gateway_of(3e6)), 3e6, search_width * 10e6);
  EXPECT_LE(asked, 9);
  EXPECT_LE(highest_rate(10e6, ndr_loss, gateway_of(3e6)), 3e6);
  EXPECT_GT(highest_rate(10e6, 0.2, gateway_of(3e6)), 3.5e6);
  EXPECT_EQ(highest_rate(10e6, ndr_loss, gateway_of(20e6)), 10e6);
  EXPECT_EQ(highest_rate(10e6, ndr_loss, [](double) { return 1.0; }), 0);
}

}  // namespace
}  // namespace trunkgate::bench
