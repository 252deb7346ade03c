// What `trunkgate trace` and `trunkgate capture` share: which packets, and the connection on which they are told.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "controlplane/cli/verbs.hpp"
#include "dataplane/api/channel.hpp"

namespace trunkgate {

// "[tunnel NAME|from ADDR|to ADDR] [count N]", in any order.
struct watch_words {
  std::string tunnel;
  ip_prefix from, to;  // family none: any
  std::optional<std::uint32_t> count;
};
[[nodiscard]] result<watch_words> parse_watch_words(std::span<const std::string> words);

// Where the records go. Both say whether they want more.
struct watch_reader {
  std::function<bool(const api::watched&, std::span<const std::uint8_t>)> take;
  std::function<bool()> idle;  // a moment passed
  int output = -1;             // where it writes to: when nobody reads there any more, it has enough
};

// Watches until the reader has enough, or Ctrl-C. How many records were lost.
[[nodiscard]] result<std::uint64_t> watch_packets(api::channel& channel, const api::watch_request& request,
                                                  std::string_view announced, const watch_reader& reader);

[[nodiscard]] result<api::channel> connect_to_data_plane(const arguments& given);

}  // namespace trunkgate
