// What changed is told from what is noise, and two machines are not compared by accident.
#include "perf/bench/diff.hpp"

#include <gtest/gtest.h>

namespace trunkgate::bench {
namespace {

using nlohmann::json;
using enum figure_change::verdict;

json esp(double min, double median, int size = 64) {
  return {{"bench", "esp"},
          {"direction", "out"},
          {"suite", "aes128gcm16"},
          {"size", size},
          {"sas", 1},
          {"workers", 1},
          {"runs", 10},
          {"cycles_per_packet", {{"min", min}, {"median", median}, {"max", 3 * median}}},
          {"wrong", 0}};
}
json file_of(std::vector<json> entries) {
  return {{"machine", {{"cpu", "some CPU"}, {"flags", {"aes"}}, {"tsc_hz", 2e9}, {"versions", {{"dpdk", "24.11"}}}}},
          {"results", std::move(entries)}};
}
comparison compared(const json& before, const json& after) {
  auto found = compare_figures(before, after, false);
  EXPECT_TRUE(found) << found.error().reason;
  return found ? *found : comparison{};
}

TEST(bench_diff, minima_count_and_quiet_runs_have_little_noise) {
  const auto quiet = file_of({esp(200, 202)});
  const auto one = compared(quiet, file_of({esp(210, 212)})).figures.at(0);
  EXPECT_EQ(one.name, "esp out aes128gcm16 64 B 1 sas");
  EXPECT_EQ(one.is(), slower);
  EXPECT_NEAR(one.change(), 0.05, 1e-9);
  EXPECT_EQ(one.noise, 0.01);                                                     // never less
  EXPECT_EQ(compared(quiet, file_of({esp(190, 400)})).figures.at(0).is(), same);  // the second file is noisy
  EXPECT_EQ(compared(quiet, file_of({esp(190, 195)})).figures.at(0).is(), faster);
  EXPECT_EQ(compared(quiet, file_of({esp(201, 203)})).figures.at(0).is(), same);
}

TEST(bench_diff, the_spread_of_either_file_is_noise_and_more_runs_are_less_of_it) {
  auto noisy = esp(200, 300);
  const auto few = compared(file_of({noisy}), file_of({esp(220, 222)})).figures.at(0);
  EXPECT_EQ(few.is(), same);
  EXPECT_NEAR(few.noise, 3 * 0.5 / (10 * 0.6931), 0.001);
  EXPECT_EQ(compared(file_of({esp(220, 222)}), file_of({noisy})).figures.at(0).is(), same);
  noisy["runs"] = 150;
  EXPECT_EQ(compared(file_of({noisy}), file_of({esp(220, 222)})).figures.at(0).is(), slower);
}

TEST(bench_diff, of_a_rate_more_is_better) {
  const auto rate = [](double least, double median, double most) {
    return file_of({{{"bench", "ike"},
                     {"role", "responder"},
                     {"auth", "psk"},
                     {"runs", 10},
                     {"handshakes_per_cpu_second", {{"min", least}, {"median", median}, {"max", most}}}}});
  };
  EXPECT_EQ(compared(rate(500, 995, 1000), rate(500, 1095, 1100)).figures.at(0).is(), faster);
  const auto less = compared(rate(500, 995, 1000), rate(500, 895, 900));
  EXPECT_EQ(less.figures.at(0).is(), slower);
  EXPECT_TRUE(less.anything_slower());
}

TEST(bench_diff, every_figure_is_compared_with_its_own_like) {
  const auto found =
      compared(file_of({esp(200, 202), esp(500, 502, 1420)}), file_of({esp(600, 602, 1420), esp(90, 91, 65)}));
  ASSERT_EQ(found.figures.size(), 1u);
  EXPECT_EQ(found.figures[0].before, 500);
  EXPECT_EQ(found.only_before, std::vector<std::string>{"esp out aes128gcm16 64 B 1 sas"});
  EXPECT_EQ(found.only_after, std::vector<std::string>{"esp out aes128gcm16 65 B 1 sas"});
  const auto text = comparison_text(found);
  EXPECT_NE(text.find("slower 20.0 %"), std::string::npos) << text;
  EXPECT_NE(text.find("only before: "), std::string::npos) << text;
}

TEST(bench_diff, two_machines_are_compared_only_when_told_to) {
  const auto here = file_of({esp(200, 202)});
  for (const auto& [key, value] :
       {std::pair<const char*, json>("cpu", "another"), {"flags", json{"aes", "vaes"}}, {"tsc_hz", 2.5e9}}) {
    auto there = here;
    there["machine"][key] = value;
    const auto refused = compare_figures(here, there, false);
    ASSERT_FALSE(refused) << key;
    EXPECT_NE(refused.error().reason.find("--any-machine"), std::string::npos);
    const auto told = compare_figures(here, there, true);
    ASSERT_TRUE(told) << key;
    EXPECT_NE(comparison_text(*told).find("two machines"), std::string::npos);
  }
  auto recalibrated = here;
  recalibrated["machine"]["tsc_hz"] = 2.001e9;
  EXPECT_TRUE(compare_figures(here, recalibrated, false));
}

TEST(bench_diff, another_build_is_said) {
  auto there = file_of({esp(200, 202)});
  there["machine"]["warnings"] = {"built without optimisation", "other work ran on this machine (load 3)"};
  there["machine"]["versions"]["dpdk"] = "25.11";
  const auto text = comparison_text(compared(file_of({esp(200, 202)}), there));
  EXPECT_NE(text.find("versions differ"), std::string::npos) << text;
  EXPECT_NE(text.find("only after: built without optimisation"), std::string::npos) << text;
  EXPECT_EQ(text.find("other work"), std::string::npos) << text;
}

TEST(bench_diff, refuses_what_says_nothing) {
  const auto good = file_of({esp(200, 202)});
  auto damaged = good;
  damaged["results"][0]["wrong"] = 3;
  auto without = good;
  without["results"][0]["cycles_per_packet"].erase("median");
  const std::pair<json, const char*> cases[] = {{json::array(), "no figures"},
                                                {json{{"machine", {}}, {"results", 4}}, "no figures"},
                                                {damaged, "wrong packets"},
                                                {file_of({}), "no figure in common"},
                                                {without, "is not as"}};
  for (const auto& [file, reason] : cases)
    for (const auto& found : {compare_figures(good, file, true), compare_figures(file, good, true)}) {
      ASSERT_FALSE(found) << reason;
      EXPECT_NE(found.error().reason.find(reason), std::string::npos) << found.error().reason;
    }
}

}  // namespace
}  // namespace trunkgate::bench
