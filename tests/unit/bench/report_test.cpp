// What is written is complete, right, and fits 100 columns.
#include "perf/bench/report.hpp"

#include <sstream>

#include <gtest/gtest.h>

#include "perf/bench/report_html.hpp"
#include "perf/bench/svg_plot.hpp"

namespace trunkgate::bench {
namespace {

machine_report some_machine() {
  machine_report machine;
  machine.cpu = "some CPU";
  machine.tsc_hz = 2'000'000'000;
  return machine;
}

pass_figures figures(double total, double crypto) {
  pass_figures one;
  one.total = total;
  one.crypto = crypto;
  one.stages[static_cast<std::size_t>(stage_id::rx)] = 10;
  return one;
}

results one_of_each() {
  results all;
  auto longest = esp_suites[0].suite;
  for (const auto& row : esp_suites)
    if (row.name.size() > info(longest).name.size()) longest = row.suite;
  all.crypto.push_back({"ipsec-mb-vaes", longest, 9000, 100'000, true, {30000, 10000, 20000}, {1'000'000, 0, 1000}});
  all.esp.push_back({direction::loop,
                     longest,
                     packet_sizes::imix(),
                     100'000,
                     {figures(10000, 4000), figures(8000, 5000), figures(12000, 6000)},
                     {4096, 0, 64},
                     2500,
                     1.5});
  all.forward.push_back({1420, 100'000, {figures(200, 0)}, {4096, 0, 0}});
  all.memory.push_back({&object_rows[1], 100'000, {5916, 43e6, 1.25, spread{5.9, 11.9, 30}, 100'000, 0}});
  all.rebuild.push_back({10'000, {0.663, {5.4, 75.9, 24047, 22}, {5.2, 114, 26350, 35}, 3'341'056, 0}});
  all.ike.push_back({.kind = {"ed25519", "x25519-ke1_mlkem768"},
                     .initiator = false,
                     .peers = 100'000,
                     .rates = {20'000, 10'000, 12'500},
                     .baseline = {40e-6, 50e-6, 20e-6},
                     .bytes = 7400.25,
                     .configured_bytes = 2476});
  scale_figures many{.peers = 100'000, .lifetime = 3600, .up = 100'000, .seconds_to_up = 12.3};
  many.child_rekeys = 200'000;
  many.ike_rekeys = 200'001;
  many.oldest_child = 3599.5;
  many.oldest_ike_sa = 3598;
  many.longest_silence = 1800.7;
  many.silence_limit = 1802;
  many.latest_timer_ms = 12.5;
  many.cpu_share = 0.25;
  all.scale.push_back(many);
  return all;
}

TEST(report, json_has_every_figure) {
  const auto written = to_json(one_of_each(), some_machine());
  EXPECT_EQ(written["machine"]["cpu"], "some CPU");
  const auto& list = written["results"];
  ASSERT_EQ(list.size(), 7u);
  EXPECT_EQ(list[0]["bench"], "crypto");
  EXPECT_EQ(list[0]["direction"], "encrypt");
  EXPECT_EQ(list[0]["cycles_per_packet"],
            (nlohmann::ordered_json{{"min", 10000.0}, {"median", 20000.0}, {"max", 30000.0}}));
  EXPECT_EQ(list[1]["size"], "imix");
  EXPECT_EQ(list[1]["crypto_cycles_per_packet"]["min"], 4000.0);
  EXPECT_EQ(list[1]["crypto_cycles_per_packet"]["median"], 5000.0);
  EXPECT_EQ(list[1]["stages"]["rx"], 10.0);
  EXPECT_EQ(list[1]["mpps"], 0.2);   // at the median of 10,000 cycles
  EXPECT_EQ(list[1]["gbps"], 0.55);  // of 345.67 bytes
  EXPECT_EQ(list[2]["bench"], "forward");
  EXPECT_EQ(list[2]["size"], 1420);
  EXPECT_EQ(list[2]["mpps"], 10.0);
  EXPECT_EQ(list[3]["object"], "sa_pair_batched");
  EXPECT_EQ(list[3]["bytes_each"], 5916.0);
  EXPECT_EQ(list[3]["count"], 100'000);
  EXPECT_EQ(list[3]["last_add_us"]["median"], 11.9);
  EXPECT_EQ(list[4]["turn_us_rebuild"]["longest"], 114.0);
  EXPECT_EQ(list[5]["role"], "responder");
  EXPECT_EQ(list[5]["auth"], "ed25519");
  EXPECT_EQ(list[5]["ke"], "x25519-ke1_mlkem768");
  EXPECT_EQ(list[5]["handshakes_per_cpu_second"],
            (nlohmann::ordered_json{{"min", 10000.0}, {"median", 12500.0}, {"max", 20000.0}}));
  EXPECT_EQ(list[5]["public_key_us"]["median"], 40.0);
  EXPECT_EQ(list[5]["ratio_to_public_key"], 2.0);  // 80 us to 40 us
  EXPECT_EQ(list[5]["bytes_per_peer"], 7400.25);
  EXPECT_EQ(list[6]["up"], 100'000);
  EXPECT_EQ(list[6]["child_rekeys"], 200'000);
  EXPECT_EQ(list[6]["ike_rekeys"], 200'001);
  EXPECT_EQ(list[6]["latest_timer_ms"], 12.5);
  for (const auto& entry : list) EXPECT_EQ(entry["wrong"], 0) << entry["bench"];
}

TEST(report, tables_fit_100_columns) {
  std::istringstream text(result_tables(one_of_each(), some_machine(), true));
  for (std::string line; std::getline(text, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(report, what_the_generator_could_not_exceed_is_no_rate) {
  results all;
  all.rate.push_back(
      {.suite = esp_suite::aes128gcm16, .sizes = 64, .mrr = {8e6, 7e6, 8.5e6}, .ndr = {5e6, 6e6}, .pdr = {6e6, 7e6}});
  all.latency.push_back(
      {.suite = esp_suite::aes128gcm16, .sizes = 64, .load = 0.9, .p50 = {2}, .p99 = {4}, .p999 = {8}});
  auto& rate = all.rate.front();
  const auto machine = some_machine();
  rate.engine_cycles = 100;
  EXPECT_EQ(rate.limit(machine), "own work");  // 2,000 MHz by 8.5 Mpps are 235 cycles
  rate.engine_cycles = 150;
  EXPECT_EQ(rate.limit(machine), "crypto");
  rate.gateway_share = 0.5;
  EXPECT_EQ(rate.limit(machine), "other work");
  EXPECT_EQ(to_json(all, machine)["results"][0]["ndr_mpps"]["median"], 5.5);
  EXPECT_EQ(to_json(all, machine)["results"][1]["p999_us"]["median"], 8.0);
  EXPECT_NE(result_tables(all, machine, false).find("7.00 8.00 8.50"), std::string::npos);
  rate.generator_limited = true;
  rate.offered = 9e6;
  rate.ndr.clear();
  rate.pdr.clear();
  const auto text = result_tables(all, machine, false);
  EXPECT_EQ(text.find("8.50"), std::string::npos) << text;
  EXPECT_NE(text.find("generator gave no more than 9.00"), std::string::npos) << text;
  EXPECT_EQ(rate.limit(machine), "generator");
  EXPECT_FALSE(to_json(all, machine)["results"][0].contains("mrr_mpps"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100u) << line;
}

TEST(report, a_page_has_everything_and_loads_nothing) {
  auto written = to_json(one_of_each(), some_machine());
  written["machine"]["cpu"] = "a <fast> CPU & more";
  const auto page = html_page(written);
  for (const auto* part : {"<!doctype html>", "a &lt;fast&gt; CPU &amp; more", "TSC", "2000 MHz", "Engines alone",
                           "ESP, the whole path", "Plain forwarding", "Memory", "IKE", "<svg", "Where the cycles go",
                           "100000 sas", "default-src 'none'", "</html>"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  for (const auto* part : {"<script", "http:", "https:", "src=", "url(", "@import", "nan", "inf\"", "class=\"wrong\""})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  written["results"][1]["wrong"] = 7;
  EXPECT_NE(html_page(written).find("7 wrong"), std::string::npos);
  written["results"].clear();  // stopped before the first
  EXPECT_EQ(html_page(written).find("<svg"), std::string::npos);
}

TEST(report, bars_are_as_long_as_their_values) {
  const auto plot =
      bar_plot("title", "unit", {{"one", {{"", 50}}, 60, 100}, {"two", {{"", 200}}, std::nullopt, std::nullopt}});
  // 200 are the whole 560.
  EXPECT_NE(plot.find("width=\"140.0\""), std::string::npos) << plot;
  EXPECT_NE(plot.find("width=\"560.0\""), std::string::npos) << plot;
  EXPECT_NE(plot.find("50.0 / 100"), std::string::npos) << plot;
  EXPECT_NE(plot.find("<line x1=\"610.0\""), std::string::npos) << plot;  // the target, half of the way
  EXPECT_EQ(bar_plot("title", "unit", {}), "");
}

TEST(report, what_was_wrong_is_said_whichever_bench_found_it) {
  EXPECT_EQ(wrong_in(one_of_each()), 0u);
  for (int which = 0; which < 5; ++which) {
    auto all = one_of_each();
    if (which == 0) all.crypto[0].checked.wrong = 7;
    if (which == 1) all.esp[0].checked.wrong = 7;
    if (which == 2) all.forward[0].checked.wrong = 7;
    if (which == 3) all.memory[0].figures.wrong = 7;
    if (which == 4) all.rebuild[0].figures.wrong = 7;
    EXPECT_EQ(wrong_in(all), 7u) << which;
    EXPECT_EQ(to_json(all, some_machine())["results"][which]["wrong"], 7) << which;
    EXPECT_NE(result_tables(all, some_machine(), false).find('7'), std::string::npos) << which;
  }
}

TEST(report, tunnels_that_are_not_as_they_should_be_are_wrong) {
  const auto good = one_of_each().scale.front();
  EXPECT_EQ(wrong_in(good), 0u);
  auto bad = good;
  bad.up -= 3;
  EXPECT_EQ(wrong_in(bad), 3u);
  bad = good;
  bad.not_rekeyed = 5;
  EXPECT_EQ(wrong_in(bad), 5u);
  bad = good;
  bad.failures = 2;
  EXPECT_EQ(wrong_in(bad), 2u);
  bad = good;
  bad.longest_silence = bad.silence_limit + 0.1;  // a liveness check was late
  EXPECT_EQ(wrong_in(bad), 1u);
  auto all = one_of_each();
  all.scale.front() = bad;
  EXPECT_EQ(wrong_in(all), 1u);
  EXPECT_EQ(to_json(all, some_machine())["results"][6]["wrong"], 1);
}

TEST(report, a_machine_without_its_time_stamp_counter_is_no_machine_of_0_mhz) {
  auto machine = some_machine();
  EXPECT_NE(machine_text(machine).find("TSC 2000 MHz"), std::string::npos);
  machine.tsc_hz = 0;
  EXPECT_EQ(machine_text(machine), "some CPU\n");
}

}  // namespace
}  // namespace trunkgate::bench
