// The targets' table joins what was measured with what is to be reached, and says how far apart they are.
#include "perf/bench/targets.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace trunkgate::bench {
namespace {

pass_figures run(double total, double crypto) {
  pass_figures one;
  one.total = total;
  one.crypto = crypto;
  return one;
}

results some() {
  results all;
  // Not a target: another size.
  all.esp.push_back({direction::out, esp_suite::aes128gcm16, 65, 1, {run(1, 1)}, {}, 0, 0});
  all.esp.push_back(
      {direction::out, esp_suite::aes128gcm16, 64, 1, {run(330, 80), run(660, 77), run(231, 90)}, {100, 0, 2}, 0, 0});
  all.forward.push_back({64, 1, {run(90, 0)}, {50, 0, 0}});
  all.memory.push_back({&object_rows[0], 10'000, {5000, 0, 1, std::nullopt, 10'000, 0}});
  return all;
}

TEST(targets, are_compared_at_the_minimum_and_the_median) {
  const auto list = target_results(some());
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].row->name(), "aes128gcm16 out, 1 SA");
  EXPECT_EQ(list[0].min, 231);
  EXPECT_EQ(list[0].median, 330);
  EXPECT_DOUBLE_EQ(list[0].ratio(), 1.4);
  EXPECT_DOUBLE_EQ(list[0].own(), 154);  // minimum less minimum
  EXPECT_DOUBLE_EQ(list[0].times_engine(), 3);
  EXPECT_DOUBLE_EQ(list[0].times_engine_target(), 165.0 / 77);
  EXPECT_EQ(list[1].row->name(), "plain forwarding");
  EXPECT_EQ(list[2].row->name(), "bytes of an SA pair");
  EXPECT_DOUBLE_EQ(list[2].ratio(), 2);
}

TEST(targets, are_all_there) {
  std::size_t esp = 0;
  for (const auto& row : target_rows()) {
    EXPECT_GT(row.required, 0) << row.name();
    EXPECT_LT(row.stretch, row.required) << row.name();
    esp += row.what == target_row::kind::esp;
  }
  EXPECT_EQ(esp, 13u);
  EXPECT_EQ(target_rows().size(), esp + 2);
  EXPECT_EQ(own_target(64), 90);
  EXPECT_EQ(own_target(350), 80);
}

TEST(targets, tables_say_target_and_ratio_and_fit_100_columns) {
  const auto text = target_tables(target_results(some()));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
  for (const auto* word : {"TARGET", "RATIO", "STRETCH", "1.40", "X ENGINE", "OWN"})
    EXPECT_NE(text.find(word), std::string::npos) << word;
  EXPECT_EQ(target_tables({}).find("X ENGINE"), std::string::npos);  // stopped before the first
}

TEST(targets, json_has_what_the_tables_have) {
  const auto list = target_results(some());
  const auto one = target_json(list[0]);
  EXPECT_EQ(one["bench"], "targets");
  EXPECT_EQ(one["figure"], "aes128gcm16 out, 1 SA");
  EXPECT_EQ(one["size"], 64);
  EXPECT_EQ(one["target"], 165);
  EXPECT_EQ(one["ratio"], 1.4);
  EXPECT_EQ(one["ratio_at_median"], 2.0);
  EXPECT_EQ(one["own"], 154);
  EXPECT_EQ(one["own_target"], 90);
  EXPECT_EQ(target_json(list[2])["unit"], "bytes");
  EXPECT_FALSE(target_json(list[2]).contains("own"));
}

}  // namespace
}  // namespace trunkgate::bench
