// Every suite through both gateways: all packets arrive as they were sent, and OpenSSL agrees.
#include "perf/bench/esp_run.hpp"

#include <gtest/gtest.h>

#include "dataplane/packet/meta.hpp"
#include "drivers/port/eal.hpp"

namespace trunkgate::bench {
namespace {

struct surroundings {
  rte_mempool* pool;
  crypto_engines engines;

  static surroundings& get() {
    static surroundings one = [] {
      EXPECT_TRUE(start_eal({.hugepages = false, .memory_mb = 512, .pci_devices = {}}));
      return surroundings{rte_pktmbuf_pool_create("bench_test", 12287, 256, sizeof(packet_meta),
                                                  packet_headroom + link_mtu + 128, SOCKET_ID_ANY),
                          std::move(*crypto_engines::start())};
    }();
    return one;
  }
};

TEST(esp_run, nothing_is_lost_or_changed) {
  auto& around = surroundings::get();
  ASSERT_NE(around.pool, nullptr);
  const std::atomic<bool> stop{false};
  for (const auto& row : esp_suites) {
    auto bench = esp_bench::make(around.pool, around.engines, row.suite, 5);
    ASSERT_TRUE(bench) << bench.error().reason;
    for (const std::uint16_t size : {smallest_packet, std::uint16_t{333}, largest_packet}) {
      checker checked(size, 5);
      const auto run = bench->run(checked, 1, stop);
      ASSERT_TRUE(run);
      EXPECT_EQ(checked.verified(), round_packets) << row.name << " " << size;
      EXPECT_EQ(checked.wrong(), 0u) << row.name << " " << size;
      for (const auto* figures : {&run->out, &run->in}) {
        EXPECT_GT(figures->total, 0);
        EXPECT_GT(figures->crypto, 0);
      }
      EXPECT_GT(run->out.stages[static_cast<std::size_t>(stage_id::esp_encapsulate)], 0);
      EXPECT_GT(run->in.stages[static_cast<std::size_t>(stage_id::esp_decapsulate)], 0);
    }
    EXPECT_EQ(bench->judged(), 3 * round_packets / 64) << row.name;
  }
}

TEST(esp_run, a_wire_that_damages_packets_is_noticed) {
  auto& around = surroundings::get();
  auto pair = gateway_pair::make(around.pool, around.engines, esp_suite::aes128gcm16, 1);
  ASSERT_TRUE(pair) << pair.error().reason;
  constexpr std::uint16_t size = 64, ethernet = 14;
  checker checked(size, 1);
  checked.begin_round(0, 3);
  for (std::uint64_t number = 0; number < 3; ++number) {
    auto* frame = rte_pktmbuf_alloc(around.pool);
    auto* at = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(frame, ethernet + size));
    const auto& mac = pair->sender->clear->description().mac;
    std::copy(mac.begin(), mac.end(), at);
    at[12] = 8;
    at[13] = 0;
    numbered_packet{number, 0, size}.write(at + ethernet);
    (void)pair->sender->pass(*pair->sender->clear, std::span(&frame, 1));
    ASSERT_EQ(pair->sender->wire->sent().size(), 1u);
    rte_mbuf* on_wire = pair->sender->wire->sent().front();
    pair->sender->wire->clear();
    if (number == 1) rte_pktmbuf_mtod(on_wire, std::uint8_t*)[rte_pktmbuf_data_len(on_wire) - 40] ^= 1;
    (void)pair->receiver->pass(*pair->receiver->wire, std::span(&on_wire, 1));
    for (auto* out : pair->receiver->clear->sent()) {
      checked.arrived({rte_pktmbuf_mtod_offset(out, const std::uint8_t*, ethernet),
                       rte_pktmbuf_data_len(out) - std::size_t{ethernet}},
                      2);
      rte_pktmbuf_free(out);
    }
    pair->receiver->clear->clear();
  }
  checked.end_round();
  EXPECT_EQ(checked.verified(), 2u);
  EXPECT_EQ(checked.wrong(), 1u);
}

TEST(esp_run, stops_when_told) {
  auto& around = surroundings::get();
  auto bench = esp_bench::make(around.pool, around.engines, esp_suite::aes128gcm16, 1);
  ASSERT_TRUE(bench) << bench.error().reason;
  checker checked(64, 1);
  const std::atomic<bool> stop{true};
  EXPECT_FALSE(bench->run(checked, 1'000'000, stop));
}

}  // namespace
}  // namespace trunkgate::bench
