// Going on with what an earlier process left: its IKE SAs from their snapshots, and its child SAs, which carry packets
// all the while.
#include <algorithm>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;
constexpr auto survivors_limit = 60s;
constexpr auto grace = 5s;
// A peer whose old IKE SA nobody deletes may go on sending by the old pair for as long as we would (switch_after).
constexpr auto inbound_grace = 90s;
constexpr auto tick = 1s;
// For as long as the peer may repeat its delete of an IKE SA that was rekeyed.
constexpr auto afterlife = 70s;

asio::awaitable<void> remove_pair(environment& outside, std::uint32_t spi, sa_directions which) {
  (void)co_await outside.sink().remove(spi, which);
}

void remove_later(environment& outside, std::uint32_t spi, sa_directions which, timer_clock::duration pause) {
  outside.clock().at(outside.now() + pause,
                     [&outside, spi, which] { spawn(outside, remove_pair(outside, spi, which)); });
}

}  // namespace

void tunnel::take_over(const ike_sa_pointer& sa) {
  sas_.push_back(sa);
  wanted_ = profile_->ike().start != start_mode::answer;
  since_ = outside_.wall_time() -
           std::chrono::duration_cast<std::chrono::system_clock::duration>(outside_.now() - sa->since);
  keep(sa);
  for (const auto& pair : sa->children) {
    keep_child(pair);
    if (pair->waiting_outbound) wait_to_switch(sa, pair);
  }
  if (sa->superseded) superseded_timer_.set(outside_.clock(), outside_.now() + grace, [this] { remove_superseded(); });
}

void tunnel::make_missing(const ike_sa_pointer& sa) { go(make_missing_children(sa)); }

bool tunnel::complete() const {
  if (!current()) return false;
  for (std::size_t i = 0; i < profile_->settings.children.size(); ++i)
    if (!child_is_up(i)) return false;
  return true;
}

void tunnel::begin_anew() {
  if (profile_->settings.peer.family != ip_family::none && !current() && !attempting_) attempt();
}

std::set<tunnel*> engine::take_over() {
  std::set<tunnel*> restored;
  if (inherited_.sas.empty() && inherited_.survivors.empty()) return restored;
  auto sas = std::exchange(inherited_.sas, {});
  std::set<std::uint32_t> there;
  for (const auto& [spi, name] : inherited_.survivors) there.insert(spi);
  for (auto& one : sas) take_over(std::move(one), restored, there);
  adopt_survivors();
  return restored;
}

void engine::take_over(ike_snapshot from, std::set<tunnel*>& restored, const std::set<std::uint32_t>& there) {
  auto* owner = find(from.tunnel);
  if (owner == nullptr || from.settings != digest_of(owner->profile())) return;  // it is made anew
  std::vector<bytes> lost;
  std::vector<std::string> outdated;
  for (const auto& one : from.children) {
    const auto& all = owner->profile().settings.children;
    const auto found = std::ranges::find(all, one.name, &child_settings::name);
    if (found == all.end() || !there.contains(one.inbound_spi) || one.deleting)
      lost.push_back(spi_bytes(one.inbound_spi));
    else if (one.settings != digest_of(*found))
      outdated.push_back(one.name);
  }
  auto usable = there;
  for (const auto& one : from.children)
    if (one.deleting) usable.erase(one.inbound_spi);
  const auto restoration = restore_ike_sa(outside_, *this, owner->profile_shared(), std::move(from), usable);
  if (!restoration) return;
  const auto& sa = *restoration;
  add(sa);
  for (const auto& pair : sa->children) {
    by_inbound_[pair->inbound_spi] = {sa, pair};
    inherited_.survivors.erase(pair->inbound_spi);
  }
  if (sa->up()) {
    owner->take_over(sa);
    restored.insert(owner);
  }
  changed(sa);
  spawn(outside_, go_on(sa, std::move(lost)));
  for (const auto& name : outdated) {
    const auto& all = owner->profile().settings.children;
    owner->rekey_child(static_cast<std::size_t>(std::ranges::find(all, name, &child_settings::name) - all.begin()));
  }
}

// First what the earlier process had asked comes to its end: the next number is the peer's to expect only then.
asio::awaitable<void> engine::go_on(ike_sa_pointer sa, std::vector<bytes> lost) {
  const auto kept = sa->messages->keep().asked;
  const auto end = co_await sa->messages->ask_again();
  if (sa->state == ike_state::closed) co_return;
  if (end && !end->answer) co_return close_ike_sa(sa, no_answer(*end, "the request from before the restart"));
  if (sa->state == ike_state::replaced) {
    sa->opening_timer.set(outside_.clock(), outside_.now() + afterlife, [weak = std::weak_ptr(sa)] {
      if (const auto here = weak.lock()) close_ike_sa(here, failed(trouble::closed_by_us, "rekeyed"));
    });
    co_return;
  }
  if (sa->state == ike_state::deleting) {
    if (!end)
      (void)co_await sa->messages->request(exchange_type::informational,
                                           {delete_payload{.protocol = protocol_id::ike, .spis = {}}});
    co_return close_ike_sa(sa, failed(trouble::closed_by_us, "it was being closed"));
  }
  auto* one = owner_of(sa);
  if (one == nullptr) co_return;
  if (end && find_error(end->answer->content) == nullptr &&
      trunkgate::ike::find<sa_payload>(end->answer->content) != nullptr) {
    // The peer has made what we can't finish: the secret of our key exchange died with the process. It is not deleted
    // by itself, because not every peer goes back to the pair that it thinks replaced: all is made anew, and then goes.
    const bool finished = kept->offered_spi.size() == 4 &&
                          sa->find_inbound(static_cast<std::uint32_t>(spi_number(kept->offered_spi))) != nullptr;
    // An IKE SA of the peer's has the children now: ours carry until there are others.
    if (kept->offered_spi.size() == 8) co_return leave(sa);
    if (!finished && one->profile().settings.peer.family != ip_family::none) {
      sa->superseded = true;
      co_return one->reauthenticate();
    }
    if (!finished && kept->offered_spi.size() == 4) lost.push_back(kept->offered_spi);
  }
  if (end && kept->exchange == exchange_type::ike_followup_ke) {
    sa->superseded = true;
    co_return one->reauthenticate();
  }
  if (lost.empty()) co_return;
  (void)co_await sa->messages->request(exchange_type::informational,
                                       {delete_payload{.protocol = protocol_id::esp, .spis = std::move(lost)}});
  if (one = owner_of(sa); sa->up() && one != nullptr) one->make_missing(sa);
}

// Closes it here, without its children.
void engine::leave(const ike_sa_pointer& sa) {
  for (const auto& pair : std::exchange(sa->children, {})) {
    pair->state = child_state::gone;
    for (auto* each : {&pair->rekey_timer, &pair->expiry_timer, &pair->switch_timer, &pair->probe_timer})
      each->cancel();
    by_inbound_.erase(pair->inbound_spi);
    inherited_.survivors[pair->inbound_spi] = sa->profile->settings.name;
  }
  close_ike_sa(sa, failed(trouble::none, "its rekey could not be finished after a restart"));
  adopt_survivors();
}

// ---- pairs that no IKE SA has ----

void engine::adopt_survivors() {
  if (inherited_.survivors.empty()) return;
  survivors_until_ = outside_.now() + survivors_limit;
  for (const auto& [spi, name] : inherited_.survivors)
    if (auto* one = find(name)) one->begin_anew();
  remove_survivors();
}

void engine::remove_survivors() {
  const bool time_is_up = outside_.now() >= survivors_until_;
  std::erase_if(inherited_.survivors, [&](const auto& pair) {
    const auto* one = find(pair.second);
    if (!time_is_up && one != nullptr && !one->complete()) return false;
    remove_later(outside_, pair.first, sa_directions::outbound, time_is_up ? 0s : grace);
    remove_later(outside_, pair.first, sa_directions::inbound, time_is_up ? 0s : inbound_grace);
    return true;
  });
  if (!inherited_.survivors.empty())
    survivors_timer_.set(outside_.clock(), outside_.now() + tick, [this] { remove_survivors(); });
}

bool engine::has_survivors(const std::string& name) const {
  return std::ranges::any_of(inherited_.survivors, [&](const auto& pair) { return pair.second == name; });
}

// ---- an end for good ----

void engine::close_all() {
  for (const auto& one : tunnels_) one->stop();
}

bool engine::all_closed() const {
  return std::ranges::none_of(by_spi_, [](const auto& one) {
    return one.second.sa->state == ike_state::up || one.second.sa->state == ike_state::deleting;
  });
}

}  // namespace trunkgate::ike
