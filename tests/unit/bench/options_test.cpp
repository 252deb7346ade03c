// What was asked for is done or refused with a reason that says what would be possible.
#include "perf/bench/options.hpp"

#include <gtest/gtest.h>

#include "perf/bench/report.hpp"

namespace trunkgate::bench {
namespace {

using words = std::vector<std::string>;

TEST(esp_options, takes_lists) {
  const auto options = parse_esp_options(words{"--direction", "loop,out", "--size", "64,1400", "--sas", "7", "--suite",
                                               "aes128gcm16,aes256cbc-sha256", "--runs", "3", "--packets", "5",
                                               "--stages", "--json", "x"});
  ASSERT_TRUE(options) << options.error().reason;
  EXPECT_EQ(options->directions, (std::vector{direction::loop, direction::out}));
  EXPECT_EQ(options->sizes, (std::vector<std::uint16_t>{64, 1400}));
  EXPECT_EQ(options->sas, std::vector{7u});
  EXPECT_EQ(options->suites, (std::vector{esp_suite::aes128gcm16, esp_suite::aes256cbc_sha256}));
  EXPECT_EQ(options->runs, 3u);
  EXPECT_EQ(options->packets, 5u);
  EXPECT_TRUE(options->stages);
  EXPECT_EQ(options->json_file, "x");
}

TEST(esp_options, refuses_with_what_is_possible) {
  const std::vector<std::pair<words, const char*>> cases{{{"--direction", "up"}, "out, in, loop"},
                                                         {{"--suite", "des"}, "aes128gcm16, aes192gcm16"},
                                                         {{"--size", "39"}, "from 40 to 1500"},
                                                         {{"--size", "64,"}, "from 40 to 1500"},
                                                         {{"--size", "64x"}, "\"64x\""},
                                                         {{"--sas", "0"}, "from 1 to 65536"},
                                                         {{"--sas", "99999999999"}, "from 1 to 65536"},
                                                         {{"--runs", "0"}, "from 1 to 1000"},
                                                         {{"--speed", "9"}, "usage"},
                                                         {{"--size"}, "wants a value"},
                                                         {{"64"}, "usage"},
                                                         {{"--packets", "-1"}, "from 1 to"}};
  for (const auto& [given, reason] : cases) {
    const auto options = parse_esp_options(given);
    ASSERT_FALSE(options) << given.front();
    EXPECT_NE(options.error().reason.find(reason), std::string::npos) << options.error().reason;
  }
}

TEST(spread, is_least_middle_and_most) {
  const auto odd = spread_of({9, 1, 5});
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.median, 5);
  EXPECT_EQ(odd.max, 9);
  EXPECT_EQ(spread_of({4, 1, 2, 9}).median, 3);
}

}  // namespace
}  // namespace trunkgate::bench
