// The highest rate at which no more than a given part of the packets is lost, by halving (RFC 2544 26.1, CSIT's rules).
#pragma once

#include <functional>

namespace trunkgate::bench {

inline constexpr double ndr_loss = 0, pdr_loss = 0.005;  // no-drop rate and partial-drop rate
inline constexpr double search_width = 0.01;             // of the highest rate: halved until it is no wider

// `loss_at(rate)`: the part of the packets that is lost at so many per second; 1 ends the search. `most` is the highest
// rate tried. 0: packets are lost at every rate that was tried.
[[nodiscard]] double highest_rate(double most, double loss_allowed, const std::function<double(double rate)>& loss_at);

}  // namespace trunkgate::bench
