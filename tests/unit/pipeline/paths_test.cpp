// The table of next stages says what the lists say.
#include "dataplane/pipeline/paths.hpp"

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

TEST(paths, every_list_is_followed_from_its_first_stage_to_its_last) {
  for (std::size_t p = 0; p < path_count; ++p) {
    const auto& list = *paths[p];
    for (std::size_t i = 0; i < list.length; ++i) {
      const auto next = next_stages[p][static_cast<std::size_t>(list.stages[i])];
      EXPECT_EQ(next, i + 1 < list.length ? list.stages[i + 1] : stage_id::count_);
    }
  }
}

// A worker runs the stages in this order within one turn: a path that went to the left would cost another round.
TEST(paths, go_to_the_right) {
  for (const auto* list : paths)
    for (std::size_t i = 0; i + 1 < list->length; ++i) EXPECT_LT(list->stages[i], list->stages[i + 1]);
}

TEST(paths, nothing_leaves_outbound_without_encryption) {
  bool encrypts = false;
  for (std::size_t i = 0; i < outbound.length; ++i) {
    encrypts = encrypts || outbound.stages[i] == stage_id::esp_encapsulate;
    EXPECT_TRUE(encrypts || outbound.stages[i] != stage_id::forward);
  }
  EXPECT_TRUE(encrypts);
}

}  // namespace
}  // namespace trunkgate
