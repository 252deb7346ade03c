// What `trunkgate bench esp` was asked to measure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/result.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate::bench {

enum class direction { out, in, loop };
[[nodiscard]] std::string_view name(direction which);

struct esp_options {
  std::vector<direction> directions{direction::out, direction::in};
  std::vector<std::uint16_t> sizes{64, 350, 1420};
  std::vector<std::uint32_t> sas{1, 1024};
  std::vector<esp_suite> suites{esp_suite::aes128gcm16};
  unsigned runs = 10;
  std::uint32_t packets = 65536;  // of each run
  bool stages = false;
  std::string json_file;  // empty: none
};

// `words` behind "esp". The error says what is possible.
[[nodiscard]] result<esp_options> parse_esp_options(std::span<const std::string> words);
[[nodiscard]] std::string usage();

}  // namespace trunkgate::bench
