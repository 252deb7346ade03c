// Workers as threads: packets reach the worker that owns their SA, whichever worker received them, and each comes out
// once.
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/pipeline/traffic.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::size_t packets = 4000;
constexpr std::uint16_t tunnels = 4;

std::string site(std::uint16_t tunnel) { return "10.2." + std::to_string(tunnel) + ".9"; }

api::sa_record tunnel_record(api::sa_direction direction, std::uint16_t tunnel) {
  auto record =
      sa_between(direction, tunnel % 2 == 0 ? esp_suite::aes256gcm16 : esp_suite::aes128cbc_sha256, 0x900u + tunnel);
  set_prefixes(record, {"10.1.0.0/16"}, {(site(tunnel) + "/32").c_str()});
  return record;
}

class workers_test : public testing::TestWithParam<gateway_options> {
 protected:
  workers_test() : gateway_(GetParam()) {
    for (std::uint16_t i = 0; i < tunnels; ++i) {
      // Owners in an order that fits neither queues nor tunnels.
      gateway_.add_outbound(tunnel_record(api::sa_direction::outbound, i), (i / 2) % 2);
      gateway_.add_inbound(tunnel_record(api::sa_direction::inbound, i), (i / 2) % 2);
    }
  }
  little_gateway gateway_;
};

TEST_P(workers_test, outbound_each_packet_leaves_once_and_right) {
  gateway_.workers().start();
  std::set<std::uint64_t> numbers;
  std::array<std::set<std::uint64_t>, tunnels> sequences;
  const auto send = [&](std::size_t n) {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", site(n % tunnels)), 1, 2, be(n, 8)), n / tunnels % 2);
  };
  const auto arrived = [&](const bytes& frame) {
    const bytes outer(frame.begin() + 14, frame.end());
    const auto tunnel = static_cast<std::uint16_t>(read_be(outer, 20, 4) - 0x900);
    ASSERT_LT(tunnel, tunnels);
    const auto got = open_at_peer(tunnel_record(api::sa_direction::outbound, tunnel), outer);
    EXPECT_TRUE(checksums_hold(got.inner));
    EXPECT_TRUE(numbers.insert(read_be(got.inner, 28, 8)).second);
    EXPECT_TRUE(sequences[tunnel].insert(got.sequence).second) << "a sequence number was used twice";
  };
  EXPECT_EQ(run_through(gateway_, outside, packets, send, arrived), packets);
  gateway_.workers().stop();
  EXPECT_EQ(gateway_.all_drops(), 0u);
  EXPECT_EQ(numbers.size(), packets);
  for (const auto& used : sequences) EXPECT_EQ(*used.rbegin(), used.size()) << "a gap in the sequence numbers";
  std::uint64_t handed_over = 0;
  for (std::uint16_t w = 0; w < GetParam().workers; ++w) handed_over += gateway_.context(w).handed_over.get();
  EXPECT_GT(handed_over, packets / 4);  // half of the tunnels belong to a worker that does not receive them
}

TEST_P(workers_test, inbound_each_packet_comes_in_once_and_replays_do_not) {
  gateway_.workers().start();
  std::set<std::uint64_t> numbers;
  const auto queues = gateway_.wire(outside).description().rx_queues;
  // Every packet twice, the second by another queue and so another worker, as the SA's owner must notice.
  const auto send = [&](std::size_t n) {
    const auto record = tunnel_record(api::sa_direction::inbound, static_cast<std::uint16_t>(n / 2 % tunnels));
    const auto inner = udp_packet(between(site(n / 2 % tunnels), "10.1.0.2"), 1, 2, be(n / 2, 8));
    gateway_.receive(outside, esp_from_peer(record, inner, {.sequence = n / 2 + 1}), n % queues);
  };
  const auto arrived = [&](const bytes& frame) { EXPECT_TRUE(numbers.insert(read_be(frame, 14 + 28, 8)).second); };
  EXPECT_EQ(run_through(gateway_, inside, packets, send, arrived), packets / 2);
  gateway_.workers().stop();
  EXPECT_EQ(numbers.size(), packets / 2);
  EXPECT_EQ(gateway_.drops(drop_reason::esp_replayed), packets / 2);
  EXPECT_EQ(gateway_.all_drops(), packets / 2);
}

// An idle worker sleeps, and what wakes it is not lost: packets come one by one, each after the one before has left.
TEST_P(workers_test, one_at_a_time) {
  gateway_.workers().start();
  const auto send = [&](std::size_t n) {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", site(n % tunnels)), 1, 2, be(n, 8)), n / tunnels % 2);
  };
  EXPECT_EQ(run_through(gateway_, outside, 300, send, [](const bytes&) {}, 1), 300u);
}

INSTANTIATE_TEST_SUITE_P(pipelines, workers_test,
                         testing::Values(gateway_options{.workers = 2},
                                         gateway_options{.workers = 2, .outside_has_one_queue = true},
                                         gateway_options{.workers = 3, .outside_has_one_queue = true}),
                         [](const auto& about) {
                           return std::to_string(about.param.workers) + "_workers" +
                                  (about.param.outside_has_one_queue ? "_one_queue" : "");
                         });

}  // namespace
}  // namespace trunkgate
