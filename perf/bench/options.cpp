#include "perf/bench/options.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "perf/bench/ike_pair.hpp"

namespace trunkgate::bench {
namespace {

constexpr unsigned most_runs = 1000;
constexpr std::uint32_t most_packets = 100'000'000;
constexpr std::uint32_t most_peers = 100'000;
constexpr std::string_view ike_auths[] = {"psk", "ecdsa", "rsa", "ed25519"};
constexpr std::string_view rebuild_name = "rule_rebuild";

std::vector<std::string_view> split(std::string_view list) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto comma = list.find(',');
    parts.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) return parts;
    list.remove_prefix(comma + 1);
  }
}

std::optional<std::uint32_t> number_in(std::string_view text, std::uint32_t least, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (wrong != std::errc() || end != text.data() + text.size() || value < least || value > most) return std::nullopt;
  return value;
}

std::unexpected<error> no_number(const std::string& option, std::string_view part, std::uint32_t least,
                                 std::uint32_t most, const char* or_else = "") {
  return failure(option + ": \"" + std::string(part) + "\" is not a number from " + std::to_string(least) + " to " +
                 std::to_string(most) + or_else);
}

result<std::vector<std::uint32_t>> numbers(const std::string& option, std::string_view list, std::uint32_t least,
                                           std::uint32_t most) {
  std::vector<std::uint32_t> out;
  for (const auto part : split(list)) {
    const auto value = number_in(part, least, most);
    if (!value) return no_number(option, part, least, most);
    out.push_back(*value);
  }
  return out;
}

result<std::vector<packet_sizes>> sizes(const std::string& option, std::string_view list) {
  std::vector<packet_sizes> out;
  for (const auto part : split(list)) {
    const auto value = number_in(part, smallest_packet, largest_packet);
    if (!value && part != "imix") return no_number(option, part, smallest_packet, largest_packet, " or imix");
    out.push_back(value ? packet_sizes(static_cast<std::uint16_t>(*value)) : packet_sizes::imix());
  }
  return out;
}

std::vector<esp_suite> every_suite() {
  std::vector<esp_suite> all;
  for (const auto& row : esp_suites) all.push_back(row.suite);
  return all;
}

result<std::vector<esp_suite>> suites(std::string_view list) {
  if (list == "all") return every_suite();
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

result<void> set_objects(bench_options& options, std::string_view list) {
  options.objects.clear();
  options.rebuild = false;
  for (const auto part : split(list)) {
    const auto* found = std::ranges::find(object_rows, part, &object_row::name);
    options.rebuild |= part == rebuild_name || part == "all";
    if (part == "all")
      for (const auto& row : object_rows) options.objects.push_back(&row);
    else if (found != object_rows.end())
      options.objects.push_back(found);
    else if (part != rebuild_name) {
      std::string known = "all";
      for (const auto& row : object_rows) known += ", " + std::string(row.name);
      return failure("--object: there is no \"" + std::string(part) + "\"; there are " + known + ", " +
                     std::string(rebuild_name));
    }
  }
  return {};
}

result<std::vector<std::string>> auths(std::string_view list) {
  std::vector<std::string> out;
  for (const auto part : split(list)) {
    if (!std::ranges::contains(ike_auths, part))
      return failure("--auth: \"" + std::string(part) + "\" is none of psk, ecdsa, rsa, ed25519");
    out.emplace_back(part);
  }
  return out;
}

result<std::vector<std::string>> key_exchange_words(std::string_view list) {
  std::vector<std::string> out;
  for (const auto part : split(list)) {
    if (const auto known = parse_ike_proposal(ike_proposal_with(part)); !known)
      return failure("--ke: \"" + std::string(part) + "\": " + known.error().reason);
    out.emplace_back(part);
  }
  return out;
}

struct number_row {
  std::string_view option;
  std::uint32_t least, most;
  std::uint32_t bench_options::* into;
};
constexpr number_row number_rows[] = {
    {"--runs", 1, most_runs, &bench_options::runs},     {"--packets", 1, most_packets, &bench_options::packets},
    {"--peers", 1, most_peers, &bench_options::peers},  {"--scale", 1, most_peers, &bench_options::scale},
    {"--lifetime", 10, 3600, &bench_options::lifetime},
};

template <class Value>
result<void> keep(result<Value> parsed, Value& into) {
  if (!parsed) return std::unexpected(parsed.error());
  into = std::move(*parsed);
  return {};
}

result<void> set_option(bench_options& options, const std::string& option, const std::string& value) {
  if (option == "--direction") return keep(directions(value), options.directions);
  if (option == "--suite") return keep(suites(value), options.suites);
  if (option == "--size") return keep(sizes(option, value), options.sizes);
  if (option == "--object") return set_objects(options, value);
  if (option == "--sas" || option == "--keys" || option == "--flows" || option == "--count")
    return keep(numbers(option, value, 1, flow_limit), options.counts);
  if (option == "--json" || option == "--html") {
    (option == "--json" ? options.json_file : options.html_file) = value;
    return {};
  }
  if (option == "--auth") return keep(auths(value), options.auths);
  if (option == "--ke") return keep(key_exchange_words(value), options.key_exchanges);
  const auto& row = *std::ranges::find(number_rows, option, &number_row::option);
  auto one = numbers(option, value, row.least, row.most);
  if (!one) return std::unexpected(one.error());
  options.*row.into = one->front();
  return {};
}

bench_options defaults(const benchmark& what) {
  bench_options options;
  options.what = &what;
  options.counts = {1, 1024};
  options.suites = {esp_suite::aes128gcm16};
  if (what.name == "crypto") {
    options.suites = every_suite();
    options.packets = 4096;
  }
  if (what.name == "targets") options.packets = 16384;  // shorter than a time slice, where other work runs, too
  if (what.name == "memory") {
    options.counts = {1000, most_objects};
    (void)set_objects(options, "all").has_value();
  }
  return options;
}

}  // namespace

std::string_view name(direction which) {
  switch (which) {
    case direction::out: return "out";
    case direction::in: return "in";
    default: return "loop";
  }
}

result<bench_options> parse_options(std::span<const std::string> words) {
  // Without a word of what to measure it is the targets.
  const bool named = !words.empty() && !words.front().starts_with('-');
  const auto* what = named ? find_benchmark(words.front()) : &benchmarks().front();
  if (what == nullptr)
    return failure("there is no benchmark \"" + words.front() + "\"; there is " + benchmark_list() + "\n" + usage());
  auto options = defaults(*what);
  for (std::size_t i = named ? 1 : 0; i < words.size(); ++i) {
    const auto& word = words[i];
    const auto row =
        std::ranges::find_if(what->options, [&](const auto& o) { return word == "--" + std::string(o.name); });
    if (row == what->options.end() && !word.starts_with('-') && options.files.size() < what->files) {
      options.files.push_back(word);
      continue;
    }
    if (row == what->options.end())
      return failure("bench " + std::string(what->name) + ": there is no option \"" + word + "\"\n" + usage());
    if (row->value.empty()) {
      (row->name == "stages" ? options.stages : options.any_machine) = true;
      continue;
    }
    if (++i == words.size()) return failure(word + " wants a value: " + std::string(row->help));
    if (auto set = set_option(options, word, words[i]); !set) return std::unexpected(set.error());
  }
  if (options.files.size() != what->files)
    return failure("bench " + std::string(what->name) + ": wants two files that --json wrote: before, after");
  return options;
}

std::string usage() { return help_text(*find_verb("bench")) + "\nCtrl-C shows what was measured so far.\n"; }

}  // namespace trunkgate::bench
