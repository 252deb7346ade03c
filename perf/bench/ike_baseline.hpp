// What the public-key operations of a handshake cost alone: the part that no IKE daemon on this OpenSSL can save.
#pragma once

#include "perf/bench/ike_pair.hpp"

namespace trunkgate::bench {

// Seconds of one processor for each handshake. Key exchanges are those of the kind; with certificates each side signs
// once and verifies twice (the peer's AUTH and its certificate).
struct handshake_baseline {
  double initiator = 0, responder = 0;
};
[[nodiscard]] result<handshake_baseline> measure_baseline(const ike_kind& kind);

}  // namespace trunkgate::bench
