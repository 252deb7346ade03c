#include "controlplane/ike/engine/tunnel.hpp"

#include <algorithm>

#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/mobike.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::seconds first_pause = 1s, longest_pause = 60s;
// Both sides began at once: an IKE SA that was begun before the other one had been up for this long, as its last
// message may have had to be repeated...
constexpr auto crossing = 2s;
// ...and children that were made within this time of each other.
constexpr auto simultaneous = 10s;
// By then what was sent has arrived.
constexpr auto under_way = 1s;
// How long a responder waits for the peer to make the children, or to take its old IKE SA away, before it does so.
constexpr auto courtesy = 5s;
// An IKE SA that ended sooner counts as a failed attempt: what comes up and goes down again must not do so for ever.
constexpr auto long_life = 60s;

}  // namespace

tunnel::tunnel(environment& outside, ike_owner& owner, profile_pointer profile)
    : outside_(outside), owner_(owner), profile_(std::move(profile)), since_(outside.wall_time()) {}

// What is still being closed must not call a tunnel that is gone.
tunnel::~tunnel() {
  for (const auto& sa : sas_) {
    for (auto* each :
         {&sa->liveness_timer, &sa->rekey_timer, &sa->keepalive_timer, &sa->opening_timer, &sa->reauthentication_timer})
      each->cancel();
    for (const auto& pair : sa->children)
      for (auto* each : {&pair->rekey_timer, &pair->expiry_timer, &pair->probe_timer}) each->cancel();
  }
}

// ---- up and down ----

void tunnel::start() {
  if (profile_->ike().start == start_mode::always) want();
}

void tunnel::want() {
  wanted_ = true;
  stopped_ = false;
  if (const auto sa = current()) return go(make_missing_children(sa));
  // Not before its time: a packet that wants it or a changed configuration is no reason for a storm.
  if (retry_timer_.waiting() && failures_ > 1) return;
  if (profile_->settings.peer.family != ip_family::none && !attempting_) attempt();
}

void tunnel::go(asio::awaitable<void> work) {
  spawn(outside_, [](std::weak_ptr<bool> alive, asio::awaitable<void> own) -> asio::awaitable<void> {
    if (!alive.expired()) co_await std::move(own);
  }(alive_, std::move(work)));
}

void tunnel::stop() {
  wanted_ = false;
  stopped_ = true;
  failures_ = 0;
  retry_timer_.cancel();
  for (const auto& sa : std::vector(sas_)) {
    if (sa->up())
      spawn(outside_, delete_ike_sa(sa, failed(trouble::closed_by_us, "closed by the operator")));
    else
      close_ike_sa(sa, failed(trouble::closed_by_us, "closed by the operator"));
  }
}

void tunnel::attempt() {
  retry_timer_.cancel();
  const auto& settings = profile_->settings;
  auto local = settings.local;
  if (local.family == ip_family::none)
    if (const auto found = outside_.source_for(settings.peer)) local = *found;
  ++counts_.attempts;
  if (local.family == ip_family::none) {
    negotiation_record nothing;
    nothing.begun = outside_.wall_time();
    nothing.initiator = true;
    nothing.failure = failed(trouble::no_route, "there is no way to " + to_string(settings.peer), "peer");
    ++failures_;
    refused(nothing);
    attempt_later();
    return;
  }
  std::uint64_t spi = 0;
  while (spi == 0) spi = outside_.random_number();
  const ike_path path{.local = {local, ike_port}, .remote = {settings.peer, ike_port}};
  auto sa = std::make_shared<ike_sa>(outside_, owner_, path, true, spi, 0);
  sa->profile = profile_;
  sas_.push_back(sa);
  owner_.add(sa);
  attempting_ = true;
  go(run_attempt(sa));
}

asio::awaitable<void> tunnel::run_attempt(ike_sa_pointer sa) {
  const std::weak_ptr<bool> alive = alive_;
  const bool has_children = !profile_->settings.children.empty();
  const auto why = co_await open_ike_sa(sa, has_children ? std::optional<std::size_t>(0) : std::nullopt);
  if (alive.expired()) co_return;
  attempting_ = false;
  if (sa->opening != nullptr && !sa->up()) {  // it never was
    if (why && why->what != trouble::closed_by_us) {
      ++failures_;
      remember_failure(*sa, *why);
    }
    attempt_later();
    co_return;
  }
  if (!sa->up()) co_return attempt_later();
  if (why) warn(*why);
  co_await make_missing_children(sa);
  // What left by the old ones arrives first: a peer takes them away at once when it hears of it.
  if (!alive.expired() && superseded_timer_.waiting())
    superseded_timer_.set(outside_.clock(), outside_.now() + under_way, [this] { remove_superseded(); });
}

void tunnel::attempt_later() {
  if (!wanted_ || current() || attempting_) return;
  // A storm of reconnects is impossible: one attempt at a time, ever later, never in step with other tunnels.
  const auto pause = std::min<std::chrono::milliseconds>(first_pause * (1 << std::min(failures_, 6U)), longest_pause);
  const auto varied = pause * (75 + static_cast<long>(outside_.random_number() % 51)) / 100;
  retry_timer_.set(outside_.clock(), outside_.now() + varied, [this] {
    if (wanted_ && !current() && !attempting_) attempt();
  });
}

void tunnel::remember_failure(const ike_sa& sa, const failed_step& why) {
  auto record = sa.record;
  record.failure = why;
  record.local = to_string(sa.path().local.address) + ":" + std::to_string(sa.path().local.port);
  record.remote = to_string(sa.path().remote.address) + ":" + std::to_string(sa.path().remote.port);
  refused(record);
}

void tunnel::refused(const negotiation_record& record) {
  ++counts_.failures;
  // What the peer tries, or who says that it is the peer, does not hide why our own attempts fail.
  if (record.initiator || !failure_ || !failure_->initiator || !wanted_)
    failure_ = std::make_unique<negotiation_record>(record);
}

void tunnel::warned(const failed_step& why) { warn(why); }

std::optional<timer_clock::time_point> tunnel::next_attempt() const {
  if (!retry_timer_.waiting()) return std::nullopt;
  return retry_timer_.when();
}

ike_sa_pointer tunnel::current() const {
  for (auto one = sas_.rbegin(); one != sas_.rend(); ++one)
    if ((*one)->up()) return *one;
  return nullptr;
}

bool tunnel::child_is_up(std::size_t index) const {
  return std::ranges::any_of(sas_, [index](const auto& sa) {
    return std::ranges::any_of(sa->children, [index](const auto& pair) {
      return pair->index == index && (pair->state == child_state::up || pair->state == child_state::rekeying);
    });
  });
}

bool tunnel::carries(std::size_t index) const {
  return std::ranges::any_of(sas_, [index](const auto& sa) {
    return std::ranges::any_of(sa->children, [index](const auto& pair) {
      return pair->index == index && pair->state != child_state::gone && !pair->waiting_outbound;
    });
  });
}

// IKE SAs are rekeyed under their children.
ike_sa_pointer tunnel::holder(const child_pointer& pair) const {
  const auto found =
      std::ranges::find_if(sas_, [&](const auto& sa) { return std::ranges::contains(sa->children, pair); });
  return found == sas_.end() ? nullptr : *found;
}

void tunnel::warn(failed_step why) {
  unwarn(why.what, why.path);
  warnings_.push_back(std::move(why));
}

void tunnel::unwarn(trouble what, const std::string& path) {
  std::erase_if(warnings_, [&](const auto& one) { return one.what == what && one.path == path; });
}

// ---- what the exchanges tell ----

void tunnel::established(const ike_sa_pointer& sa, bool initial_contact) {
  if (!std::ranges::contains(sas_, sa)) sas_.push_back(sa);
  if (std::ranges::none_of(sas_, [&](const auto& other) { return other != sa && other->up(); }))
    since_ = outside_.wall_time();
  ++counts_.established;
  retry_timer_.cancel();
  note_legacy(sa, outdated(sa->chosen.transforms), "the IKE SA");
  keep(sa);
  remove_doubles(sa, initial_contact);
  if (!sa->initiator && profile_->ike().start == start_mode::always) make_missing_later(sa, courtesy);
}

void tunnel::note_legacy(const ike_sa_pointer& sa, const std::string& words, const std::string& of) {
  if (words.empty()) return;
  auto text = of + " uses outdated algorithms: " + words;
  if (!std::ranges::contains(sa->record.notes, text)) sa->record.notes.push_back(std::move(text));
}

// RFC 7296 2.4: what the peer says it does not know is gone. Otherwise the newest stays; of two that both sides began
// at once, both sides keep the same.
void tunnel::remove_doubles(const ike_sa_pointer& newest, bool initial_contact) {
  bool later = false;
  for (const auto& other : std::vector(sas_)) {
    if (other == newest || !other->up()) continue;
    const bool at_once =
        !other->superseded && newest->begun - other->since < crossing && other->initiator != newest->initiator;
    if (initial_contact && !at_once) {
      close_ike_sa(other, failed(trouble::closed_by_peer, "the peer started anew"));
      continue;
    }
    auto loser = other;
    if (at_once && other->messages->initiator_spi() < newest->messages->initiator_spi()) loser = newest;
    loser->superseded = later = true;
  }
  // Make before break: whoever began the new one makes its children first (run_attempt()); should it not come to that,
  // the old one goes all the same.
  if (later) superseded_timer_.set(outside_.clock(), outside_.now() + 2 * courtesy, [this] { remove_superseded(); });
}

void tunnel::remove_superseded() {
  const auto stays = [](const ike_sa_pointer& sa) { return sa->up() && !sa->superseded; };
  if (std::ranges::none_of(sas_, stays)) return;
  for (const auto& sa : std::vector(sas_))
    if (sa->up() && sa->superseded)
      spawn(outside_, delete_ike_sa(sa, failed(trouble::closed_by_us, "another IKE SA of this tunnel stays")));
}

void tunnel::child_up(const ike_sa_pointer& sa, const child_pointer& pair) {
  const auto path = "children." + pair->settings(*profile_).name;
  std::erase_if(warnings_, [&](const auto& one) {
    // "children": what the peer wanted was none of ours, and may have been this one before it was configured here.
    const bool about = one.path == path || one.path.starts_with(path + ".") || one.path == "children";
    return about && (one.what != trouble::key_exchange_refused || !pair->of_ike_auth);
  });
  note_legacy(sa, pair->outdated, "child \"" + pair->settings(*profile_).name + "\"");
  keep_child(pair);
  remove_double_children(sa, pair);
}

namespace {

bool is_double(const child& one, const child& other) {
  return &one != &other && one.index == other.index && other.state == child_state::up && !one.per_resource &&
         !other.per_resource && one.selectors.local == other.selectors.local &&
         one.selectors.remote == other.selectors.remote;
}

// Of two that are doubles the one that is first in this order goes, on both sides.
std::uint32_t order(const child& one) { return std::min(one.inbound_spi, one.outbound_spi); }

}  // namespace

// A child that the peer made once more, without a rekey: the older one is lost to it.
void tunnel::remove_double_children(const ike_sa_pointer& sa, const child_pointer& newest) {
  if (newest->is_rekey) return look_for_doubles(newest);
  for (const auto& other : std::vector(sa->children)) {
    if (!is_double(*newest, *other)) continue;
    // Both of us may have made it at once.
    const bool at_once = newest->since - other->since < simultaneous && newest->ours != other->ours;
    const auto loser = at_once && order(*newest) < order(*other) ? newest : other;
    loser->probe_timer.set(outside_.clock(), outside_.now() + 1s, [this, weak = std::weak_ptr(loser)] {
      const auto here = weak.lock();
      const auto of = here ? holder(here) : nullptr;
      if (of && here->state == child_state::up)
        spawn(outside_, delete_child(of, here, failed(trouble::closed_by_us, "a double")));
    });
  }
}

// Rekeys that crossed may leave two: when nothing is under way any more one of them goes.
void tunnel::look_for_doubles(const child_pointer& pair) {
  pair->probe_timer.set(outside_.clock(), outside_.now() + simultaneous, [this, weak = std::weak_ptr(pair)] {
    const auto one = weak.lock();
    const auto sa = one ? holder(one) : nullptr;
    if (!sa || !sa->up() || one->state != child_state::up || one->leaving) return;
    const auto settled = [](const child_pointer& each) { return !each->waiting_outbound && each->rival.expired(); };
    if (sa->child_exchanges != 0 || sa->rekeying || !std::ranges::all_of(sa->children, settled))
      return look_for_doubles(one);
    for (const auto& other : std::vector(sa->children))
      if (is_double(*one, *other) && order(*one) < order(*other))
        return spawn(outside_, delete_child(sa, one, failed(trouble::closed_by_us, "a double")));
  });
}

void tunnel::child_gone(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why) {
  // What is to carry its packets does so now, before it goes; not if there is one that does already: what waits then
  // may be what loses of two that were made at once, and the peer may not have it yet.
  for (const auto& other : sas_)
    for (const auto& heir : std::vector(other->children))
      if (heir->index == pair->index && heir->waiting_outbound && !carries(pair->index))
        spawn(outside_, switch_outbound(other, heir));
  if (!wanted_ && profile_->ike().start != start_mode::always) return;
  const auto now = current();
  if (!now || now->superseded || why.what == trouble::closed_by_us) return;
  (void)sa;
  // The peer closed it, or it ended: a moment later it is made again, unless somebody did; later, if it did not last.
  const bool lasted = why.what != trouble::closed_by_peer || outside_.now() - pair->since >= long_life;
  if (lasted) child_failures_ = 0;
  make_missing_later(now, lasted ? timer_clock::duration(1s) : retry_pause());
}

void tunnel::replaced(const ike_sa_pointer& old, const ike_sa_pointer& next) {
  ++counts_.ike_rekeys;
  if (!std::ranges::contains(sas_, next)) sas_.push_back(next);
  // It stays findable until it is deleted, but is none of ours any more.
  const bool was_missing = next_missing(*next, {}).has_value();
  next->superseded = old->superseded;
  std::erase(sas_, old);
  keep(next);
  if (was_missing && (wanted_ || profile_->ike().start == start_mode::always)) make_missing_later(next, courtesy);
}

void tunnel::closed(const ike_sa_pointer& sa, const failed_step& why) {
  const bool was_ours = std::erase(sas_, sa) != 0;
  if (!was_ours) return;
  if (!current()) {
    since_ = outside_.wall_time();
    if (sa->opening == nullptr) {  // it was up
      if (outside_.now() - sa->since >= long_life)
        failures_ = 0;
      else if (why.what != trouble::closed_by_us)
        ++failures_;
      if (why.what != trouble::closed_by_us) remember_failure(*sa, why);
      // What comes up when a packet wants it waits for the next one.
      if (profile_->ike().start == start_mode::on_demand) wanted_ = false;
    }
  }
  if (!attempting_ && wanted_) attempt_later();
}

void tunnel::expired(const ike_sa_pointer& sa, const child_pointer& pair, bool hard) {
  if (!hard) return go(renew_child(pair, false));
  spawn(outside_, delete_child(sa, pair, failed(trouble::none, "its lifetime ended")));
}

void tunnel::peer_moved(const ike_sa_pointer& sa, const sa_endpoint& remote) {
  // RFC 7296 2.23: never when it is us who are behind the NAT, and not under MOBIKE.
  if (sa->mobike || sa->nat_here || !sa->nat_there) return;
  auto path = sa->path();
  path.remote = remote;
  sa->messages->set_path(path);
  spawn(outside_, move_children(sa));
}

void tunnel::children_lost() {
  for (const auto& sa : std::vector(sas_)) {
    if (!sa->up()) continue;
    for (const auto& pair : std::vector(sa->children))
      spawn(outside_, delete_child(sa, pair, failed(trouble::data_plane, "the data plane started anew")));
    make_missing_later(sa, std::chrono::milliseconds(100));
  }
}

}  // namespace trunkgate::ike
