// The tables of values: drop reasons, suites, secrets, errors, counters.
#include <cerrno>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/core/counter.hpp"
#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate {
namespace {

TEST(drop_reasons, every_reason_has_its_own_row_name_and_meaning) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < drop_reason_count; ++i) {
    const auto& row = drop_reasons[i];
    EXPECT_EQ(static_cast<std::size_t>(row.reason), i) << row.name << " stands in another reason's row";
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " twice";
    EXPECT_EQ(row.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), std::string_view::npos) << row.name;
    EXPECT_GT(row.meaning.size(), 10u) << row.name;
  }
}

// Sizes as the RFCs give them: 4106 (GCM), 3602 (CBC), 2404 (HMAC-SHA1-96), 4868 (HMAC-SHA2-256-128).
TEST(esp_suites, sizes_are_those_of_the_rfcs) {
  EXPECT_EQ(info(esp_suite::aes128gcm16).key_material(), 20u);
  EXPECT_EQ(info(esp_suite::aes256gcm16).key_material(), 36u);
  EXPECT_EQ(info(esp_suite::aes128cbc_sha1).key_material(), 36u);
  EXPECT_EQ(info(esp_suite::aes256cbc_sha1).key_material(), 52u);
  EXPECT_EQ(info(esp_suite::aes128cbc_sha256).key_material(), 48u);
  EXPECT_EQ(info(esp_suite::aes256cbc_sha256).key_material(), 64u);
  for (const auto& row : esp_suites) {
    EXPECT_EQ(&info(row.suite), &row);
    EXPECT_EQ(find_esp_suite(row.name), row.suite);
    EXPECT_EQ(row.aead ? 8 : 16, row.iv) << row.name;
    EXPECT_EQ(row.name.ends_with("sha1") ? 12 : 16, row.icv) << row.name;
  }
  EXPECT_FALSE(find_esp_suite("aes256gcm"));
}

TEST(secret, moves_and_leaves_nothing_behind) {
  const std::vector<std::uint8_t> key = {1, 2, 3};
  secret first(key);
  secret second(std::move(first));
  EXPECT_EQ(first.size(), 0u);  // NOLINT(bugprone-use-after-move): the state after a move is what is tested
  ASSERT_EQ(second.size(), 3u);
  secret third;
  third = std::move(second);
  EXPECT_EQ(third.bytes()[2], 3);
}

TEST(secret, wipe_clears_every_byte) {
  std::vector<std::uint8_t> key(33, 0xaa);
  wipe(key.data(), key.size());
  EXPECT_EQ(key, std::vector<std::uint8_t>(33, 0));
}

TEST(result, carries_the_reason_of_a_system_call) {
  errno = EACCES;
  result<int> answer = system_failure("open /dev/net/tun");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "open /dev/net/tun: Permission denied");
}

TEST(counter, adds_and_sets) {
  counter c;
  c.add(3);
  c.add(4);
  EXPECT_EQ(c.get(), 7u);
  c.set(1);
  EXPECT_EQ(c.get(), 1u);
}

}  // namespace
}  // namespace trunkgate
