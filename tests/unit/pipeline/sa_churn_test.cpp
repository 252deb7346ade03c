// SAs come and go while packets flow: nothing is lost that need not be, and nobody uses what was freed.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dataplane/main/sa_set.hpp"
#include "tests/unit/pipeline/traffic.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::size_t packets = 6000, packets_per_change = 20;

class sa_churn : public testing::Test {
 protected:
  ~sa_churn() override { gateway_.workers().stop(); }

  void change(std::deque<api::sa_record> wanted, const std::vector<api::sa_record>& removed) {
    auto prepared = sas_.prepare(wanted, removed, false);
    ASSERT_TRUE(prepared) << prepared.error().reason;
    ASSERT_TRUE(sas_.commit(**prepared));
    gateway_.rcu().reclaim();
  }
  static api::sa_record outbound_record(std::uint32_t spi) {
    return sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, spi);
  }
  static bytes outbound_packet(std::size_t n) {
    return udp_packet(between("10.1.0.2", "10.2.0.3"), static_cast<std::uint16_t>(1 + n % 50), 2, be(n, 8));
  }

  little_gateway gateway_{{.workers = 2}};
  sa_set sas_{gateway_.tables(), engines(), gateway_.store(), 2, [](std::string_view) { return no_port; }};
};

TEST_F(sa_churn, a_rekeyed_tunnel_loses_no_packet) {
  std::uint32_t spi = 1000;
  change({outbound_record(spi)}, {});
  gateway_.workers().start();
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      change({outbound_record(spi + 1)}, {outbound_record(spi)});
      ++spi;
    }
    gateway_.receive(inside, outbound_packet(n), n % 2);
  };
  std::set<std::uint64_t> numbers;
  std::map<std::uint64_t, std::set<std::uint64_t>> sequences;
  const auto arrived = [&](const bytes& frame) {
    const bytes outer(frame.begin() + 14, frame.end());
    const auto by = read_be(outer, 20, 4);
    const auto got = open_at_peer(outbound_record(static_cast<std::uint32_t>(by)), outer);
    EXPECT_TRUE(numbers.insert(read_be(got.inner, 28, 8)).second);
    EXPECT_TRUE(sequences[by].insert(got.sequence).second);
  };
  EXPECT_EQ(run_through(gateway_, outside, packets, send, arrived), packets);
  EXPECT_EQ(gateway_.all_drops(), 0u);
  EXPECT_EQ(numbers.size(), packets);
}

TEST_F(sa_churn, other_selectors_for_the_same_sa_go_on_with_its_numbers) {
  auto record = outbound_record(1000);
  change({record}, {});
  gateway_.workers().start();
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      record = outbound_record(1000);
      record.order = static_cast<std::uint32_t>(n);
      change({record}, {});
    }
    gateway_.receive(inside, outbound_packet(n), n % 2);
  };
  std::set<std::uint64_t> sequences;
  const auto arrived = [&](const bytes& frame) {
    EXPECT_TRUE(sequences.insert(read_be(frame, 14 + 24, 4)).second) << "a number was used twice";
  };
  const auto out = run_through(gateway_, outside, packets, send, arrived);
  // In between there is a moment without the SA: then nothing passes in clear.
  EXPECT_EQ(out + gateway_.drops(drop_reason::no_policy) + gateway_.drops(drop_reason::no_sa), packets);
  EXPECT_EQ(gateway_.all_drops(), packets - out);
  EXPECT_GT(out, packets / 2);
}

TEST_F(sa_churn, sas_that_vanish_leave_no_packet_behind) {
  gateway_.workers().start();
  bool there = false;
  const auto in_record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 2000);
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      if (there)
        change({}, {outbound_record(1000), in_record});
      else
        change({outbound_record(1000), in_record}, {});
      there = !there;
    }
    if (n % 2 == 0) return gateway_.receive(inside, outbound_packet(n), n / 2 % 2);
    // Into the tunnel's own other direction: what comes in goes out again.
    gateway_.receive(
        outside, esp_from_peer(in_record, udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, be(n, 8)), {.sequence = n}),
        n / 2 % 2);
  };
  std::size_t inside_out = 0;
  const auto count_inside = [&] {
    while (auto* frame = gateway_.wire(inside).take()) {
      rte_pktmbuf_free(frame);
      ++inside_out;
    }
  };
  std::size_t sent = 0, outside_out = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    const auto done = inside_out + outside_out + gateway_.all_drops();
    if (sent == packets && done == packets) break;
    if (sent < packets && sent - done < 200) send(sent++);
    count_inside();
    while (auto* frame = gateway_.wire(outside).take()) {
      EXPECT_EQ(content_of(frame).at(14 + 9), 50) << "left in clear";
      ++outside_out;
    }
    std::this_thread::yield();
  }
  EXPECT_EQ(inside_out + outside_out + gateway_.all_drops(), packets);
  EXPECT_GT(inside_out, 0u);
  EXPECT_GT(outside_out, 0u);
  // Nothing but what the SAs' absence explains. One that comes back takes what its elder accepted for seen, and with it
  // everything before: packets that two queues brought out of order are late then.
  std::uint64_t explained = 0;
  for (const auto reason : {drop_reason::no_policy, drop_reason::no_sa, drop_reason::esp_unknown_spi,
                            drop_reason::cleartext_must_be_protected, drop_reason::esp_replayed})
    explained += gateway_.drops(reason);
  EXPECT_EQ(gateway_.all_drops(), explained);
}

}  // namespace
}  // namespace trunkgate
