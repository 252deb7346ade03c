// What a negotiation leaves behind for the operator: not a log but the answer to "why is it as it is?".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/ike/wire/payload.hpp"

namespace trunkgate::ike {

// Stable names of why something failed: in metrics and --json.
enum class trouble : std::uint8_t {
  none,
  peer_silent,         // no answer to our requests
  no_route,            // no way to the peer
  unknown_peer,        // no tunnel of ours is for this address or identity
  no_common_proposal,  // IKE SA
  no_common_group,     // key exchange method
  peer_refused_ike,    // IKE_SA_INIT answered by an error
  peer_not_authentic,  // AUTH, certificate or identity of the peer
  peer_refused_us,     // AUTHENTICATION_FAILED
  own_key,             // our key or certificate can't be used
  no_common_child_proposal,
  selectors_unacceptable,
  mode_differs,
  peer_refused_child,
  key_exchange_refused,  // a rekey would fail: the peer wants another PFS method, or none
  post_quantum_key,      // PPK needed and not there, or unknown
  protocol_error,        // the peer broke the protocol
  data_plane,            // the SAs could not be installed
  closed_by_peer,
  closed_by_us,
};
[[nodiscard]] std::string_view name(trouble what);

struct failed_step {
  trouble what = trouble::none;
  std::string text;          // a sentence fragment for the operator
  std::string path;          // of what governs it in the configuration, from the tunnel on: "children.lan.esp"
  std::uint16_t notify = 0;  // that was sent or received
};

// One exchange.
struct record_step {
  std::string exchange;  // "IKE_SA_INIT", ...
  bool ok = false;
  std::string text;
  std::chrono::milliseconds took{};
  unsigned sent = 1;  // how often our request went out
};

// What was compared: an IKE proposal, a child's, or its selectors.
struct record_offer {
  std::string what;                       // "ike", "esp lan", "selectors lan"
  std::vector<std::string> ours, theirs;  // words of the configuration
  std::string chosen;                     // empty: nothing
  std::vector<std::string> differ_in;     // "encryption", ...
};

struct negotiation_record {
  std::chrono::system_clock::time_point begun{};
  bool initiator = false;
  std::string local, remote;  // "203.0.113.2:500"
  std::vector<record_step> steps;
  std::vector<record_offer> offers;
  std::string peer_id, peer_subject, revocation;
  std::vector<std::string> certificate_path;
  std::chrono::system_clock::time_point certificate_not_after{};
  std::vector<std::string> notes;  // NAT, fragmentation, legacy algorithms, clock, ...
  failed_step failure;             // what == none: it came up
};

}  // namespace trunkgate::ike
