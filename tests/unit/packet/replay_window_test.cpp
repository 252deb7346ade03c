// The anti-replay window against the cases of RFC 4303 Appendix A, and against a model that remembers every number.
#include "dataplane/state/replay_window.hpp"

#include <random>
#include <set>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

constexpr std::uint64_t wrap = 1ull << 32;

class replay_window_of_size : public testing::TestWithParam<std::uint32_t> {
 protected:
  // Both steps that an authentic packet takes.
  static bool passes(replay_window& window, std::uint64_t sequence) {
    if (!window.check(sequence)) return false;
    window.accept(sequence);
    return true;
  }
};

TEST_P(replay_window_of_size, passes_each_number_once) {
  replay_window window(GetParam());
  EXPECT_EQ(window.size(), GetParam());
  for (std::uint64_t n = 1; n < 3ull * GetParam(); ++n) {
    EXPECT_TRUE(passes(window, n));
    EXPECT_FALSE(passes(window, n));
    EXPECT_EQ(window.highest(), n);
  }
}

TEST_P(replay_window_of_size, ends_exactly_at_its_left_edge) {
  const std::uint64_t size = GetParam();
  for (const std::uint64_t top : {size, size + 1, size + 63, 5 * size + 17, wrap - 1, wrap, wrap + 5}) {
    replay_window window(GetParam());
    EXPECT_TRUE(passes(window, top));
    if (top > size) {
      EXPECT_FALSE(window.check(top - size)) << top;
    }
    EXPECT_TRUE(window.check(top - size + 1)) << top;
    EXPECT_TRUE(passes(window, top - size + 1)) << top;
    EXPECT_FALSE(passes(window, top - size + 1)) << top;
    EXPECT_TRUE(passes(window, top - 1)) << top;
    EXPECT_FALSE(passes(window, top)) << top;
    EXPECT_EQ(window.highest(), top);
  }
}

TEST_P(replay_window_of_size, accept_says_whether_the_right_edge_moved) {
  replay_window window(GetParam());
  EXPECT_TRUE(window.accept(10));
  EXPECT_FALSE(window.accept(9));
  EXPECT_TRUE(window.accept(11));
}

TEST_P(replay_window_of_size, a_far_jump_forgets_what_lay_behind_and_nothing_else) {
  const std::uint64_t size = GetParam();
  for (const std::uint64_t jump : {size - 1, size, size + 1, size + 63, size + 64, 2 * size, 100 * size, wrap}) {
    replay_window window(GetParam());
    for (std::uint64_t n = 1; n <= size; ++n) window.accept(n);
    const std::uint64_t top = size + jump;
    EXPECT_TRUE(passes(window, top));
    for (std::uint64_t n = top - size + 1; n < top; ++n)
      EXPECT_EQ(window.check(n), n > size) << "jump " << jump << ", number " << n;
  }
}

TEST_P(replay_window_of_size, made_with_a_highest_number_refuses_all_up_to_it) {
  const std::uint64_t size = GetParam();
  for (const std::uint64_t highest :
       {std::uint64_t{1}, size - 1, size, size * 7 + 63, size * 7 + 64, wrap - 1, wrap, 3 * wrap + 12345}) {
    replay_window window(GetParam(), highest);
    EXPECT_EQ(window.highest(), highest);
    for (std::uint64_t back = 0; back < 2 * size && back < highest; ++back)
      EXPECT_FALSE(window.check(highest - back)) << highest << " - " << back;
    for (std::uint64_t ahead = 1; ahead <= 2 * size; ++ahead) {
      EXPECT_TRUE(passes(window, highest + ahead)) << highest << " + " << ahead;
      EXPECT_FALSE(passes(window, highest + ahead)) << highest << " + " << ahead;
    }
  }
}

TEST_P(replay_window_of_size, made_with_a_highest_number_has_holes_after_a_jump) {
  replay_window window(GetParam(), 1000);
  EXPECT_TRUE(passes(window, 1010));
  for (std::uint64_t n = 1001; n < 1010; ++n) EXPECT_TRUE(passes(window, n)) << n;
  EXPECT_FALSE(window.check(1000));
}

// RFC 4303 A2.2: where the high half comes from.
TEST_P(replay_window_of_size, infers_the_high_half) {
  const std::uint64_t size = GetParam();
  const auto infer = [](const replay_window& window, std::uint64_t sequence) {
    return window.infer(static_cast<std::uint32_t>(sequence));
  };
  for (const std::uint64_t top : {5 * wrap + size - 1, 5 * wrap + size, 5 * wrap + wrap / 2, 6 * wrap - 1,  // case A
                                  5 * wrap, 5 * wrap + 1, 5 * wrap + size - 2}) {                           // case B
    const replay_window window(GetParam(), top);
    for (const std::uint64_t sequence :
         {top, top - 1, top - size + 1, top + 1, top + size, top + wrap / 2, top + wrap - size})
      EXPECT_EQ(infer(window, sequence), sequence) << "top " << top << ", number " << sequence;
    // One left of the window is taken for the far future.
    EXPECT_EQ(infer(window, top - size), top - size + wrap) << top;
  }
}

TEST_P(replay_window_of_size, nothing_lies_before_zero) {
  const replay_window fresh(GetParam());
  EXPECT_EQ(fresh.infer(1), 1u);
  EXPECT_EQ(fresh.infer(0xffff'ffffu), std::nullopt);
  EXPECT_EQ(fresh.infer(static_cast<std::uint32_t>(0) - GetParam() + 1), std::nullopt);
  EXPECT_EQ(fresh.infer(static_cast<std::uint32_t>(0) - GetParam()), wrap - GetParam());
}

TEST_P(replay_window_of_size, the_last_number_has_no_successor) {
  const std::uint64_t last = ~0ull;
  const replay_window window(GetParam(), last);
  const auto low = window.infer(5);  // the high half would be 2^32
  EXPECT_TRUE(!low.has_value() || !window.check(*low));
}

TEST_P(replay_window_of_size, goes_over_the_wrap_of_the_low_half) {
  replay_window window(GetParam(), wrap - 10);
  for (std::uint64_t n = wrap - 9; n < wrap + 10; ++n) {
    const auto inferred = window.infer(static_cast<std::uint32_t>(n));
    ASSERT_EQ(inferred, n);
    EXPECT_TRUE(passes(window, *inferred));
  }
  const auto replayed = window.infer(static_cast<std::uint32_t>(wrap - 3));
  ASSERT_EQ(replayed, wrap - 3);
  EXPECT_FALSE(window.check(*replayed));
}

// The plainest thing that can be right: every accepted number is remembered.
struct model {
  std::uint64_t size, floor;
  std::uint64_t top = floor;
  std::set<std::uint64_t> seen{};
  [[nodiscard]] bool check(std::uint64_t n) const {
    return n > top || (top - n < size && n > floor && !seen.contains(n));
  }
  void accept(std::uint64_t n) {
    seen.insert(n);
    top = std::max(top, n);
  }
};

TEST_P(replay_window_of_size, agrees_with_a_model_that_remembers_everything) {
  std::mt19937_64 random(GetParam());
  for (const std::uint64_t start :
       {std::uint64_t{0}, std::uint64_t{77}, wrap - 2 * std::uint64_t{GetParam()}, 9 * wrap - 3}) {
    replay_window window(GetParam(), start);
    model judge{.size = GetParam(), .floor = start};
    for (int step = 0; step < 30'000; ++step) {
      std::uint64_t distance = random() % (2ull * GetParam());
      if (random() % 3 == 0) distance = random() % 130;
      if (random() % 500 == 0) distance = random() % (20ull * GetParam());
      const bool ahead = random() % 3 == 0;
      if (!ahead && distance >= judge.top) continue;
      const std::uint64_t n = ahead ? judge.top + distance / 4 + 1 : judge.top - distance;
      if (n == 0) continue;
      ASSERT_EQ(window.check(n), judge.check(n)) << "step " << step << ", top " << judge.top << ", number " << n;
      if (!judge.check(n)) continue;
      window.accept(n);
      judge.accept(n);
      ASSERT_EQ(window.highest(), judge.top);
    }
  }
}

// Anti-replay as a receiver with ESN does it: from the low half alone. A million steps around many wraps.
TEST_P(replay_window_of_size, infers_and_judges_like_the_model_over_wraps) {
  const std::uint64_t size = GetParam();
  std::mt19937_64 random(99 + GetParam());
  const std::uint64_t start = 5 * wrap - 3 * size;
  replay_window window(GetParam(), start);
  model judge{.size = size, .floor = start};
  std::uint64_t accepted = 0;
  for (int step = 0; step < 1'000'000; ++step) {
    std::uint64_t n;
    switch (random() % 8) {
      case 0: n = judge.top + random() % (2 * size); break;
      case 1: n = judge.top + 1; break;
      case 2: n = step % 1000 == 0 ? judge.top + random() % (wrap - size) : judge.top; break;
      default: n = judge.top - random() % size; break;
    }
    // The sender's number is inside what the low half can tell apart, so it must be found again.
    const auto inferred = window.infer(static_cast<std::uint32_t>(n));
    ASSERT_EQ(inferred, n) << "step " << step << ", top " << judge.top;
    ASSERT_EQ(window.check(n), judge.check(n)) << "step " << step << ", top " << judge.top << ", number " << n;
    if (!judge.check(n)) continue;
    ASSERT_EQ(window.accept(n), n > judge.top);
    judge.accept(n);
    ++accepted;
    // The model forgets what the window has left behind, as it needs it no more.
    if (accepted % 100'000 == 0 && judge.top > size)
      judge.seen.erase(judge.seen.begin(), judge.seen.lower_bound(judge.top - size + 1));
  }
  EXPECT_GT(judge.top, start + 50 * wrap);
}

INSTANTIATE_TEST_SUITE_P(sizes, replay_window_of_size, testing::Values(64u, 128u, 4096u, 65536u));

TEST(replay_window, is_rounded_up_to_whole_blocks) {
  EXPECT_EQ(replay_window(65).size(), 128u);
  EXPECT_EQ(replay_window(1000).size(), 1024u);
}

}  // namespace
}  // namespace trunkgate
