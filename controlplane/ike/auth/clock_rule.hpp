// When a clock is believed.
#pragma once

#include <chrono>

namespace trunkgate::ike {

// The day on which the programme was built, 00:00 UTC. A clock that shows an earlier time was never set: a machine
// without a battery starts in 1970. Then no date of a certificate, CRL or OCSP response is judged, for every one of
// them would be "not yet valid" and no tunnel could come up to fetch the time through; all else is judged as ever, and
// who was let in so is reported (`verified_peer::dates_not_judged`) so that it can be asked again when the clock is
// set.
[[nodiscard]] std::chrono::system_clock::time_point built_at();
[[nodiscard]] inline bool is_clock_set(std::chrono::system_clock::time_point now) { return now >= built_at(); }

}  // namespace trunkgate::ike
