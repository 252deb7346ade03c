// The packet's way: every path as a straight list of stages, first to last. This is the one place where the order
// stands.
#pragma once

#include <array>
#include <initializer_list>

#include "dataplane/stages/ids.hpp"

namespace trunkgate {

struct path {
  std::array<stage_id, stage_count> stages{};
  std::size_t length = 0;
  constexpr path(std::initializer_list<stage_id> list) {
    for (auto stage : list) stages[length++] = stage;
  }
};

// A packet from a port starts on `outbound`, one from the box on `from_box`. classify moves ESP for this gateway to
// `inbound_esp`; policy moves every packet to the path of its verdict and lets it go on behind `policy` there.
inline constexpr path outbound{stage_id::rx,        stage_id::classify, stage_id::follow_fragments, stage_id::policy,
                               stage_id::mss_clamp, stage_id::fragment, stage_id::esp_encapsulate,  stage_id::forward,
                               stage_id::tx};
inline constexpr path bypass{stage_id::rx,        stage_id::classify, stage_id::follow_fragments, stage_id::policy,
                             stage_id::mss_clamp, stage_id::fragment, stage_id::forward,          stage_id::tx};
inline constexpr path inbound_esp{stage_id::rx,
                                  stage_id::classify,
                                  stage_id::reassemble,
                                  stage_id::esp_decapsulate,
                                  stage_id::follow_fragments,
                                  stage_id::verify_selectors,
                                  stage_id::policy};
inline constexpr path to_box{stage_id::rx,     stage_id::classify, stage_id::follow_fragments,
                             stage_id::policy, stage_id::icmp_in,  stage_id::punt};
inline constexpr path from_box{stage_id::tap_rx, stage_id::classify, stage_id::follow_fragments,
                               stage_id::policy, stage_id::forward,  stage_id::tx};
inline constexpr path errors{stage_id::icmp_error, stage_id::forward, stage_id::tx};
inline constexpr path outer_cut{stage_id::esp_encapsulate, stage_id::fragment_outer, stage_id::forward, stage_id::tx};

inline constexpr std::array<const path*, path_count> paths{&outbound, &bypass, &inbound_esp, &to_box,
                                                           &from_box, &errors, &outer_cut};

using next_stage_table = std::array<std::array<stage_id, stage_count>, path_count>;

// next[path][stage]: what follows; count_ where the stage is not on the path or is its last.
[[nodiscard]] consteval next_stage_table make_next_stages() {
  next_stage_table next{};
  for (auto& row : next) row.fill(stage_id::count_);
  for (std::size_t p = 0; p < path_count; ++p)
    for (std::size_t i = 0; i + 1 < paths[p]->length; ++i)
      next[p][static_cast<std::size_t>(paths[p]->stages[i])] = paths[p]->stages[i + 1];
  return next;
}
inline constexpr next_stage_table next_stages = make_next_stages();

}  // namespace trunkgate
