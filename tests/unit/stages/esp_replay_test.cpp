// Anti-replay through the stages (RFC 4303 3.4.3, Appendix A), with packets that the judge sealed.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::uint64_t wrap = 1ull << 32;

class esp_replay : public testing::TestWithParam<std::uint32_t> {
 protected:
  static std::uint64_t size() { return GetParam(); }
  void install(bool esn, std::uint64_t highest) {
    record_.replay_window = GetParam();
    record_.esn = esn;
    sa_ = &gateway_.add_inbound(record_);
    if (highest != 0) {
      // Open, as after an authentic packet with that number.
      sa_->window = replay_window(GetParam());
      sa_->window.accept(highest);
    }
  }
  [[nodiscard]] bytes packet(std::uint64_t sequence) const {
    return esp_from_peer(record_, udp_packet(between("10.2.0.3", "10.1.0.2"), 5000, 6000, filled(20)),
                         {.sequence = sequence});
  }
  bool passes(std::uint64_t sequence) {
    gateway_.receive(outside, packet(sequence));
    gateway_.run();
    return gateway_.sent(inside).size() == 1;
  }
  std::uint64_t dropped(std::uint64_t sequence, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    EXPECT_FALSE(passes(sequence)) << sequence;
    return gateway_.drops(reason) - before;
  }

  api::sa_record record_ = sa_between(api::sa_direction::inbound, esp_suite::aes256cbc_sha256, 0x980);
  little_gateway gateway_;
  inbound_sa* sa_ = nullptr;
};

TEST_P(esp_replay, the_edges_of_the_window_with_and_without_esn) {
  for (const bool esn : {false, true}) {
    record_.spi = 0x980 + esn;
    const std::uint64_t top = 3 * size() + 17;
    install(esn, top);
    EXPECT_EQ(dropped(top, drop_reason::esp_replayed), 1u);
    EXPECT_TRUE(passes(top - size() + 1));
    EXPECT_EQ(dropped(top - size() + 1, drop_reason::esp_replayed), 1u);
    if (esn)  // left of the window is the far future then, and the ICV says that it is not
      EXPECT_EQ(dropped(top - size(), drop_reason::esp_integrity_failed), 1u);
    else
      EXPECT_EQ(dropped(top - size(), drop_reason::esp_replayed), 1u);
    EXPECT_TRUE(passes(top + 1));
    EXPECT_EQ(sa_->window.highest(), top + 1);
  }
}

TEST_P(esp_replay, over_wraps_of_the_low_half) {
  install(true, wrap - 3);
  for (const std::uint64_t n : {wrap - 1, wrap + 1, wrap - 2, wrap + 2}) EXPECT_TRUE(passes(n)) << n;
  EXPECT_TRUE(passes(wrap)) << "its low half is 0, and it is a number like any other";
  for (std::uint64_t n = wrap - 3; n <= wrap + 2; ++n) EXPECT_EQ(dropped(n, drop_reason::esp_replayed), 1u) << n;
  sa_->window.accept(7 * wrap - 1);
  EXPECT_TRUE(passes(7 * wrap));
  EXPECT_TRUE(passes(7 * wrap + size() - 1));
  EXPECT_EQ(dropped(7 * wrap, drop_reason::esp_replayed), 1u);
}

TEST_P(esp_replay, a_wrong_high_half_does_not_authenticate) {
  install(true, 5 * wrap + 2 * size());
  for (const std::uint64_t n : {4 * wrap + 2 * size() + 9, 6 * wrap + 2 * size() + 9, 2 * size() + 9})
    EXPECT_EQ(dropped(n, drop_reason::esp_integrity_failed), 1u) << n;
  EXPECT_EQ(sa_->window.highest(), 5 * wrap + 2 * size());
  EXPECT_TRUE(passes(5 * wrap + 2 * size() + 9));
}

TEST_P(esp_replay, number_zero) {
  install(false, 0);
  EXPECT_EQ(dropped(0, drop_reason::esp_sequence_zero), 1u);
  record_.spi = 0x982;
  install(true, 0);
  EXPECT_EQ(dropped(0, drop_reason::esp_sequence_zero), 1u) << "64 bits of it";
  EXPECT_TRUE(passes(1));
  EXPECT_EQ(dropped(0, drop_reason::esp_sequence_zero), 1u);
}

TEST_P(esp_replay, copies_within_one_burst) {
  install(true, wrap - 2);
  for (int copy = 0; copy < 3; ++copy)
    for (const std::uint64_t n : {wrap + 1, wrap - 1, wrap}) gateway_.receive(outside, packet(n));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(inside).size(), 3u);
  EXPECT_EQ(gateway_.drops(drop_reason::esp_replayed), 6u);
  EXPECT_EQ(sa_->counters.replayed.get(), 6u);
}

// A packet moves the left edge past another of the same burst, which was still inside when the burst was looked at.
TEST_P(esp_replay, a_burst_that_moves_the_window_past_its_own_packets) {
  install(false, 1);
  gateway_.receive(outside, packet(5 * size()));
  gateway_.receive(outside, packet(2));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(inside).size(), 1u);
  EXPECT_EQ(gateway_.drops(drop_reason::esp_replayed), 1u);
}

INSTANTIATE_TEST_SUITE_P(sizes, esp_replay, testing::Values(64u, 65536u));

}  // namespace
}  // namespace trunkgate
