// What was asked for is done or refused with a reason that says what would be possible.
#include "perf/bench/options.hpp"

#include <gtest/gtest.h>

#include "perf/bench/spread.hpp"

namespace trunkgate::bench {
namespace {

using words = std::vector<std::string>;

TEST(bench_options, takes_lists) {
  const auto options =
      parse_options(words{"esp", "--direction", "loop,out", "--size", "64,imix,9000", "--sas", "7,100000", "--suite",
                          "aes128gcm16,aes256cbc-sha256", "--runs", "3", "--packets", "5", "--stages", "--json", "x"});
  ASSERT_TRUE(options) << options.error().reason;
  EXPECT_EQ(options->what->name, "esp");
  EXPECT_EQ(options->directions, (std::vector{direction::loop, direction::out}));
  EXPECT_EQ(options->sizes, (std::vector<packet_sizes>{64, packet_sizes::imix(), 9000}));
  EXPECT_EQ(options->counts, (std::vector{7u, 100'000u}));
  EXPECT_EQ(options->suites, (std::vector{esp_suite::aes128gcm16, esp_suite::aes256cbc_sha256}));
  EXPECT_EQ(options->runs, 3u);
  EXPECT_EQ(options->packets, 5u);
  EXPECT_TRUE(options->stages);
  EXPECT_EQ(options->json_file, "x");
}

TEST(bench_options, measures_without_any) {
  for (const auto& what : benchmarks()) {
    if (what.files != 0) continue;
    const auto options = parse_options(words{std::string(what.name)});
    ASSERT_TRUE(options) << options.error().reason;
    EXPECT_FALSE(options->counts.empty());
    EXPECT_FALSE(options->suites.empty());
    EXPECT_EQ(options->objects.empty(), what.name != "memory");
  }
  EXPECT_EQ(parse_options(words{"crypto"})->suites.size(), esp_suites.size());
}

TEST(bench_options, without_a_word_it_is_the_targets) {
  for (const auto& given : {words{}, words{"--runs", "3"}, words{"targets", "--runs", "3"}}) {
    const auto options = parse_options(given);
    ASSERT_TRUE(options) << options.error().reason;
    EXPECT_EQ(options->what->name, "targets");
    EXPECT_EQ(options->runs, given.empty() ? 10u : 3u);
  }
  EXPECT_NE(parse_options(words{"--size", "64"}).error().reason.find("bench targets: there is no option \"--size\""),
            std::string::npos);
}

TEST(bench_options, takes_files) {
  const auto options = parse_options(words{"diff", "a.json", "b.json", "--any-machine"});
  ASSERT_TRUE(options) << options.error().reason;
  EXPECT_EQ(options->files, (words{"a.json", "b.json"}));
  EXPECT_TRUE(options->any_machine);
  EXPECT_FALSE(parse_options(words{"diff", "a.json"}));
  EXPECT_FALSE(parse_options(words{"diff", "a.json", "b.json", "c.json"}));
}

TEST(bench_options, names_objects) {
  const auto options = parse_options(words{"memory", "--object", "rule_rebuild,sa_pair", "--count", "10"});
  ASSERT_TRUE(options) << options.error().reason;
  EXPECT_TRUE(options->rebuild);
  ASSERT_EQ(options->objects.size(), 1u);
  EXPECT_EQ(options->objects.front()->name, "sa_pair");
  EXPECT_FALSE(parse_options(words{"memory", "--object", "sa_pair"})->rebuild);
  EXPECT_EQ(parse_options(words{"memory", "--object", "all"})->objects.size(), object_rows.size());
}

TEST(bench_options, takes_what_ike_is_to_do) {
  const auto options = parse_options(words{"ike", "--auth", "rsa,ed25519", "--ke", "ecp384,x25519-ke1_mlkem1024",
                                           "--peers", "7", "--runs", "3", "--scale", "10000", "--lifetime", "120"});
  ASSERT_TRUE(options) << options.error().reason;
  EXPECT_EQ(options->auths, (words{"rsa", "ed25519"}));
  EXPECT_EQ(options->key_exchanges, (words{"ecp384", "x25519-ke1_mlkem1024"}));
  EXPECT_EQ(options->peers, 7u);
  EXPECT_EQ(options->runs, 3u);
  EXPECT_EQ(options->scale, 10'000u);
  EXPECT_EQ(options->lifetime, 120u);
  EXPECT_EQ(parse_options(words{"ike"})->scale, 0u);
}

TEST(bench_options, refuses_with_what_is_possible) {
  const std::vector<std::pair<words, const char*>> cases{
      {{"quic"}, "targets, crypto, esp, forward, ike, latency, memory, diff"},
      {{"esp", "--direction", "up"}, "out, in, loop"},
      {{"esp", "--suite", "des"}, "aes128gcm16, aes192gcm16"},
      {{"esp", "--size", "39"}, "from 40 to 9000 or imix"},
      {{"esp", "--size", "9001"}, "from 40 to 9000 or imix"},
      {{"esp", "--size", "64,"}, "from 40 to 9000"},
      {{"esp", "--size", "64x"}, "\"64x\""},
      {{"esp", "--sas", "0"}, "from 1 to 100000"},
      {{"esp", "--sas", "99999999999"}, "from 1 to 100000"},
      {{"esp", "--runs", "0"}, "from 1 to 1000"},
      {{"esp", "--speed", "9"}, "--direction LIST"},
      {{"esp", "--size"}, "wants a value"},
      {{"esp", "64"}, "no option \"64\""},
      {{"esp", "--packets", "-1"}, "from 1 to"},
      {{"esp", "--keys", "1"}, "no option"},
      {{"forward", "--suite", "all"}, "no option"},
      {{"ike", "--auth", "eap"}, "psk, ecdsa, rsa, ed25519"},
      {{"ike", "--ke", "x25518"}, "\"x25518\""},
      {{"ike", "--peers", "100001"}, "from 1 to 100000"},
      {{"ike", "--lifetime", "9"}, "from 10 to 3600"},
      {{"ike", "--packets", "1"}, "no option"},
      {{"memory", "--object", "cat"}, "all, sa_pair"},
      {{"memory", "--count", "100001"}, "from 1 to 100000"}};
  for (const auto& [given, reason] : cases) {
    const auto options = parse_options(given);
    ASSERT_FALSE(options) << reason;
    EXPECT_NE(options.error().reason.find(reason), std::string::npos) << options.error().reason;
  }
}

TEST(bench_options, the_limits_in_the_help_are_those_of_the_parser) {
  EXPECT_NE(usage().find(std::to_string(smallest_packet) + " to " + std::to_string(largest_packet)), std::string::npos);
  EXPECT_NE(usage().find("1 to " + std::to_string(flow_limit)), std::string::npos);
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
