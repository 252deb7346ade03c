// What IKE costs: handshakes for each second of a processor, memory for each peer, and many tunnels at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "perf/bench/ike_pair.hpp"

namespace trunkgate::bench {

// One run.
struct handshake_run {
  double initiator = 0, responder = 0;  // handshakes for each second of one processor's time
};
// `peers` handshakes, some of them at a time, after some to warm up. Nothing: it was stopped. Fails if one did not
// come up.
[[nodiscard]] result<std::optional<handshake_run>> measure_handshakes(const ike_kind& kind, std::uint32_t peers,
                                                                      const std::atomic<bool>& stop);

struct peer_bytes {
  double configured = 0;                // a tunnel that is down, at either end
  double initiator = 0, responder = 0;  // more, with an IKE SA and one child
};
[[nodiscard]] result<std::optional<peer_bytes>> measure_peer_bytes(const ike_kind& kind, std::uint32_t peers,
                                                                   const std::atomic<bool>& stop);

// Later than this after it was due, a liveness check is late. (Seconds; of that one is the tunnel's own tick.)
inline constexpr double liveness_grace = 2;
// An SA that is older than its lifetime by more than this was not rekeyed in time; seconds.
inline constexpr double rekey_grace = 1;

struct scale_figures {
  std::uint32_t peers = 0, lifetime = 0;  // as asked for
  std::uint32_t up = 0;                   // at the end, with their child
  double seconds_to_up = 0;
  std::uint64_t child_rekeys = 0, ike_rekeys = 0;
  std::uint32_t not_rekeyed = 0;  // tunnels with a child or IKE SA that grew too old, or that was never rekeyed
  std::string first_failure{};
  std::uint32_t failures = 0;                  // attempts and tunnels that ended
  double oldest_child = 0, oldest_ike_sa = 0;  // seconds, when they were replaced or at the end
  double longest_silence = 0, silence_limit = 0;
  double latest_timer_ms = 0;  // how late any timer ran at most
  double cpu_share = 0;        // of one processor, both ends together, after all were up
  [[nodiscard]] bool liveness_late() const { return longest_silence > silence_limit; }
};
// All tunnels up at once; then for two lifetimes everything is rekeyed, and each peer's life checked after half a
// lifetime of silence.
[[nodiscard]] result<scale_figures> measure_scale(const ike_kind& kind, std::uint32_t peers, std::uint32_t lifetime,
                                                  const std::atomic<bool>& stop);

}  // namespace trunkgate::bench
