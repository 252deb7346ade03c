// One IKE SA with its children: the state that the exchanges work on.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/crypto/key_exchange.hpp"
#include "controlplane/ike/crypto/key_schedule.hpp"
#include "controlplane/ike/negotiation.hpp"
#include "controlplane/ike/record.hpp"
#include "controlplane/ike/sa/channel.hpp"

namespace trunkgate::ike {

// A configured tunnel with what was read for it. Replaced as a whole when the configuration changes; SAs keep theirs.
struct tunnel_profile {
  tunnel_settings settings;
  std::shared_ptr<const trust_anchors> anchors;  // of certificates
  std::vector<bytes> certificates;               // ours, DER, our own first
  bytes public_key;                              // of our certificate
  id_payload local_id;                           // as we say it; of addresses: none until the address is known
  std::optional<id_payload> remote_id;
  bool legacy = false;  // the gateway allows outdated algorithms

  [[nodiscard]] const ike_settings& ike() const { return *settings.ike; }
};
using profile_pointer = std::shared_ptr<const tunnel_profile>;

struct ike_sa;
struct pending_followup;

enum class child_state : std::uint8_t { up, rekeying, deleting, gone };

// A pair of ESP SAs.
struct child {
  static constexpr std::size_t not_configured = SIZE_MAX;
  std::size_t index = 0;  // of its settings in the tunnel; not_configured: they went, it is being deleted
  std::uint32_t inbound_spi = 0, outbound_spi = 0;
  esp_choice choice;
  std::uint16_t key_exchange = 0;  // of its last key exchange; ke_none: it came with IKE_AUTH
  child_mode mode = child_mode::tunnel;
  narrowed selectors;
  std::string outdated;                        // algorithms of it that only `gateway.legacy` allows
  bool ours = false;                           // we asked for it
  bool of_ike_auth = false;                    // made without a key exchange of its own, whatever was agreed on
  bool is_rekey = false;                       // it took the place of another one
  bool told = false;                           // child_up() was called: it is whole
  bool per_resource = false;                   // both sides said that there are more like it (RFC 9611)
  std::optional<std::uint16_t> worker;         // that sends by it
  std::unique_ptr<child_sa> waiting_outbound;  // what switch_outbound() installs; none: it is installed
  profile_pointer waiting_profile;             // what it points into
  child_state state = child_state::up;
  bytes lowest_nonce;  // of the exchange that made it (RFC 7296 2.8.1)
  timer_clock::time_point since;
  timer rekey_timer, expiry_timer, switch_timer, probe_timer;
  // While we rekey it: what the peer made in its place meanwhile.
  std::weak_ptr<child> rival;
  // Ours, made at the same time, that goes as soon as packets leave by this one.
  std::shared_ptr<child> outdone;
  bool leaving = false;  // it is the one that goes
  [[nodiscard]] const child_settings& settings(const tunnel_profile& profile) const {
    return profile.settings.children[index];
  }
};
using child_pointer = std::shared_ptr<child>;

enum class ike_state : std::uint8_t { opening, up, replaced, deleting, closed };

// What the exchanges tell whoever keeps the IKE SAs. On the loop.
class ike_owner {
 public:
  virtual ~ike_owner() = default;
  // Whether no other IKE SA is up between the two identities: the peer may then forget what it had (RFC 7296 2.4).
  [[nodiscard]] virtual bool first_contact(const ike_sa& sa) = 0;
  // Whether another pair carries this child's packets meanwhile: then a responder need not hurry to send by a new one.
  [[nodiscard]] virtual bool carries(const ike_sa& sa, std::size_t index) = 0;
  // Something that the operator has to know although it is up.
  virtual void warned(const std::shared_ptr<ike_sa>& sa, const failed_step& why) = 0;
  // Responder: the tunnels whose peer may be at this address, in the configuration's order.
  [[nodiscard]] virtual std::vector<profile_pointer> candidates(const ike_path& path) = 0;
  virtual void established(const std::shared_ptr<ike_sa>& sa, bool initial_contact) = 0;
  virtual void child_up(const std::shared_ptr<ike_sa>& sa, const child_pointer& pair) = 0;
  virtual void child_gone(const std::shared_ptr<ike_sa>& sa, const child_pointer& pair, const failed_step& why) = 0;
  // The IKE SA was rekeyed: `next` has its children.
  virtual void replaced(const std::shared_ptr<ike_sa>& old, const std::shared_ptr<ike_sa>& next) = 0;
  virtual void closed(const std::shared_ptr<ike_sa>& sa, const failed_step& why) = 0;
  // Keeps the SPI findable, for as long as `sa` lives.
  virtual void add(const std::shared_ptr<ike_sa>& sa) = 0;
};

// For an IKE SA that nobody keeps any more.
[[nodiscard]] ike_owner& nobody();

struct ike_sa : std::enable_shared_from_this<ike_sa> {
  ike_sa(environment& environment_of, ike_owner& owner_of, const ike_path& path, bool initiates,
         std::uint64_t initiator_spi, std::uint64_t responder_spi);
  ~ike_sa();

  environment& outside;
  ike_owner* owner;  // never null
  std::shared_ptr<channel> messages;
  profile_pointer profile;  // none: a responder that does not know yet who asks
  ike_state state = ike_state::opening;
  bool initiator = false;         // we are its original initiator
  bool began = false;             // we began the first one of those that it replaced (RFC 4555 1.3)
  timer_clock::time_point begun;  // its first message
  timer_clock::time_point since, authenticated;
  std::uint64_t number = 0;  // for people: counts from 1

  // of the first exchanges; freed when it is up
  struct opening_state {
    bytes own_nonce, peer_nonce;
    bytes request, response;                      // IKE_SA_INIT as it was on the wire
    bytes own_auth_chain, peer_auth_chain;        // IntAuth (RFC 9242 3.3.2), empty without IKE_INTERMEDIATE
    std::vector<additional_exchange> additional;  // still to be done
    std::uint32_t intermediates = 0;
    std::vector<std::uint16_t> peer_hashes;
    bool peer_knows_ppk = false, peer_knows_intermediate = false, childless_allowed = false;
    sa_payload peer_offer;
  };
  std::unique_ptr<opening_state> opening;

  settled chosen;
  ike_suite suite;
  ike_keys keys;
  bool nat_known = false, nat_here = false, nat_there = false, mobike = false;
  bytes seen_as;                           // by the peer: its hash of our address (RFC 4555 3.8)
  std::vector<ip_address> peer_addresses;  // additional ones (RFC 4555)

  id_payload peer_id;
  std::shared_ptr<const verified_peer> peer;  // by certificate
  std::vector<child_pointer> children;
  bytes lowest_nonce;                 // of the exchange that made it, if that was a rekey
  std::shared_ptr<ike_sa> rival;      // made by the peer while we rekey this one
  std::weak_ptr<ike_sa> predecessor;  // whose rival this is, until it is decided
  std::weak_ptr<ike_sa> successor;    // has the children now
  bool superseded = false;            // another IKE SA of the tunnel stays
  bool no_more_queues = false;        // the peer wants no more children of one kind (RFC 9611)
  std::vector<std::pair<child_pointer, failed_step>> deletes_after_rekey;
  std::unique_ptr<pending_followup> followup;  // of the peer's CREATE_CHILD_SA
  bool rekeying = false;                       // our rekey of it is under way
  unsigned child_exchanges = 0;                // of ours that are under way, deletes too
  negotiation_record record;
  timer liveness_timer, rekey_timer, keepalive_timer, opening_timer, reauthentication_timer;

  [[nodiscard]] const ike_path& path() const { return messages->path(); }
  [[nodiscard]] std::uint64_t own_spi() const {
    return initiator ? messages->initiator_spi() : messages->responder_spi();
  }
  [[nodiscard]] bool up() const { return state == ike_state::up; }
  // Nonces and SPIs as the key schedule wants them, of the first exchanges.
  [[nodiscard]] exchange_context context() const;
  // Takes `next` and protects messages with it from now on.
  [[nodiscard]] result<void> use_keys(ike_keys next);
  [[nodiscard]] child_pointer find_inbound(std::uint32_t spi) const;
  [[nodiscard]] child_pointer find_outbound(std::uint32_t spi) const;
  [[nodiscard]] sa_path child_path() const;
};

using ike_sa_pointer = std::shared_ptr<ike_sa>;

// How an exchange ended: nothing, or what went wrong.
using outcome = std::optional<failed_step>;

}  // namespace trunkgate::ike
