#include "perf/bench/report_html.hpp"

#include <algorithm>
#include <vector>

#include "perf/bench/entry_name.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/svg_plot.hpp"

namespace trunkgate::bench {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* style = R"(
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 1040px; margin: 2em auto; padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.2em; margin-top: 2em; border-bottom: 1px solid #8888 } h3 { font-size: 1em; margin-bottom: .3em }
svg { width: 100%; height: auto; font-size: 12px; fill: currentColor }
svg .grid { stroke: #8884 } svg .tick { opacity: .7; font-size: 11px }
svg .whisker { stroke: currentColor; stroke-width: 1.2 } svg .target { stroke: #d00; stroke-width: 2.5 }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; display: block; overflow-x: auto }
th, td { padding: .2em .7em; text-align: left; border-bottom: 1px solid #8883; white-space: nowrap } td.number { text-align: right }
.warning { color: #b35900 } .wrong { color: #d00; font-weight: bold }
)";

struct section {
  const char* bench;
  const char* title;
  const char* figure;  // a spread or a number
  const char* unit;
  bool higher_is_better;
};
constexpr section sections[] = {
    {"targets", "What is to be reached", "min", "TSC cycles per packet", false},
    {"crypto", "Engines alone", "cycles_per_packet", "TSC cycles per packet", false},
    {"esp", "ESP, the whole path", "cycles_per_packet", "TSC cycles per packet", false},
    {"forward", "Plain forwarding", "cycles_per_packet", "TSC cycles per packet", false},
    {"memory", "Memory", "bytes_each", "Bytes each", false},
    {"ike", "IKE", "handshakes_per_cpu_second", "Handshakes per second of a processor", true},
    {"rate", "Rates", "ndr_mpps", "Million packets per second without loss (NDR)", true},
    {"latency", "Latency", "p99_us", "Microseconds until 99 % of the packets were through", false},
};

std::string cell_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("median")) {
    std::string out;
    for (const auto* key : {"min", "median", "max"})
      if (value.contains(key)) out += (out.empty() ? "" : " / ") + value[key].dump();
    return out;
  }
  if (!value.is_array()) return value.is_object() ? "" : value.dump();
  std::string out;
  for (const auto& one : value) out += (out.empty() ? "" : " ") + cell_text(one);
  return out;
}

std::vector<json> entries_of(const json& written, std::string_view bench) {
  std::vector<json> out;
  for (const auto& entry : written.at("results"))
    if (entry.at("bench") == bench) out.push_back(entry);
  return out;
}

std::string label_of(const json& entry) {
  if (entry.contains("figure"))
    return entry["figure"].get<std::string>() + (entry.contains("size") ? ", " + cell_text(entry["size"]) + " B" : "");
  const auto name = entry_name(entry);
  return name.substr(std::min(name.size(), name.find(' ') + 1));  // the heading says the benchmark
}

std::string main_plot(const section& what, const std::vector<json>& entries) {
  std::vector<bar> bars;
  for (const auto& entry : entries) {
    // A target in bytes has no place on an axis of cycles: it is in the table.
    if (!entry.contains(what.figure) || entry.value("unit", "cycles") != "cycles") continue;
    const auto& figure = entry[what.figure];
    bar one;
    one.label = label_of(entry);
    const double value =
        figure.is_object() ? figure.at(what.higher_is_better ? "max" : "min").get<double>() : figure.get<double>();
    double engine = what.higher_is_better ? 0 : entry.value("engine_cycles", 0.0);
    if (entry.contains("crypto_cycles_per_packet")) engine = entry["crypto_cycles_per_packet"].at("min").get<double>();
    if (engine > 0 && engine < value)
      one.parts = {{"engine", engine}, {"all else", value - engine}};
    else
      one.parts = {{"", value}};
    if (figure.is_object()) one.median = figure.at("median").get<double>();
    if (entry.contains("median")) one.median = entry["median"].get<double>();
    if (entry.contains("target")) one.target = entry["target"].get<double>();
    bars.push_back(std::move(one));
  }
  std::string title = what.higher_is_better ? "The best run" : "The least of the runs";
  title += "; the line leads to the median";
  if (std::string_view(what.bench) == "targets") title += ", the red mark is the target";
  return bar_plot(title, what.unit, bars);
}

std::string stages_plot(const std::vector<json>& entries) {
  std::vector<bar> bars;
  for (const auto& entry : entries) {
    if (!entry.contains("stages")) continue;
    bar one;
    one.label = label_of(entry);
    for (const auto& [stage, cycles] : entry["stages"].items()) one.parts.push_back({stage, cycles.get<double>()});
    bars.push_back(std::move(one));
  }
  return bar_plot("Of the fastest run", "Where the cycles go: TSC cycles per packet", bars);
}

std::string table_of(const std::vector<json>& entries) {
  std::vector<std::string> columns;
  for (const auto& entry : entries)
    for (const auto& [key, value] : entry.items())
      if (key != "bench" && !std::ranges::contains(columns, key) && (!value.is_object() || value.contains("median")))
        columns.push_back(key);
  std::string out = "<details><summary>all figures</summary><table><tr>";
  for (const auto& column : columns) out += "<th>" + escaped(column) + "</th>";
  for (const auto& entry : entries) {
    out += "</tr>\n<tr>";
    for (const auto& column : columns) {
      const bool bad = column == "wrong" && entry.value("wrong", 0) != 0;
      const bool text = !entry.contains(column) || entry[column].is_string();
      out += std::string(bad    ? "<td class=\"wrong\">"
                         : text ? "<td>"
                                : "<td class=\"number\">") +
             (entry.contains(column) ? escaped(cell_text(entry[column])) : "") + "</td>";
    }
  }
  return out + "</tr></table></details>\n";
}

std::string machine_part(const json& machine) {
  std::string out = "<h2>The machine</h2>\n<table>";
  const auto row = [&out](const std::string& name, const std::string& value) {
    out += "<tr><th>" + escaped(name) + "</th><td>" + escaped(value) + "</td></tr>\n";
  };
  row("processor", machine.value("cpu", ""));
  row("flags", cell_text(machine.at("flags")));
  if (const double hertz = machine.value("tsc_hz", 0.0); hertz > 0) row("TSC", number(hertz / 1e6) + " MHz");
  row("hugepages", machine.value("hugepages", false) ? "yes" : "no");
  for (const auto& [name, version] : machine.at("versions").items()) row(name, cell_text(version));
  out += "</table>\n";
  for (const auto& warning : machine.at("warnings"))
    out += "<p class=\"warning\">" + escaped(cell_text(warning)) + "</p>\n";
  out += "<details><summary>engine of each suite</summary><table>";
  for (const auto& [suite, engine] : machine.at("engines").items()) row(suite, cell_text(engine));
  return out + "</table></details>\n";
}

}  // namespace

std::string html_page(const json& written) {
  std::string out =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>trunkgate bench</title>\n<style>" +
      std::string(style) + "</style></head><body>\n<h1>trunkgate bench</h1>\n";
  std::uint64_t wrong = 0;
  for (const auto& entry : written.at("results")) wrong += entry.value("wrong", std::uint64_t{0});
  if (wrong != 0)
    out += "<p class=\"wrong\">" + count(wrong) +
           " wrong: something was lost, damaged or not found; the figures mean nothing.</p>\n";
  for (const auto& what : sections) {
    const auto entries = entries_of(written, what.bench);
    if (entries.empty()) continue;
    out += "<h2>" + std::string(what.title) + "</h2>\n" + main_plot(what, entries) + stages_plot(entries) +
           table_of(entries);
  }
  return out + machine_part(written.at("machine")) + "</body></html>\n";
}

}  // namespace trunkgate::bench
