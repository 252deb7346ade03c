// One state machine per configured tunnel: brings it up, keeps it up, and knows why it is not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

struct tunnel_counts {
  std::uint64_t attempts = 0, failures = 0, established = 0, ike_rekeys = 0, child_rekeys = 0, reauthentications = 0;
};

class tunnel {
 public:
  tunnel(environment& outside, ike_owner& owner, profile_pointer profile);
  ~tunnel();
  tunnel(const tunnel&) = delete;
  tunnel& operator=(const tunnel&) = delete;

  // As the configuration's `start` says; or because the operator or a packet wants it.
  void start();
  void want();
  // The operator's: not again before start() or want().
  void stop();
  void use_profile(profile_pointer profile);
  void rekey_child(std::size_t index);
  void rekey_ike();
  void reauthenticate();
  // The address or the path to the peer changed under it.
  void check_path();

  // An IKE SA of an earlier process, which is up and this tunnel's.
  void take_over(const ike_sa_pointer& sa);
  void make_missing(const ike_sa_pointer& sa);
  // Up with all its children.
  [[nodiscard]] bool complete() const;
  // The children of an earlier process are there and its IKE SA is not: a new one, whoever is to begin as a rule.
  void begin_anew();

  // ---- what the owner passes on ----
  void established(const ike_sa_pointer& sa, bool initial_contact);
  void child_up(const ike_sa_pointer& sa, const child_pointer& pair);
  void child_gone(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why);
  void replaced(const ike_sa_pointer& old, const ike_sa_pointer& next);
  void closed(const ike_sa_pointer& sa, const failed_step& why);
  void expired(const ike_sa_pointer& sa, const child_pointer& pair, bool hard);
  void peer_moved(const ike_sa_pointer& sa, const sa_endpoint& remote);
  // The data plane lost its SAs.
  void children_lost();
  // An attempt that failed before there was an IKE SA that is up; also of the peer's.
  void refused(const negotiation_record& record);
  void warned(const failed_step& why);

  // ---- for people ----
  [[nodiscard]] const tunnel_profile& profile() const { return *profile_; }
  [[nodiscard]] const profile_pointer& profile_shared() const { return profile_; }
  [[nodiscard]] ike_sa_pointer current() const;  // the one that is up and newest; nullptr: down
  [[nodiscard]] const std::vector<ike_sa_pointer>& sas() const { return sas_; }
  [[nodiscard]] bool child_is_up(std::size_t index) const;
  [[nodiscard]] bool carries(std::size_t index) const;  // a pair whose outbound SA is installed
  [[nodiscard]] const negotiation_record* last_failure() const { return failure_.get(); }  // or none
  [[nodiscard]] unsigned failures_in_a_row() const { return failures_; }
  [[nodiscard]] std::chrono::system_clock::time_point since() const { return since_; }  // up or down
  [[nodiscard]] const tunnel_counts& counts() const { return counts_; }
  // Of a child that is up: why its next rekey will fail, or why it is not there.
  [[nodiscard]] const std::vector<failed_step>& warnings() const { return warnings_; }
  [[nodiscard]] std::optional<timer_clock::time_point> next_attempt() const;
  [[nodiscard]] bool wanted() const { return wanted_; }
  // By the operator: no packet brings it up.
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  void attempt();
  [[nodiscard]] asio::awaitable<void> run_attempt(ike_sa_pointer sa);
  void attempt_later();
  void remember_failure(const ike_sa& sa, const failed_step& why);
  void warn(failed_step why);
  // Starts one of the coroutines below, unless the tunnel is gone by the time that it would begin.
  void go(asio::awaitable<void> work);
  void unwarn(trouble what, const std::string& path);

  void keep(const ike_sa_pointer& sa);  // its timers
  void keep_mapping(const ike_sa_pointer& sa);
  [[nodiscard]] timer_clock::duration retry_pause();
  void keep_child(const child_pointer& pair);
  void probe_later(const child_pointer& pair);
  struct missing_child {
    std::size_t index = 0;
    std::optional<std::uint16_t> worker;
  };
  [[nodiscard]] std::optional<missing_child> next_missing(const ike_sa& sa,
                                                          const std::vector<std::string>& tried) const;
  [[nodiscard]] asio::awaitable<void> make_missing_children(ike_sa_pointer sa);
  void make_missing_later(const ike_sa_pointer& sa, timer_clock::duration pause);
  [[nodiscard]] ike_sa_pointer holder(const child_pointer& pair) const;
  [[nodiscard]] asio::awaitable<void> renew_child(child_pointer pair, bool probe);
  void renew_child_later(const child_pointer& pair, bool probe, timer_clock::duration pause);
  [[nodiscard]] asio::awaitable<void> renew_ike(ike_sa_pointer sa);
  [[nodiscard]] asio::awaitable<void> check_liveness(ike_sa_pointer sa);
  void remove_doubles(const ike_sa_pointer& newest, bool initial_contact);
  void remove_superseded();
  void remove_double_children(const ike_sa_pointer& sa, const child_pointer& newest);
  void look_for_doubles(const child_pointer& pair);
  static void note_legacy(const ike_sa_pointer& sa, const std::string& words, const std::string& of);
  [[nodiscard]] timer_clock::duration jittered(std::uint64_t seconds);  // 90 to 100 %

  environment& outside_;
  ike_owner& owner_;
  profile_pointer profile_;
  std::vector<ike_sa_pointer> sas_;
  bool wanted_ = false, stopped_ = false, attempting_ = false;
  unsigned failures_ = 0;  // of our own attempts, and of IKE SAs that did not live long
  timer retry_timer_, superseded_timer_;
  std::vector<std::string> making_;  // children that are being made
  unsigned child_failures_ = 0;
  std::unique_ptr<const negotiation_record> failure_;  // few have one
  std::vector<failed_step> warnings_;
  std::chrono::system_clock::time_point since_;
  tunnel_counts counts_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace trunkgate::ike
