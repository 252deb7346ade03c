// All of IKE: takes datagrams and events, keeps the IKE SAs findable and the tunnels running.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "controlplane/ike/engine/admission.hpp"
#include "controlplane/ike/engine/tunnel.hpp"
#include "controlplane/ike/sa/snapshot.hpp"

namespace trunkgate::ike {

struct engine_counts {
  std::uint64_t received = 0, malformed = 0, unknown_spi = 0, cookies_sent = 0, refused_half_open = 0,
                answered_init = 0;
};

class engine : public ike_owner {
 public:
  explicit engine(environment& outside, admission_limits limits = {});
  ~engine() override;

  // The whole set of tunnels, in the configuration's order. One that is new is started, one that is not named is
  // closed, one whose profile is another object takes it over; what else a change costs is the caller's to ask for
  // (rekey_child() to reconnect() of the tunnel).
  void configure(const std::vector<profile_pointer>& profiles);
  // What an earlier process left: given before the first configure(), which goes on with it before any tunnel begins
  // anew. A pair that no IKE SA of these has is removed when its tunnel is up again, or after a minute.
  struct legacy {
    std::vector<ike_snapshot> sas;
    std::map<std::uint32_t, std::string> survivors;  // inbound SPIs that the sink has, and their tunnels
  };
  void inherit(legacy from) { inherited_ = std::move(from); }
  // An IKE SA is another one than before: what take_snapshot() would give, or its end. Called before a datagram that
  // tells the peer of it is sent.
  std::function<void(const ike_sa_pointer& sa)> on_change;
  // Tells all peers that their IKE SAs end; done when they have answered.
  void close_all();
  [[nodiscard]] bool all_closed() const;
  [[nodiscard]] tunnel* find(const std::string& name);
  // Closes its IKE SAs and, if it is to be up, begins anew.
  void reconnect(const std::string& name);
  [[nodiscard]] std::vector<tunnel*> tunnels();  // in the configuration's order

  // A datagram that came to one of our ports, without marker.
  void receive(const ike_path& path, byte_view datagram);
  // What the sink is to be given.
  [[nodiscard]] sa_sink_events sink_events();
  // Addresses or routes of this machine have changed.
  void check_paths();
  // The daemon goes: IKE SAs are forgotten here, without a word to the peers, and child SAs stay installed.
  void abandon();

  [[nodiscard]] const engine_counts& counts() const { return counts_; }
  [[nodiscard]] std::size_t half_open() const { return gate_.half_open(); }
  [[nodiscard]] std::size_t ike_sas() const { return by_spi_.size(); }
  // Attempts of peers that no tunnel is for, newest last.
  [[nodiscard]] const std::deque<negotiation_record>& strangers() const { return strangers_; }

  // ---- ike_owner ----
  bool first_contact(const ike_sa& sa) override;
  bool carries(const ike_sa& sa, std::size_t index) override;
  void warned(const ike_sa_pointer& sa, const failed_step& why) override;
  std::vector<profile_pointer> candidates(const ike_path& path) override;
  void established(const ike_sa_pointer& sa, bool initial_contact) override;
  void child_up(const ike_sa_pointer& sa, const child_pointer& pair) override;
  void child_gone(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why) override;
  void replaced(const ike_sa_pointer& old, const ike_sa_pointer& next) override;
  void closed(const ike_sa_pointer& sa, const failed_step& why) override;
  void add(const ike_sa_pointer& sa) override;

 private:
  struct entry {
    ike_sa_pointer sa;
    std::vector<incoming> inbox;
    bool working = false;
    bool half_open = false;
  };
  // The initiator's SPI and address, and a digest of its request: after a cookie or INVALID_KE_PAYLOAD it asks another
  // time by the same SPI.
  using init_key = std::tuple<std::uint64_t, ip_address, std::size_t>;

  // Of restart.cpp: which tunnels have their IKE SA back.
  std::set<tunnel*> take_over();
  void take_over(ike_snapshot from, std::set<tunnel*>& restored, const std::set<std::uint32_t>& there);
  [[nodiscard]] asio::awaitable<void> go_on(ike_sa_pointer sa, std::vector<bytes> lost);
  void leave(const ike_sa_pointer& sa);
  void adopt_survivors();
  void remove_survivors();
  [[nodiscard]] bool has_survivors(const std::string& name) const;
  void changed(const ike_sa_pointer& sa);

  void receive_init(const ike_path& path, const header& head, byte_view datagram);
  [[nodiscard]] asio::awaitable<void> work(std::weak_ptr<bool> alive, std::uint64_t spi);
  void follow_nat(const ike_sa_pointer& sa, const ike_path& path);
  void forget(const ike_sa_pointer& sa);
  void forget_due();
  void erase(std::uint64_t spi);
  void answer_unparsed(const ike_path& path, byte_view datagram, const parse_error& why);
  void settle_half_open(const ike_sa_pointer& sa);
  void remember_stranger(const ike_path& path, const failed_step& why, const payloads& content);
  [[nodiscard]] tunnel* owner_of(const ike_sa_pointer& sa);

  environment& outside_;
  gatekeeper gate_;
  std::vector<std::unique_ptr<tunnel>> tunnels_;
  std::unordered_map<std::string, tunnel*> by_name_;
  std::map<ip_address, std::vector<tunnel*>> by_peer_;  // in the configuration's order; under no address: of any peer
  std::unordered_map<std::uint64_t, entry> by_spi_;     // ours
  std::map<init_key, std::uint64_t> half_open_;         // responders that are not up: our SPI
  std::deque<std::pair<timer_clock::time_point, std::uint64_t>> leaving_;  // closed ones, and until when they answer
  std::deque<std::uint64_t> unproved_;  // of these the last ones whose peer did not prove who it is
  timer leaving_timer_;
  std::unordered_map<std::uint32_t, std::pair<std::weak_ptr<ike_sa>, std::weak_ptr<child>>> by_inbound_;
  std::deque<negotiation_record> strangers_;
  engine_counts counts_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what coroutines ask before they touch the engine
  legacy inherited_;                                            // after take_over(): the survivors that nobody has
  timer_clock::time_point survivors_until_;
  timer survivors_timer_;
};

}  // namespace trunkgate::ike
