#include "controlplane/cli/bench.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iostream>

namespace trunkgate {

namespace {

constexpr option_row size_row{"size", "LIST", "bytes of the inner IP packet, 40 to 9000, or imix"};
constexpr option_row suite_row{"suite", "LIST", "suites by name, or all"};
constexpr option_row runs_row{"runs", "N", "runs of each measurement"};
constexpr option_row packets_row{"packets", "N", "packets of each run"};
constexpr option_row stages_row{"stages", "", "cycles of every stage, too"};
constexpr option_row json_row{"json", "FILE", "writes everything as JSON"};
constexpr option_row html_row{"html", "FILE", "writes a page with plots"};

constexpr option_row targets_options[] = {runs_row, packets_row, json_row, html_row};
constexpr option_row crypto_options[] = {
    suite_row, size_row, {"keys", "LIST", "keys in turn, 1 to 100000"}, runs_row, packets_row, json_row, html_row,
};
constexpr option_row esp_options[] = {
    {"direction", "LIST", "out (protect), in (open), loop (both, as a sum)"},
    suite_row,
    size_row,
    {"sas", "LIST", "security associations in turn, 1 to 100000"},
    runs_row,
    packets_row,
    stages_row,
    json_row,
    html_row,
};
constexpr option_row forward_options[] = {
    size_row, {"flows", "LIST", "flows in turn, 1 to 100000"}, runs_row, packets_row, stages_row, json_row, html_row,
};
constexpr option_row latency_options[] = {suite_row, size_row, runs_row, json_row, html_row};
constexpr option_row memory_options[] = {
    {"object", "LIST", "kinds of objects by name, or all"},
    {"count", "LIST", "how many of each, 1 to 100000"},
    json_row,
    html_row,
};
constexpr option_row ike_options[] = {
    {"auth", "LIST", "psk, ecdsa, rsa, ed25519: how the peers prove themselves"},
    {"ke", "LIST", "key exchanges: x25519, x25519-ke1_mlkem768, ... as in a proposal"},
    {"peers", "N", "handshakes of each run, 1 to 100000"},
    runs_row,
    {"scale", "N", "instead: so many tunnels up at once, for two lifetimes"},
    {"lifetime", "SECONDS", "of the SAs of --scale, 10 to 3600"},
    json_row,
    html_row,
};

constexpr option_row diff_options[] = {
    {"any-machine", "", "figures of two machines, too: their ratio tells little"},
};

constexpr benchmark all_benchmarks[] = {
    {"targets", "what is to be reached, and how far it is: also without WHAT; some minutes", targets_options},
    {"crypto", "every engine alone: protecting and opening ESP packets", crypto_options},
    {"esp", "one worker, the whole path through ESP, packets from memory", esp_options},
    {"forward", "one worker, the whole path without ESP", forward_options},
    {"ike", "IKE handshakes per second of a processor, memory per peer, many tunnels at once", ike_options},
    {"latency", "rates without loss (NDR) and with 0.5 % (PDR), and latency at 50 and 90 % of the first",
     latency_options},
    {"memory", "bytes and seconds of SAs, routes, rules and buffers; workers while rules are rebuilt", memory_options},
    {"diff", "two files of --json, BEFORE and AFTER: same, faster or slower; exit status 1 if slower", diff_options, 2},
};

}  // namespace

std::span<const benchmark> benchmarks() { return all_benchmarks; }

const benchmark* find_benchmark(std::string_view name) {
  const auto* found = std::ranges::find(all_benchmarks, name, &benchmark::name);
  return found == std::end(all_benchmarks) ? nullptr : found;
}

std::string benchmark_list() {
  std::string out;
  for (const auto& one : all_benchmarks) out += (out.empty() ? "" : ", ") + std::string(one.name);
  return out;
}

int run_bench(const arguments& given) {
  const auto program = companion_path("trunkgate-bench");
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const auto& word : given.words) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execv(program.c_str(), words.data());
  std::cerr << "trunkgate bench: " << program << ": " << std::strerror(errno) << "\n";
  return exit_failed;
}

}  // namespace trunkgate
