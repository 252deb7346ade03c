// Both ends come up, are measured, and are rekeyed in time; what does not come up is said with its reason.
#include "perf/bench/ike_run.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "perf/bench/ike_baseline.hpp"

namespace trunkgate::bench {
namespace {

using namespace std::chrono_literals;

const std::atomic<bool> go_on{false}, at_once{true};

ike_settings some_times() {
  ike_settings out;
  out.lifetime_seconds = 3600;
  out.mobike = false;
  return out;
}

class each_kind : public testing::TestWithParam<ike_kind> {};

TEST_P(each_kind, comes_up_at_both_ends) {
  const auto run = measure_handshakes(GetParam(), 8, go_on);
  ASSERT_TRUE(run) << run.error().reason;
  ASSERT_TRUE(*run);
  EXPECT_GT((*run)->initiator, 1);
  EXPECT_GT((*run)->responder, 1);
  EXPECT_LT((*run)->responder, 1e6);
}

TEST_P(each_kind, has_public_key_operations_that_are_measured_alone) {
  const auto alone = measure_baseline(GetParam());
  ASSERT_TRUE(alone) << alone.error().reason;
  EXPECT_GT(alone->initiator, 1e-6);
  EXPECT_GT(alone->responder, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(ike_run, each_kind,
                         testing::Values(ike_kind{"psk", "x25519"}, ike_kind{"psk", "x25519-ke1_mlkem768"},
                                         ike_kind{"ecdsa", "x25519"}, ike_kind{"rsa", "ecp256"},
                                         ike_kind{"ed25519", "x25519"}));

TEST(ike_run, stops_when_it_is_told) {
  const auto run = measure_handshakes({}, 1000, at_once);
  ASSERT_TRUE(run) << run.error().reason;
  EXPECT_FALSE(*run);
}

// The tunnels that the figures speak of have the algorithms and the child that they speak of.
TEST(ike_run, the_tunnels_are_what_was_asked_for) {
  auto pair = ike_pair::make({"psk", "x25519-ke1_mlkem768"}, 2, some_times(), {});
  ASSERT_TRUE(pair) << pair.error().reason;
  auto& both = **pair;
  both.initiator().want(*both.tunnels()[1]);
  const auto until = ike::timer_clock::now() + 20s;
  while (!both.tunnels()[1]->child_is_up(0) && ike::timer_clock::now() < until) {
    both.turn();
    both.wait(10ms);
  }
  ASSERT_TRUE(both.tunnels()[1]->child_is_up(0));
  EXPECT_FALSE(both.tunnels()[0]->current());
  const auto theirs = both.responder().engine().tunnels()[1];
  ASSERT_TRUE(theirs->current());
  EXPECT_EQ(ike::proposal_word(theirs->current()->chosen.transforms), "aes128gcm16-prfsha256-x25519-ke1_mlkem768");
  EXPECT_TRUE(theirs->child_is_up(0));
  EXPECT_GT(both.initiator().cpu_seconds(), 0);
  EXPECT_GT(both.responder().cpu_seconds(), 0);
}

TEST(ike_run, counts_the_heap_of_each_end) {
  const auto bytes = measure_peer_bytes({}, 64, go_on);
  ASSERT_TRUE(bytes) << bytes.error().reason;
  ASSERT_TRUE(*bytes);
  const bool counts = (*bytes)->configured != 0;  // a sanitizer's malloc keeps no books
  for (const auto each : {(*bytes)->configured, (*bytes)->initiator, (*bytes)->responder}) {
    EXPECT_GE(each, counts ? 500 : 0);
    EXPECT_LT(each, 40'000);
  }
}

TEST(ike_run, sees_that_everything_is_rekeyed_and_alive) {
  const auto figures = measure_scale({}, 16, 10, go_on);
  ASSERT_TRUE(figures) << figures.error().reason;
  EXPECT_EQ(figures->up, 16u);
  EXPECT_GE(figures->child_rekeys, 16u);
  EXPECT_GE(figures->ike_rekeys, 16u);
  EXPECT_EQ(figures->failures, 0u) << figures->first_failure;
  EXPECT_GT(figures->oldest_child, 8);
  EXPECT_GT(figures->oldest_ike_sa, 8);
  // Half a lifetime of silence, then the check: nothing else is said on these tunnels.
  EXPECT_GT(figures->longest_silence, 4);
  EXPECT_EQ(figures->silence_limit, 5 + liveness_grace);
}

TEST(ike_run, a_wire_carries_both_ways_and_turns_the_path_round) {
  auto ends = ike_wire::make();
  ASSERT_TRUE(ends) << ends.error().reason;
  const ike::ike_path path{.local = {ip_address::v4(1), 500}, .remote = {ip_address::v4(2), 4500}};
  const ike::bytes text{1, 2, 3};
  EXPECT_FALSE(ends->second->receive());
  ends->first->send(path, text);
  const auto got = ends->second->receive();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->first.local, path.remote);
  EXPECT_EQ(got->first.remote, path.local);
  EXPECT_TRUE(std::ranges::equal(got->second, text));
  EXPECT_FALSE(ends->first->receive());
}

}  // namespace
}  // namespace trunkgate::bench
