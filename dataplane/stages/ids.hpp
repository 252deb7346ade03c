// The names of stages and paths. Which stage follows which on a path stands in dataplane/pipeline/paths.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace trunkgate {

// In the order in which a worker runs them within one turn: a packet moves to the right, and goes round again only for
// another pass.
enum class stage_id : std::uint8_t {
  rx,
  tap_rx,
  classify,
  reassemble,
  esp_decapsulate,
  follow_fragments,
  verify_selectors,
  policy,
  mss_clamp,
  fragment,
  esp_encapsulate,
  fragment_outer,
  icmp_error,
  icmp_in,
  punt,
  forward,
  tx,
  count_,  // not a stage
};
inline constexpr std::size_t stage_count = static_cast<std::size_t>(stage_id::count_);

inline constexpr std::array<std::string_view, stage_count> stage_names{
    "rx",     "tap_rx",    "classify", "reassemble",      "esp_decapsulate", "follow_fragments", "verify_selectors",
    "policy", "mss_clamp", "fragment", "esp_encapsulate", "fragment_outer",  "icmp_error",       "icmp_in",
    "punt",   "forward",   "tx"};

[[nodiscard]] constexpr std::string_view name(stage_id stage) { return stage_names[static_cast<std::size_t>(stage)]; }

enum class path_id : std::uint8_t {
  outbound,     // to be protected by ESP; also what every frame from a port starts on
  bypass,       // forwarded in clear: by a bypass policy, or because it was just decrypted
  inbound_esp,  // ESP for this gateway
  to_box,       // for the gateway itself
  from_box,     // from the gateway itself, in clear
  errors,       // ICMP errors the gateway makes
  outer_cut,    // ESP that is larger than its way
  count_,       // not a path
};
inline constexpr std::size_t path_count = static_cast<std::size_t>(path_id::count_);

inline constexpr std::array<std::string_view, path_count> path_names{"outbound", "bypass",   "inbound_esp",
                                                                     "to_box",   "from_box", "errors"};

}  // namespace trunkgate
