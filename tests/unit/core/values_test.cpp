// The tables of values: drop reasons, suites, secrets, errors, counters.
#include <cerrno>
#include <set>
#include <string>
#include <tuple>
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

// Sizes as the RFCs give them: 4106 (GCM), 4543 (GMAC), 7634 (ChaCha20-Poly1305), 3602 (CBC), 3686 (CTR), 2410 (NULL),
// 2451 (3DES), 2404 (HMAC-SHA1-96), 4868 (HMAC-SHA2).
TEST(esp_suites, sizes_are_those_of_the_rfcs) {
  struct cipher {
    std::string_view name;
    unsigned key, salt, iv, block;
    bool counter, legacy;
  };
  struct auth {
    std::string_view name;
    unsigned key, icv;
  };
  std::vector<cipher> combined{{"chacha20poly1305", 32, 4, 8, 4, true, false}};
  std::vector<cipher> plain{{"null", 0, 0, 0, 4, false, false}};
  std::vector<std::string> names;
  for (const unsigned bits : {128u, 192u, 256u})
    for (const auto* kind : {"gcm16", "gmac", "cbc", "ctr"}) names.push_back("aes" + std::to_string(bits) + kind);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto key = static_cast<unsigned>(16 + i / 4 * 8);
    if (i % 4 < 2) combined.push_back({names[i], key, 4, 8, 4, true, false});
    if (i % 4 == 2) plain.push_back({names[i], key, 0, 16, 16, false, false});
    if (i % 4 == 3) plain.push_back({names[i], key, 4, 8, 4, true, false});
  }
  std::size_t found = 0;
  const auto check = [&](std::string_view name, const cipher& c, const auth& a) {
    const auto suite = find_esp_suite(name);
    ASSERT_TRUE(suite) << name;
    const auto& row = info(*suite);
    ++found;
    EXPECT_EQ(&esp_suites[static_cast<std::size_t>(*suite)], &row);
    EXPECT_EQ(std::tuple(row.cipher_key, row.salt, row.auth_key, row.iv, row.icv, row.block),
              std::tuple(c.key, c.salt, a.key, c.iv, a.icv, c.block))
        << name;
    EXPECT_EQ(row.key_material(), c.key + c.salt + a.key) << name;
    EXPECT_EQ(std::tuple(row.aead, row.counter_iv, row.manual_keys_need_lab, row.legacy),
              std::tuple(a.key == 0, c.counter, c.counter, c.legacy))
        << name;
  };
  const auth auths[] = {{"sha1", 20, 12}, {"sha256", 32, 16}, {"sha384", 48, 24}, {"sha512", 64, 32}};
  for (const auto& c : combined) check(c.name, c, {"", 0, 16});
  for (const auto& c : plain)
    for (const auto& a : auths) check(std::string(c.name) + "-" + std::string(a.name), c, a);
  for (const auto& a : {auths[0], auths[1]})
    check("3descbc-" + std::string(a.name), {"3descbc", 24, 0, 8, 8, false, true}, a);
  EXPECT_EQ(found, esp_suite_count);
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
