// The installed SAs over time: seconds of life, changes to one that carries packets, and the numbers of those that go.
#include "dataplane/main/sa_set.hpp"

#include <gtest/gtest.h>

#include "dataplane/main/event_list.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;
using api::event_kind, api::sa_limit;

class sa_set_test : public testing::Test {
 protected:
  result<void> change(std::deque<api::sa_record> wanted, const std::vector<api::sa_record>& removed = {}) {
    auto prepared = sas_.prepare({.sas = wanted, .removed = removed, .moved = {}});
    if (!prepared) return std::unexpected(prepared.error());
    sas_.commit(**prepared);
    gateway_.rcu().reclaim();
    return {};
  }
  std::vector<api::sa_status> all() const {
    std::vector<api::sa_status> found;
    sas_.report([&](const api::sa_status& status) { found.push_back(status); });
    return found;
  }
  // What leaves for one packet of the inside.
  std::vector<bytes> send() {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.2.0.3"), 1, 2, filled(72)));
    gateway_.run();
    return gateway_.sent(outside);
  }

  api::sa_record record_ = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x777);
  std::vector<api::event> events_;
  little_gateway gateway_;
  sa_set sas_{gateway_.tables(),
              engines(),
              gateway_.store(),
              1,
              [](std::string_view) { return no_port; },
              [this](const api::event& event) { events_.push_back(event); }};
};

TEST_F(sa_set_test, seconds_soften_and_then_stop_an_sa) {
  record_.soft.seconds = 10;
  record_.hard.seconds = 20;
  const auto before = monotonic_ms();
  ASSERT_TRUE(change({record_}));
  const auto after = monotonic_ms();
  sas_.expire(before + 9'999);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(send().size(), 1u);
  sas_.expire(after + 10'000);
  ASSERT_EQ(events_.size(), 1u);
  EXPECT_EQ(events_[0].kind, event_kind::soft_expire);
  EXPECT_EQ(events_[0].limit, sa_limit::seconds);
  EXPECT_EQ(events_[0].value, 10u);
  EXPECT_EQ(events_[0].child, record_.child);
  EXPECT_EQ(send().size(), 1u);
  sas_.expire(after + 20'000);
  sas_.expire(after + 99'000);
  ASSERT_EQ(events_.size(), 2u);
  EXPECT_EQ(events_[1].kind, event_kind::hard_expire);
  EXPECT_TRUE(send().empty());
  EXPECT_EQ(gateway_.drops(drop_reason::sa_expired), 1u);
  ASSERT_EQ(all().size(), 1u) << "nobody but the control plane takes it away";
  EXPECT_EQ(all()[0].expired, sa_limit::seconds);
  EXPECT_EQ(all()[0].softened, sa_limit::seconds);
  EXPECT_EQ(all()[0].after_expiry, 1u);
}

TEST_F(sa_set_test, the_time_of_one_that_is_gone_is_nobodys) {
  record_.hard.seconds = 10;
  ASSERT_TRUE(change({record_}));
  auto other = record_;
  other.spi = 0x778;
  other.hard.seconds = 0;
  ASSERT_TRUE(change({other}, {record_}));
  sas_.expire(monotonic_ms() + 60'000);
  EXPECT_TRUE(events_.empty());
  EXPECT_EQ(send().size(), 1u);
}

TEST_F(sa_set_test, a_changed_sa_keeps_its_numbers_its_traffic_and_its_age) {
  for (const auto keying : {api::sa_keying::negotiated, api::sa_keying::manual}) {
    record_.spi = 0x700 + static_cast<std::uint32_t>(keying);
    record_.keying = keying;
    record_.hard = {.packets = 5, .bytes = 0, .seconds = 100};
    ASSERT_TRUE(change({record_}));
    for (int i = 0; i < 3; ++i) EXPECT_EQ(send().size(), 1u);
    const auto old = all().back();
    auto changed = record_;
    changed.outer.hop_limit = 9;
    ASSERT_TRUE(change({changed}));
    const auto now = all().back();
    EXPECT_EQ(now.packets, 3u);
    EXPECT_EQ(now.installed_unix_ns, old.installed_unix_ns);
    const auto out = send();
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(out[0][8], 9);
    EXPECT_GT(open_at_peer(changed, out[0]).sequence, 3u) << "a number came twice";
    EXPECT_EQ(send().size(), 1u);
    EXPECT_TRUE(send().empty()) << "five packets are five packets";
    // More is allowed now: it goes on.
    changed.hard.packets = 6;
    ASSERT_TRUE(change({changed}));
    EXPECT_EQ(send().size(), 1u);
    EXPECT_TRUE(send().empty());
    ASSERT_TRUE(change({}, {changed}));
  }
}

// 131,072 SAs can have numbers at a time: those of negotiated keys leave room when they go.
TEST_F(sa_set_test, negotiated_keys_never_use_up_the_records) {
  record_.hard.seconds = 3600;
  for (std::uint32_t n = 0; n < 300'000; ++n) {
    auto next = record_;
    next.spi = 0x10000 + n;
    next.key[0] = static_cast<std::uint8_t>(n);
    std::vector<api::sa_record> removed;
    if (n != 0) {
      removed.push_back(record_);
      removed[0].spi = next.spi - 1;
    }
    const auto done = change({next}, removed);
    ASSERT_TRUE(done) << n << ": " << done.error().reason;
  }
  EXPECT_EQ(all().size(), 1u);
  EXPECT_EQ(send().size(), 1u);
}

TEST_F(sa_set_test, numbers_of_keys_by_hand_are_kept) {
  record_.keying = api::sa_keying::manual;
  ASSERT_TRUE(change({record_}));
  const auto first = send();
  ASSERT_EQ(first.size(), 1u);
  ASSERT_TRUE(change({}, {record_}));
  ASSERT_TRUE(change({record_}));
  const auto second = send();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_GT(open_at_peer(record_, second[0]).sequence, open_at_peer(record_, first[0]).sequence);
}

TEST_F(sa_set_test, what_was_prepared_and_not_wanted_leaves_nothing_behind) {
  {
    std::deque<api::sa_record> wanted{record_};
    ASSERT_TRUE(sas_.prepare({.sas = wanted, .removed = {}, .moved = {}}));
  }
  EXPECT_FALSE(gateway_.store().take(identify(record_)).value().resumed);
}

TEST(event_list, keeps_the_last_ones_in_order) {
  event_list list;
  EXPECT_EQ(list.next(0), nullptr);
  for (std::uint32_t n = 1; n <= events_kept + 44; ++n) {
    api::event event;
    event.kind = event_kind::soft_expire;
    event.spi = n;
    list.add(event);
  }
  EXPECT_EQ(list.all().size(), events_kept);
  EXPECT_EQ(list.next(0)->number, 45u) << "who comes late sees a gap";
  EXPECT_EQ(list.next(100)->spi, 101u);
  EXPECT_EQ(list.next(events_kept + 44), nullptr);
  for (std::size_t i = 1; i < events_kept; ++i) EXPECT_GT(list.all()[i].unix_ns, list.all()[i - 1].unix_ns);
}

TEST(event_list, takes_one_unknown_spi_a_second) {
  event_list list;
  api::event event;
  event.kind = event_kind::unknown_spi;
  for (int worker = 0; worker < 8; ++worker) list.add(event);
  EXPECT_EQ(list.all().size(), 1u);
}

}  // namespace
}  // namespace trunkgate
