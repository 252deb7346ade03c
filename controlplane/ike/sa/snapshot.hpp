// An IKE SA that is up, as bytes: what a restarted daemon needs to go on with it (RFC 7296 knows nothing of restarts;
// the peer must not notice one).
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// Of settings: whether what was negotiated under them still is what they ask for.
using settings_digest = std::array<std::uint8_t, 16>;
[[nodiscard]] settings_digest digest_of(const tunnel_profile& profile);  // without the children
[[nodiscard]] settings_digest digest_of(const child_settings& child);

// Times are of timer_clock, which goes on from one process to the next until the machine is started anew.
struct child_snapshot {
  std::string name;
  settings_digest settings{};
  std::uint32_t inbound_spi = 0, outbound_spi = 0;
  esp_choice choice;
  std::uint16_t key_exchange = 0;
  child_mode mode = child_mode::tunnel;
  narrowed selectors;
  std::string outdated;
  bool ours = false, of_ike_auth = false, is_rekey = false, per_resource = false;
  bool deleting = false;
  std::optional<std::uint16_t> worker;
  secret waiting_outbound;  // the key of what switch_outbound() is still to install; empty: it is installed
  bytes lowest_nonce;
  timer_clock::time_point since;
  std::uint32_t rival = 0;  // inbound SPI of what the peer made in its place; 0: nothing
};

struct ike_snapshot {
  std::string tunnel;
  settings_digest settings{};
  ike_state state = ike_state::up;  // or replaced, or deleting
  bool initiator = false, began = false, superseded = false, no_more_queues = false, fragments = false;
  bool nat_known = false, nat_here = false, nat_there = false, mobike = false;
  std::uint64_t initiator_spi = 0, responder_spi = 0, number = 0;
  timer_clock::time_point since, authenticated;
  ike_path path;
  bytes seen_as;
  std::vector<ip_address> peer_addresses;
  std::vector<transform_choice> chosen;
  ike_keys keys;
  id_payload peer_id;
  bytes lowest_nonce;
  channel::kept messages;
  std::vector<child_snapshot> children;
  // Of the negotiation's record, what `explain` and `show` tell of an IKE SA that is up.
  std::chrono::system_clock::time_point begun, certificate_not_after;
  bool record_initiator = false;
  std::string record_local, record_remote, record_peer_id, peer_subject, revocation;
  std::vector<std::string> certificate_path, notes;
};

// Of what it is after the exchanges that have come to their end; copies the keys.
[[nodiscard]] ike_snapshot take_snapshot(const ike_sa& sa);

// Writes it to the front of `into`, in network byte order behind a version number; how many octets. The keys go nowhere
// else. Fails if there is no room.
[[nodiscard]] result<std::size_t> encode_snapshot(const ike_snapshot& from, std::span<std::uint8_t> into);
// Any bytes may be given. Fails on another version and on what encode_snapshot() does not write.
[[nodiscard]] result<ike_snapshot> decode_snapshot(byte_view from);

// The IKE SA that it was taken of, over the channel's numbers and answers, without timers; neither its children nor it
// are told to `owner`. Children that `profile` does not have are left out, and so are those not in `there`, the inbound
// SPIs that the sink still has. The sink is not touched.
[[nodiscard]] result<std::shared_ptr<ike_sa>> restore_ike_sa(environment& outside, ike_owner& owner,
                                                             const profile_pointer& profile, ike_snapshot from,
                                                             const std::set<std::uint32_t>& there);

}  // namespace trunkgate::ike
