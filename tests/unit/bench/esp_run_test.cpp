// Every suite through both gateways: all packets arrive as they were sent, and OpenSSL agrees.
#include "perf/bench/esp_run.hpp"

#include <gtest/gtest.h>

#include "tests/unit/bench/surroundings.hpp"

namespace trunkgate::bench {
namespace {

TEST(esp_run, nothing_is_lost_or_changed) {
  auto& around = surroundings::get();
  const std::atomic<bool> stop{false};
  for (const auto& row : esp_suites) {
    auto bench = esp_bench::make(around.pool(64), around.engines, row.suite, 5);
    ASSERT_TRUE(bench) << bench.error().reason;
    const packet_sizes plans[] = {smallest_packet, 333, largest_packet, packet_sizes::imix()};
    for (const auto sizes : plans) {
      checker checked(sizes, 5);
      const auto run = bench->run(around.pool(sizes), checked, 1, stop);
      ASSERT_TRUE(run);
      EXPECT_EQ(checked.verified(), round_packets) << row.name << " " << sizes.name();
      EXPECT_EQ(checked.wrong(), 0u) << row.name << " " << sizes.name();
      for (const auto* figures : {&run->out, &run->in}) {
        EXPECT_GT(figures->total, 0);
        EXPECT_GT(figures->crypto, 0);
      }
      EXPECT_GT(run->out.stages[static_cast<std::size_t>(stage_id::esp_encapsulate)], 0);
      EXPECT_GT(run->in.stages[static_cast<std::size_t>(stage_id::esp_decapsulate)], 0);
    }
    EXPECT_EQ(bench->judged(), std::size(plans) * round_packets / 64) << row.name;
  }
}

TEST(esp_run, a_wire_that_damages_packets_is_noticed) {
  auto& around = surroundings::get();
  auto pair = gateway_pair::make(around.pool(64), around.engines, esp_suite::aes128gcm16, 1);
  ASSERT_TRUE(pair) << pair.error().reason;
  constexpr std::uint16_t size = 64, ethernet = 14;
  checker checked(size, 1);
  checked.begin_round(0, 3);
  for (std::uint64_t number = 0; number < 3; ++number) {
    auto* frame = rte_pktmbuf_alloc(around.pool(64));
    auto* at = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(frame, ethernet + size));
    const auto& mac = pair->sender->clear->description().mac;
    std::copy(mac.begin(), mac.end(), at);
    at[12] = 8;
    at[13] = 0;
    numbered_packet{number, 0, size}.write(at + ethernet);
    (void)pair->sender->pass(*pair->sender->clear, std::span(&frame, 1));
    rte_mbuf* on_wire = pair->sender->wire->take();
    ASSERT_NE(on_wire, nullptr);
    if (number == 1) rte_pktmbuf_mtod(on_wire, std::uint8_t*)[rte_pktmbuf_data_len(on_wire) - 40] ^= 1;
    (void)pair->receiver->pass(*pair->receiver->wire, std::span(&on_wire, 1));
    take_all(*pair->receiver->clear, [&](rte_mbuf* out) { compare(checked, out, 2); });
  }
  checked.end_round();
  EXPECT_EQ(checked.verified(), 2u);
  EXPECT_EQ(checked.wrong(), 1u);
}

// More SAs than one gateway's store of sequence numbers holds in both directions; every one gets its packets.
TEST(esp_run, takes_as_many_sas_as_it_says) {
  auto& around = surroundings::get();
  auto bench = esp_bench::make(around.pool(64), around.engines, esp_suite::aes128gcm16, flow_limit);
  ASSERT_TRUE(bench) << bench.error().reason;
  checker checked(64, flow_limit);
  const std::atomic<bool> stop{false};
  ASSERT_TRUE(bench->run(around.pool(64), checked, flow_limit, stop));
  EXPECT_GE(checked.verified(), flow_limit);
  EXPECT_EQ(checked.wrong(), 0u);
  EXPECT_GT(bench->pair().bytes_per_sa, 1000);
  EXPECT_GT(bench->pair().add_seconds, 0);
  for (const auto& sa : bench->pair().inbound) ASSERT_GT(sa->counters.packets.get(), 0u) << sa->record.spi;
}

TEST(esp_run, stops_when_told) {
  auto& around = surroundings::get();
  auto bench = esp_bench::make(around.pool(64), around.engines, esp_suite::aes128gcm16, 1);
  ASSERT_TRUE(bench) << bench.error().reason;
  checker checked(64, 1);
  const std::atomic<bool> stop{true};
  EXPECT_FALSE(bench->run(around.pool(64), checked, 1'000'000, stop));
}

}  // namespace
}  // namespace trunkgate::bench
