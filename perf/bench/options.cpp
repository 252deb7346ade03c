#include "perf/bench/options.hpp"

#include <charconv>

#include "perf/bench/gateway_pair.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {
namespace {

constexpr unsigned most_runs = 1000;
constexpr std::uint32_t most_packets = 100'000'000;

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto comma = list.find(',');
    parts.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

template <class Number>
result<std::vector<Number>> numbers(const std::string& option, std::string_view list, std::uint32_t least,
                                    std::uint32_t most) {
  std::vector<Number> out;
  for (const auto part : split(list)) {
    std::uint32_t value = 0;
    const auto [end, wrong] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (wrong != std::errc() || end != part.data() + part.size() || value < least || value > most)
      return failure(option + ": \"" + std::string(part) + "\" is not a number from " + std::to_string(least) + " to " +
                     std::to_string(most));
    out.push_back(static_cast<Number>(value));
  }
  return out;
}

result<std::vector<esp_suite>> suites(std::string_view list) {
  if (list == "all") {
    std::vector<esp_suite> all;
    for (const auto& row : esp_suites) all.push_back(row.suite);
    return all;
  }
  std::vector<esp_suite> out;
  for (const auto part : split(list)) {
    const auto found = find_esp_suite(part);
    if (!found) {
      std::string known = "all";
      for (const auto& row : esp_suites) known += ", " + std::string(row.name);
      return failure("--suite: there is no suite \"" + std::string(part) + "\"; there are " + known);
    }
    out.push_back(*found);
  }
  return out;
}

result<std::vector<direction>> directions(std::string_view list) {
  std::vector<direction> out;
  for (const auto part : split(list)) {
    if (part == "out")
      out.push_back(direction::out);
    else if (part == "in")
      out.push_back(direction::in);
    else if (part == "loop")
      out.push_back(direction::loop);
    else
      return failure("--direction: \"" + std::string(part) + "\" is none of out, in, loop");
  }
  return out;
}

template <class Value>
result<void> keep(result<Value> parsed, Value& into) {
  if (!parsed) return std::unexpected(parsed.error());
  into = std::move(*parsed);
  return {};
}

result<void> set_option(esp_options& options, const std::string& option, const std::string& value) {
  if (option == "--direction") return keep(directions(value), options.directions);
  if (option == "--suite") return keep(suites(value), options.suites);
  if (option == "--size")
    return keep(numbers<std::uint16_t>(option, value, smallest_packet, largest_packet), options.sizes);
  if (option == "--sas") return keep(numbers<std::uint32_t>(option, value, 1, sa_limit), options.sas);
  if (option == "--json") {
    options.json_file = value;
    return {};
  }
  const bool runs = option == "--runs";
  if (!runs && option != "--packets") return failure("there is no option " + option + "\n" + usage());
  auto one = numbers<std::uint32_t>(option, value, 1, runs ? most_runs : most_packets);
  if (!one) return std::unexpected(one.error());
  (runs ? options.runs : options.packets) = one->front();
  return {};
}

}  // namespace

std::string_view name(direction which) {
  switch (which) {
    case direction::out: return "out";
    case direction::in: return "in";
    default: return "loop";
  }
}

result<esp_options> parse_esp_options(std::span<const std::string> words) {
  esp_options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--stages") {
      options.stages = true;
      continue;
    }
    if (!words[i].starts_with("--")) return failure("\"" + words[i] + "\" is no option\n" + usage());
    if (i + 1 == words.size()) return failure(words[i] + " wants a value, or there is no such option\n" + usage());
    if (auto set = set_option(options, words[i], words[i + 1]); !set) return std::unexpected(set.error());
    ++i;
  }
  return options;
}

std::string usage() {
  return "usage: trunkgate bench esp [OPTION...]     one worker, the whole path, packets from memory\n"
         "  --direction LIST   out, in, loop (default out,in): protect, open, both\n"
         "  --size LIST        bytes of the inner IP packet, " +
         std::to_string(smallest_packet) + " to " + std::to_string(largest_packet) +
         " (default 64,350,1420)\n"
         "  --sas LIST         security associations, 1 to " +
         std::to_string(sa_limit) +
         " (default 1,1024)\n"
         "  --suite LIST       suites by name, or all (default aes128gcm16)\n"
         "  --runs N           runs of each measurement (default 10)\n"
         "  --packets N        packets of each run (default 65536)\n"
         "  --stages           cycles of every stage, too\n"
         "  --json FILE        writes everything as JSON\n"
         "Ctrl-C shows what was measured so far.\n";
}

}  // namespace trunkgate::bench
