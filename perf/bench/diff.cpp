#include "perf/bench/diff.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "perf/bench/entry_name.hpp"

namespace trunkgate::bench {
namespace {

using nlohmann::json;

struct figure_kind {
  const char* name;
  const char* shown;  // behind what the entry is; empty: it is what the entry is about
  bool higher_is_better;
};
constexpr figure_kind kinds[] = {
    {"cycles_per_packet", "", false},
    {"crypto_cycles_per_packet", "engine", false},
    {"last_add_us", "add", false},
    {"bytes_each", "bytes", false},
    {"bytes_per_peer", "bytes", false},
    {"handshakes_per_cpu_second", "", true},
    {"public_key_us", "public key", false},
    {"p50_us", "p50", false},
    {"p99_us", "p99", false},
    {"p999_us", "p99.9", false},
    {"ndr_mpps", "NDR", true},
    {"pdr_mpps", "PDR", true},
    {"mrr_mpps", "MRR", true},
};

constexpr double least_noise = 0.01;       // clock, alignment of code, temperature
constexpr double sigmas = 3;               // of the difference of two minima
constexpr double hertz_tolerance = 0.005;  // of a calibrated clock

std::string text_of(const json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

double best_of(const json& figure, bool higher_is_better) {
  if (figure.is_number()) return figure.get<double>();
  return figure.at(higher_is_better ? "max" : "min").get<double>();
}

// The standard deviation of the best of n runs, as a part of it. What disturbs a run only makes it worse, and lies
// above the undisturbed time about as an exponential distribution does: its median is ln 2 of its mean above the least,
// and the least of n varies by a n-th of the mean.
double deviation(const json& figure, std::size_t runs, bool higher_is_better) {
  if (!figure.is_object() || runs == 0) return 0;
  const double best = best_of(figure, higher_is_better);
  const double above = std::abs(figure.at("median").get<double>() - best);
  return above / (static_cast<double>(runs) * std::numbers::ln2) / best;
}

double noise_between(const json& before, const json& after, const figure_kind& kind) {
  const auto of = [&](const json& entry) {
    // An entry without "runs" has the spread of many single measurements in one run.
    return deviation(entry.at(kind.name), entry.value("runs", std::size_t{1}), kind.higher_is_better);
  };
  return std::max(least_noise, sigmas * std::hypot(of(before), of(after)));
}

result<void> check_file(const json& file, const char* which) {
  const std::string name(which);
  if (!file.is_object() || !file.contains("machine") || !file.contains("results") || !file["results"].is_array())
    return failure(name + ": no figures that `trunkgate bench ... --json` wrote");
  for (const auto& entry : file["results"])
    if (entry.value("wrong", 0) != 0)
      return failure(name + ": " + entry_name(entry) + " had wrong packets: its figures mean nothing");
  return {};
}

std::string machine_difference(const json& a, const json& b) {
  if (a.value("cpu", "") != b.value("cpu", ""))
    return "\"" + a.value("cpu", "") + "\" and \"" + b.value("cpu", "") + "\"";
  if (a.value("flags", json::array()) != b.value("flags", json::array())) return "their processors' flags";
  const double first = a.value("tsc_hz", 0.0), second = b.value("tsc_hz", 0.0);
  if (std::abs(first - second) > hertz_tolerance * std::max(first, second)) return "their time stamp counters' rates";
  return {};
}

std::vector<std::string> notes_of(const json& a, const json& b) {
  std::vector<std::string> notes;
  for (const auto* key : {"engines", "versions", "hugepages", "warnings"}) {
    const auto first = a.value(key, json()), second = b.value(key, json());
    // The load differs between any two runs, and is in the spread.
    if (first != second && std::string_view(key) != "warnings") notes.push_back(std::string(key) + " differ");
    if (std::string_view(key) != "warnings") continue;
    for (const auto& [own, other, where] :
         {std::tuple(&first, &second, "before"), std::tuple(&second, &first, "after")})
      for (const auto& warning : *own)
        if (const auto text = text_of(warning);
            !text.starts_with("other work") && !std::ranges::contains(*other, warning))
          notes.push_back(std::string("only ") + where + ": " + text);
  }
  return notes;
}

void compare_entries(const json& before, const json& after, std::vector<figure_change>& into) {
  for (const auto& kind : kinds) {
    if (!before.contains(kind.name) || !after.contains(kind.name)) continue;
    const double first = best_of(before[kind.name], kind.higher_is_better);
    if (first <= 0) continue;
    into.push_back({entry_name(before) + (*kind.shown != 0 ? std::string(": ") + kind.shown : ""), first,
                    best_of(after[kind.name], kind.higher_is_better), noise_between(before, after, kind),
                    kind.higher_is_better});
  }
}

const json* find_entry(const json& list, const std::string& name) {
  const auto found = std::ranges::find(list, name, entry_name<json>);
  return found == list.end() ? nullptr : &*found;
}

// The targets' rows hold what other entries of the same file hold.
bool is_own_measurement(const json& entry) { return entry.value("bench", "") != "targets"; }

}  // namespace

figure_change::verdict figure_change::is() const {
  if (std::abs(change()) <= noise) return verdict::same;
  return (change() > 0) == higher_is_better ? verdict::faster : verdict::slower;
}

bool comparison::anything_slower() const {
  return std::ranges::any_of(figures, [](const auto& one) { return one.is() == figure_change::verdict::slower; });
}

result<comparison> compare_figures(const json& before, const json& after, bool any_machine) try {
  if (auto good = check_file(before, "the first file"); !good) return std::unexpected(good.error());
  if (auto good = check_file(after, "the second file"); !good) return std::unexpected(good.error());
  comparison found;
  if (const auto differs = machine_difference(before["machine"], after["machine"]); !differs.empty()) {
    if (!any_machine)
      return failure("these are figures of two machines (they differ in " + differs +
                     "): compare each one's ratio to its engine, or say --any-machine");
    found.notes.push_back("figures of two machines (they differ in " + differs + ")");
  }
  for (auto& note : notes_of(before["machine"], after["machine"])) found.notes.push_back(std::move(note));
  for (const auto& entry : before["results"]) {
    if (!is_own_measurement(entry)) continue;
    if (const auto* other = find_entry(after["results"], entry_name(entry)))
      compare_entries(entry, *other, found.figures);
    else
      found.only_before.push_back(entry_name(entry));
  }
  for (const auto& entry : after["results"])
    if (is_own_measurement(entry) && find_entry(before["results"], entry_name(entry)) == nullptr)
      found.only_after.push_back(entry_name(entry));
  if (found.figures.empty()) return failure("the two files have no figure in common");
  return found;
} catch (const json::exception& wrong) {
  return failure(std::string("a file is not as `trunkgate bench ... --json` writes it: ") + wrong.what());
}

}  // namespace trunkgate::bench
