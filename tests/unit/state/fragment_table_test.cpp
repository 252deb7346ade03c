#include "dataplane/state/fragment_table.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

using answer = fragment_table::answer;

// The table never looks into a packet.
rte_mbuf* packet(std::uintptr_t number) { return reinterpret_cast<rte_mbuf*>(number * 64); }

fragment_key datagram(std::uint32_t id) {
  fragment_key key;
  key.source = {10, 1, 0, 2};
  key.destination = {10, 2, 0, 3};
  key.id = id;
  key.protocol = 17;
  key.family = ip_family::v4;
  return key;
}

constexpr transport_selectors ports{1000, 2000, 17, true};

class fragment_table_test : public testing::Test {
 protected:
  fragment_table::verdict first(std::uint32_t id, std::uint32_t end, bool more = true) {
    return table_.first(datagram(id), {0, end, more}, ports, now_);
  }
  fragment_table::verdict later(std::uint32_t id, std::uint32_t from, std::uint32_t end, bool more = true,
                                std::uintptr_t number = 1) {
    return table_.later(datagram(id), {from, end, more}, packet(number), now_);
  }
  std::vector<rte_mbuf*> expired() {
    std::vector<rte_mbuf*> out;
    while (auto* one = table_.expire(now_)) out.push_back(one);
    return out;
  }
  fragment_table table_ = fragment_table::make();
  std::uint64_t now_ = 1000;
};

TEST_F(fragment_table_test, later_ones_take_what_the_first_one_said) {
  EXPECT_EQ(first(7, 80).what, answer::pass);
  const auto got = later(7, 80, 160);
  EXPECT_EQ(got.what, answer::pass);
  EXPECT_EQ(got.selectors.source_port, 1000);
  EXPECT_EQ(got.selectors.destination_port, 2000);
  EXPECT_TRUE(got.selectors.has_ports);
  EXPECT_FALSE(table_.empty());
  EXPECT_EQ(later(7, 160, 163, false).what, answer::pass);
  EXPECT_TRUE(table_.empty()) << "all of it has passed";
}

TEST_F(fragment_table_test, the_first_one_frees_those_that_waited_in_their_order) {
  EXPECT_EQ(later(7, 160, 163, false, 1).what, answer::wait);
  EXPECT_EQ(later(7, 80, 160, true, 2).what, answer::wait);
  const auto got = first(7, 80);
  ASSERT_EQ(got.what, answer::pass);
  ASSERT_EQ(got.waited.size(), 2u);
  EXPECT_EQ(got.waited[0], packet(1));
  EXPECT_EQ(got.waited[1], packet(2));
  EXPECT_TRUE(table_.empty());
}

TEST_F(fragment_table_test, another_datagram_s_first_one_is_not_taken) {
  EXPECT_EQ(first(7, 80).what, answer::pass);
  EXPECT_EQ(later(8, 80, 160).what, answer::wait);
  for (const auto change : {0, 1, 2, 3, 4}) {
    auto key = datagram(7);
    if (change == 0) key.source[3] ^= 1;
    if (change == 1) key.destination[3] ^= 1;
    if (change == 2) key.spi = 5;
    if (change == 3) key.ingress = 1;
    if (change == 4) key.protocol = 6;
    EXPECT_EQ(table_.later(key, {80, 160, true}, packet(9), now_).what, answer::wait) << change;
  }
}

TEST_F(fragment_table_test, overlaps_end_the_datagram) {
  const std::pair<std::uint32_t, std::uint32_t> overlaps[] = {{72, 160}, {80, 168}, {88, 160}, {88, 120}, {0, 240}};
  for (const auto& [from, end] : overlaps) {
    fragment_table fresh = fragment_table::make();
    std::swap(table_, fresh);
    EXPECT_EQ(first(7, 80).what, answer::pass);
    EXPECT_EQ(later(7, 80, 160).what, answer::pass);
    const auto got = later(7, from, end);
    EXPECT_EQ(got.what, answer::drop);
    EXPECT_EQ(got.why, drop_reason::fragment_overlapping) << from;
    EXPECT_EQ(later(7, 160, 240).why, drop_reason::fragment_overlapping) << "the rest of it too";
    EXPECT_EQ(first(7, 80).why, drop_reason::fragment_overlapping);
  }
}

TEST_F(fragment_table_test, an_overlap_takes_those_that_wait_with_it) {
  EXPECT_EQ(later(7, 80, 160, true, 1).what, answer::wait);
  const auto got = later(7, 88, 160, true, 2);
  EXPECT_EQ(got.why, drop_reason::fragment_overlapping);
  ASSERT_EQ(got.waited.size(), 1u);
  EXPECT_EQ(got.waited[0], packet(1));
}

TEST_F(fragment_table_test, a_copy_goes_alone) {
  EXPECT_EQ(first(7, 80).what, answer::pass);
  EXPECT_EQ(first(7, 80).why, drop_reason::fragment_duplicate);
  EXPECT_EQ(later(7, 80, 160).what, answer::pass);
  EXPECT_EQ(later(7, 80, 160).why, drop_reason::fragment_duplicate);
  EXPECT_EQ(later(7, 160, 240, false).what, answer::pass);
}

TEST_F(fragment_table_test, what_fits_no_datagram_is_malformed) {
  EXPECT_EQ(later(1, 80, 80).why, drop_reason::fragment_malformed) << "empty";
  EXPECT_EQ(later(2, 80, 87).why, drop_reason::fragment_malformed) << "no whole units before the end";
  EXPECT_EQ(later(3, 65528, 65544, false).why, drop_reason::fragment_malformed) << "beyond 65,535";
  EXPECT_EQ(first(4, 80).what, answer::pass);
  EXPECT_EQ(later(4, 160, 200, false).what, answer::pass);
  EXPECT_EQ(later(4, 200, 240, true).why, drop_reason::fragment_malformed) << "behind the end";
  EXPECT_EQ(first(5, 160).what, answer::pass);
  EXPECT_EQ(later(5, 240, 320).what, answer::pass);
  EXPECT_EQ(later(5, 160, 200, false).why, drop_reason::fragment_malformed) << "an end in front of what was there";
  EXPECT_EQ(first(6, 80).what, answer::pass);
  EXPECT_EQ(later(6, 160, 200, false).what, answer::pass);
  EXPECT_EQ(later(6, 80, 120, false).why, drop_reason::fragment_malformed) << "two ends";
}

TEST_F(fragment_table_test, what_is_refused_stays_refused) {
  EXPECT_EQ(later(7, 160, 240, true, 3).what, answer::wait);
  const auto got = table_.refuse(datagram(7), drop_reason::fragment_tiny, now_);
  EXPECT_EQ(got.why, drop_reason::fragment_tiny);
  EXPECT_EQ(got.waited.size(), 1u);
  EXPECT_EQ(first(7, 80).why, drop_reason::fragment_tiny);
}

TEST_F(fragment_table_test, nobody_waits_longer_than_two_seconds) {
  EXPECT_EQ(later(7, 80, 160, true, 1).what, answer::wait);
  EXPECT_EQ(later(8, 80, 160, true, 2).what, answer::wait);
  now_ += fragment_table::lifetime_ms - 1;
  EXPECT_TRUE(expired().empty());
  now_ += 1;
  auto gone = expired();
  std::ranges::sort(gone);
  EXPECT_EQ(gone, (std::vector<rte_mbuf*>{packet(1), packet(2)}));
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(first(7, 80).waited.size(), 0u);
}

// An id comes round again: the old datagram's pieces must not count.
TEST_F(fragment_table_test, an_old_datagram_is_not_gone_on_with) {
  EXPECT_EQ(first(7, 80).what, answer::pass);
  now_ += fragment_table::lifetime_ms;
  EXPECT_EQ(later(7, 80, 160).what, answer::wait) << "its first one is too old";
  EXPECT_EQ(first(7, 80).what, answer::pass);
}

TEST_F(fragment_table_test, bounds_hold_and_everything_comes_back) {
  std::set<rte_mbuf*> waiting;
  std::uintptr_t number = 1;
  for (std::uint32_t i = 0; i < fragment_table::waiting_per_datagram; ++i) {
    EXPECT_EQ(later(1, 80 + i * 80, 160 + i * 80, true, number).what, answer::wait);
    waiting.insert(packet(number++));
  }
  const auto over = later(1, 8000, 8080, true, number);
  EXPECT_EQ(over.why, drop_reason::fragment_limit);
  EXPECT_EQ(over.waited.size(), fragment_table::waiting_per_datagram);
  for (auto* one : over.waited) waiting.erase(one);
  EXPECT_TRUE(waiting.empty());
  std::size_t kept = 0;
  for (std::uint32_t id = 100; id < 100 + 2 * fragment_table::waiting_limit; ++id)
    kept += later(id, 80, 160, true, number++).what == answer::wait;
  EXPECT_EQ(kept, fragment_table::waiting_limit);
  now_ += fragment_table::lifetime_ms;
  EXPECT_EQ(expired().size(), fragment_table::waiting_limit);
  EXPECT_TRUE(table_.empty());
  // As many datagrams as there is room for, then no more; nobody is forgotten for a new one.
  std::size_t followed = 0;
  for (std::uint32_t id = 0; id < 4000; ++id) followed += first(id, 80).what == answer::pass;
  EXPECT_LE(followed, fragment_table::sets * fragment_table::ways);
  EXPECT_GT(followed, fragment_table::sets * fragment_table::ways * 9 / 10);
  EXPECT_EQ(first(1u << 20, 80).why, drop_reason::fragment_limit);
  std::uint32_t pieces = 1;
  while (later(0, pieces * 80, pieces * 80 + 80).what == answer::pass) ++pieces;
  EXPECT_EQ(pieces, fragment_table::pieces_per_datagram);
}

// Whatever order honest pieces come in, all pass, each once.
TEST_F(fragment_table_test, every_order_of_an_honest_datagram_passes) {
  std::mt19937 random(5);
  for (std::uint32_t id = 0; id < 500; ++id) {
    std::vector<std::uint32_t> order(2 + random() % 12);
    for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::shuffle(order, random);
    std::size_t passed = 0;
    for (const auto piece : order) {
      const bool more = piece + 1 < order.size();
      const auto got = piece == 0 ? first(id, 80) : later(id, piece * 80, piece * 80 + (more ? 80 : 13), more, piece);
      ASSERT_NE(got.what, answer::drop);
      passed += (got.what == answer::pass) + got.waited.size();
    }
    EXPECT_EQ(passed, order.size());
    ASSERT_TRUE(table_.empty());
  }
}

}  // namespace
}  // namespace trunkgate
