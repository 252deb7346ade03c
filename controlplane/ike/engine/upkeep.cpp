// What keeps a tunnel that is up: lifetimes, liveness, NAT mappings, missing children.
#include <algorithm>

#include "controlplane/ike/engine/tunnel.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/mobike.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;
constexpr auto keepalive = 20s;  // RFC 3948 4
// RFC 7296 1.2: a child that came with IKE_AUTH was made without its key exchange; whether the peer agrees on that
// would show at the first rekey, hours later. It is tried now.
constexpr auto probe_after = 20s, probe_spread = 20s;
constexpr auto retry_after = 5s;
constexpr auto tick = 1s;
constexpr auto courtesy = 5s;  // for the peer, should it make what is new

}  // namespace

timer_clock::duration tunnel::jittered(std::uint64_t seconds) {
  const auto thousandths = 900 + static_cast<std::int64_t>(outside_.random_number() % 101);
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds) * thousandths);
}

void tunnel::keep(const ike_sa_pointer& sa) {
  const auto& settings = profile_->ike();
  const auto now = outside_.now();
  const std::weak_ptr weak = sa;
  // Of one that an earlier process made some has gone by.
  if (settings.lifetime_seconds != 0)
    sa->rekey_timer.set(outside_.clock(), std::max(now, sa->since + jittered(settings.lifetime_seconds)), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) go(renew_ike(here));
    });
  // A rekey proves nothing: the time counts from IKE_AUTH.
  if (settings.reauthenticate_seconds != 0) {
    // Who answered comes a little later: where both sides ask for it, it is done once.
    const auto life = jittered(settings.reauthenticate_seconds) * (sa->began ? 10 : 12) / 10;
    sa->reauthentication_timer.set(outside_.clock(), std::max(now, sa->authenticated + life), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) reauthenticate();
    });
  }
  if (settings.liveness_seconds != 0)
    sa->liveness_timer.set(outside_.clock(), now + jittered(settings.liveness_seconds), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) go(check_liveness(here));
    });
  if (sa->nat_here) keep_mapping(sa);
}

void tunnel::keep_mapping(const ike_sa_pointer& sa) {
  sa->keepalive_timer.set(outside_.clock(), outside_.now() + keepalive, [this, weak = std::weak_ptr(sa)] {
    const auto here = weak.lock();
    if (!here || !here->up()) return;
    outside_.send_keepalive(here->path());
    keep_mapping(here);
  });
}

void tunnel::keep_child(const child_pointer& pair) {
  const auto& settings = pair->settings(*profile_);
  const std::weak_ptr<child> weak = pair;
  const auto now = outside_.now();
  if (settings.soft.seconds != 0)
    pair->rekey_timer.set(outside_.clock(), std::max(now, pair->since + jittered(settings.soft.seconds)), [this, weak] {
      if (const auto one = weak.lock()) go(renew_child(one, false));
    });
  if (settings.hard.seconds != 0)
    pair->expiry_timer.set(outside_.clock(), std::max(now, pair->since + std::chrono::seconds(settings.hard.seconds)),
                           [this, weak] {
                             const auto one = weak.lock();
                             if (const auto here = one ? holder(one) : nullptr) expired(here, one, true);
                           });
  if (pair->of_ike_auth) probe_later(pair);
}

// Without a key exchange of our own it is tried too: the peer may want one.
void tunnel::probe_later(const child_pointer& pair) {
  // The one who made it tries; the other one does if nothing came.
  const auto when =
      probe_after + (pair->ours ? 0s : probe_spread) + std::chrono::milliseconds(outside_.random_number() % 10'000);
  pair->probe_timer.set(outside_.clock(), outside_.now() + when, [this, weak = std::weak_ptr(pair)] {
    if (const auto one = weak.lock(); one && one->state == child_state::up) go(renew_child(one, true));
  });
}

// A child, or one of a worker, that this IKE SA has not and nobody is making.
std::optional<tunnel::missing_child> tunnel::next_missing(const ike_sa& sa,
                                                          const std::vector<std::string>& tried) const {
  const auto there = [&](std::size_t index, std::optional<std::uint16_t> worker) {
    return std::ranges::any_of(sa.children, [&](const auto& pair) {
      const bool up = pair->state == child_state::up || pair->state == child_state::rekeying;
      return up && pair->index == index && (!worker || pair->worker == worker);
    });
  };
  const auto& all = profile_->settings.children;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (std::ranges::contains(tried, all[i].name) || std::ranges::contains(making_, all[i].name)) continue;
    if (!there(i, std::nullopt)) return missing_child{i, std::nullopt};
    const bool grouped =
        std::ranges::any_of(sa.children, [i](const auto& pair) { return pair->index == i && pair->per_resource; });
    if (!grouped || sa.no_more_queues) continue;
    for (unsigned worker = 0; worker < outside_.workers(); ++worker)
      if (!there(i, static_cast<std::uint16_t>(worker))) return missing_child{i, static_cast<std::uint16_t>(worker)};
  }
  return std::nullopt;
}

void tunnel::make_missing_later(const ike_sa_pointer& sa, timer_clock::duration pause) {
  const auto when = outside_.now() + pause;
  if (sa->opening_timer.waiting() && sa->opening_timer.when() <= when) return;
  sa->opening_timer.set(outside_.clock(), when, [this, weak = std::weak_ptr(sa)] {
    if (const auto here = weak.lock(); here && here->up()) go(make_missing_children(here));
  });
}

asio::awaitable<void> tunnel::make_missing_children(ike_sa_pointer sa) {
  const std::weak_ptr<bool> alive = alive_;
  std::vector<std::string> tried;
  while (const auto missing = sa->up() ? next_missing(*sa, tried) : std::nullopt) {
    const auto name = profile_->settings.children[missing->index].name;
    making_.push_back(name);
    const auto why = co_await create_child(sa, missing->index, nullptr, missing->worker);
    if (alive.expired()) co_return;
    std::erase(making_, name);
    if (!why) continue;
    // RFC 9611: with what is there it works as well.
    if (missing->worker && (why->notify == notify::ts_max_queue || why->notify == notify::no_additional_sas)) {
      sa->no_more_queues = true;
      continue;
    }
    tried.push_back(name);
    if (why->notify != notify::temporary_failure && why->what != trouble::closed_by_us) warn(*why);
    if (sa->up()) make_missing_later(sa, retry_pause());
  }
}

timer_clock::duration tunnel::retry_pause() {
  ++child_failures_;
  const auto pause = std::min<std::chrono::milliseconds>(retry_after * (1 << std::min(child_failures_, 6U)), 300s);
  return pause * (75 + static_cast<long>(outside_.random_number() % 51)) / 100;
}

asio::awaitable<void> tunnel::renew_child(child_pointer pair, bool probe) {
  const std::weak_ptr<bool> alive = alive_;
  const auto sa = holder(pair);
  if (!sa || pair->state != child_state::up || pair->index == child::not_configured || pair->leaving) co_return;
  // The peer has just replaced it: two in its place would be too many.
  if (const auto heir = pair->rival.lock(); heir && heir->state != child_state::gone) co_return;
  // The peer made it in place of another one, which it has yet to delete.
  if (pair->waiting_outbound) co_return renew_child_later(pair, probe, 1s);
  const auto why = co_await create_child(sa, pair->index, pair);
  if (alive.expired()) co_return;
  if (!why) {
    ++counts_.child_rekeys;
    co_return;
  }
  const auto here = holder(pair);
  if (!here || !here->up() || pair->state != child_state::up) co_return;
  if (why->notify == notify::child_sa_not_found) {
    // RFC 7296 2.25.1: the peer has lost it.
    co_await delete_child(here, pair, failed(trouble::closed_by_peer, "the peer does not know it any more"));
    co_return;
  }
  const bool busy = why->notify == notify::temporary_failure || why->what == trouble::closed_by_us;
  if (!busy) warn(*why);
  if (probe && !busy) co_return;
  // The old one goes on until its hard limit; until then it is tried again.
  renew_child_later(pair, probe, jittered(10));
}

void tunnel::renew_child_later(const child_pointer& pair, bool probe, timer_clock::duration pause) {
  pair->rekey_timer.set(outside_.clock(), outside_.now() + pause, [this, weak = std::weak_ptr(pair), probe] {
    if (const auto one = weak.lock()) go(renew_child(one, probe));
  });
}

asio::awaitable<void> tunnel::renew_ike(ike_sa_pointer sa) {
  const std::weak_ptr<bool> alive = alive_;
  const auto why = sa->child_exchanges == 0
                       ? co_await rekey_ike_sa(sa)
                       : outcome(failed(trouble::none, "children are being made", {}, notify::temporary_failure));
  if (alive.expired() || !why || !sa->up()) co_return;
  if (why->notify != notify::temporary_failure) warn(*why);
  sa->rekey_timer.set(outside_.clock(), outside_.now() + jittered(why->notify == notify::temporary_failure ? 2 : 30),
                      [this, weak = std::weak_ptr(sa)] {
                        if (const auto here = weak.lock(); here && here->up()) go(renew_ike(here));
                      });
}

void tunnel::rekey_child(std::size_t index) {
  const auto sa = current();
  if (!sa) return;
  for (const auto& pair : std::vector(sa->children))
    if (pair->index == index && pair->state == child_state::up) go(renew_child(pair, false));
}

void tunnel::rekey_ike() {
  if (const auto sa = current()) go(renew_ike(sa));
}

// Make before break: the new IKE SA with new children first, then the old one goes (remove_doubles()).
void tunnel::reauthenticate() {
  if (attempting_ || profile_->settings.peer.family == ip_family::none) return;
  ++counts_.reauthentications;
  attempt();
}

asio::awaitable<void> tunnel::check_liveness(ike_sa_pointer sa) {
  const std::weak_ptr<bool> alive = alive_;
  const std::chrono::seconds limit(profile_->ike().liveness_seconds);
  auto silent = outside_.now() - sa->messages->last_heard();
  // Traffic is a sign of life (RFC 7296 2.4).
  if (silent >= limit && !sa->children.empty()) {
    std::vector<std::uint32_t> spis;
    for (const auto& pair : sa->children) spis.push_back(pair->inbound_spi);
    if (const auto use = co_await outside_.sink().use(spis); use)
      for (const auto& one : *use)
        if (one) silent = std::min<timer_clock::duration>(silent, std::chrono::milliseconds(one->inbound_idle_ms));
  }
  if (alive.expired() || !sa->up()) co_return;
  if (silent >= limit) {
    auto why = co_await ask_liveness(sa);
    if (alive.expired() || !sa->up()) co_return;
    if (why) {
      close_ike_sa(sa, *why);
      co_return;
    }
    silent = {};
  }
  sa->liveness_timer.set(outside_.clock(), outside_.now() + (limit - silent) + tick, [this, weak = std::weak_ptr(sa)] {
    if (const auto here = weak.lock(); here && here->up()) go(check_liveness(here));
  });
}

// MOBIKE: when our address to the peer is another one now, the IKE SA's initiator moves it.
void tunnel::check_path() {
  const auto sa = current();
  if (!sa || !sa->mobike || !sa->began || profile_->settings.local.family != ip_family::none) return;
  const auto source = outside_.source_for(sa->path().remote.address);
  if (!source || *source == sa->path().local.address) return;
  auto path = sa->path();
  path.local.address = *source;
  spawn(outside_, [](ike_sa_pointer moved, ike_path to) -> asio::awaitable<void> {
    (void)co_await move_ike_sa(moved, to);
  }(sa, path));
}

void tunnel::use_profile(profile_pointer profile) {
  const auto& before = profile_->settings.children;
  const auto& after = profile->settings.children;
  for (const auto& sa : sas_) {
    for (const auto& pair : std::vector(sa->children)) {
      if (pair->index == child::not_configured) continue;
      const auto found = std::ranges::find(after, before[pair->index].name, &child_settings::name);
      if (found == after.end()) {
        pair->index = child::not_configured;
        spawn(outside_, delete_child(sa, pair, failed(trouble::closed_by_us, "it is not configured any more")));
        continue;
      }
      pair->index = static_cast<std::size_t>(found - after.begin());
    }
    sa->profile = profile;
  }
  profile_ = std::move(profile);
  // What is new in it is made.
  if (const auto sa = current(); sa && (wanted_ || profile_->ike().start == start_mode::always))
    make_missing_later(sa, sa->initiator ? timer_clock::duration(0) : timer_clock::duration(courtesy));
}

}  // namespace trunkgate::ike
