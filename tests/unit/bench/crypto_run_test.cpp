// Every engine's packets are compared and judged; an engine that lies is found out.
#include "perf/bench/crypto_run.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bench/lying_engine.hpp"
#include "tests/unit/bench/surroundings.hpp"

namespace trunkgate::bench {
namespace {

const std::atomic<bool> go_on{false};

TEST(crypto_run, every_engine_opens_what_it_closed) {
  auto& around = surroundings::get();
  for (const auto& engine : around.engines.engines())
    for (const auto& row : esp_suites) {
      if (!engine->supports(row.suite)) continue;
      auto bench = crypto_bench::make(*engine, row.suite, 3);
      ASSERT_TRUE(bench) << bench.error().reason;
      for (const packet_sizes sizes : {packet_sizes(smallest_packet), packet_sizes::imix(), packet_sizes(9000)}) {
        const auto run = bench->run(sizes, 1, go_on);
        ASSERT_TRUE(run);
        EXPECT_GT(run->encrypt, 0);
        EXPECT_GT(run->decrypt, 0);
      }
      EXPECT_EQ(bench->verified(), 3u * 256) << engine->name() << " " << row.name;
      EXPECT_EQ(bench->judged(), 3u * 4) << engine->name() << " " << row.name;
      EXPECT_EQ(bench->wrong(), 0u) << engine->name() << " " << row.name;
    }
}

TEST(crypto_run, an_engine_that_lies_is_found_out) {
  for (const auto how : {lie::encrypts_nothing, lie::damages_what_it_opens, lie::refuses_what_it_opens}) {
    const lying_engine engine(how);
    auto bench = crypto_bench::make(engine, esp_suite::aes128gcm16, 1);
    ASSERT_TRUE(bench) << bench.error().reason;
    ASSERT_TRUE(bench->run(64, 256, go_on));
    EXPECT_EQ(bench->wrong(), how == lie::encrypts_nothing ? 4u : 256u);  // the judge sees one in 64
  }
}

TEST(crypto_run, stops_when_told) {
  const lying_engine engine(lie::encrypts_nothing);
  auto bench = crypto_bench::make(engine, esp_suite::aes128gcm16, 1);
  const std::atomic<bool> stop{true};
  EXPECT_FALSE(bench->run(64, 1'000'000, stop));
}

}  // namespace
}  // namespace trunkgate::bench
