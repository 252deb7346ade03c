// What `trunkgate bench` was asked to measure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/cli/bench.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/suite.hpp"
#include "perf/bench/memory_run.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

enum class direction { out, in, loop };
[[nodiscard]] std::string_view name(direction which);

struct bench_options {
  const benchmark* what = nullptr;
  std::vector<direction> directions{direction::out, direction::in};
  std::vector<packet_sizes> sizes{64, 350, 1420};
  std::vector<std::uint32_t> counts;  // SAs, keys, flows, or objects
  std::vector<esp_suite> suites;
  std::vector<const object_row*> objects;
  bool rebuild = false;  // of the operator's rules, while a worker forwards
  std::uint32_t runs = 10;
  std::uint32_t packets = 65536;                                                                   // of each run
  std::vector<std::string> auths{"psk", "ecdsa"}, key_exchanges{"x25519", "x25519-ke1_mlkem768"};  // of IKE
  std::uint32_t peers = 500;                                                                       // of each run
  std::uint32_t scale = 0;      // tunnels at once; 0: handshakes are measured
  std::uint32_t lifetime = 60;  // seconds, of the SAs of `scale`
  bool stages = false;
  std::string json_file, html_file;  // empty: none
  std::vector<std::string> files;    // of diff: before, after
  bool any_machine = false;          // of diff
};

// `words` behind "bench": what to measure, then its options. The error says what is possible.
[[nodiscard]] result<bench_options> parse_options(std::span<const std::string> words);
[[nodiscard]] std::string usage();

}  // namespace trunkgate::bench
