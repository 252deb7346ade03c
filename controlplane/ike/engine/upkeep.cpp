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

}  // namespace

timer_clock::duration tunnel::jittered(std::uint64_t seconds) {
  const auto thousandths = 900 + static_cast<std::int64_t>(outside_.random_number() % 101);
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds) * thousandths);
}

void tunnel::keep(const ike_sa_pointer& sa) {
  const auto& settings = profile_->ike();
  const auto now = outside_.now();
  const std::weak_ptr weak = sa;
  if (settings.lifetime_seconds != 0)
    sa->rekey_timer.set(outside_.clock(), now + jittered(settings.lifetime_seconds), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) spawn(outside_, renew_ike(here));
    });
  if (settings.reauthenticate_seconds != 0 && sa->initiator)
    sa->reauthentication_timer.set(outside_.clock(), now + jittered(settings.reauthenticate_seconds), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) reauthenticate();
    });
  if (settings.liveness_seconds != 0)
    sa->liveness_timer.set(outside_.clock(), now + jittered(settings.liveness_seconds), [this, weak] {
      if (const auto here = weak.lock(); here && here->up()) spawn(outside_, check_liveness(here));
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

void tunnel::keep_child(const ike_sa_pointer& sa, const child_pointer& pair) {
  const auto& settings = pair->settings(*profile_);
  const std::weak_ptr<ike_sa> weak = sa;
  const std::weak_ptr<child> weak_pair = pair;
  const auto lived = outside_.now() - pair->since;
  if (settings.soft.seconds != 0)
    pair->rekey_timer.set(outside_.clock(), outside_.now() + jittered(settings.soft.seconds) - lived,
                          [this, weak, weak_pair] {
                            const auto here = weak.lock();
                            const auto one = weak_pair.lock();
                            if (here && one) spawn(outside_, renew_child(here, one, false));
                          });
  if (settings.hard.seconds != 0)
    pair->expiry_timer.set(outside_.clock(), outside_.now() + std::chrono::seconds(settings.hard.seconds) - lived,
                           [this, weak, weak_pair] {
                             const auto here = weak.lock();
                             const auto one = weak_pair.lock();
                             if (here && one) expired(here, one, true);
                           });
  const bool wants_exchange = std::ranges::any_of(settings.esp.front().transforms, [](const auto& part) {
    return part.type == transform_type::key_exchange && part.id != transform_id::ke_none;
  });
  if (!wants_exchange || pair->key_exchange != transform_id::ke_none || lived > tick) return;
  // The one who made it tries; the other one does if nothing came.
  const auto when =
      probe_after + (pair->ours ? 0s : probe_spread) + std::chrono::milliseconds(outside_.random_number() % 10'000);
  pair->probe_timer.set(outside_.clock(), outside_.now() + when, [this, weak, weak_pair] {
    const auto here = weak.lock();
    const auto one = weak_pair.lock();
    if (here && one && one->state == child_state::up) spawn(outside_, renew_child(here, one, true));
  });
}

asio::awaitable<void> tunnel::make_missing_children(ike_sa_pointer sa) {
  const std::weak_ptr<bool> alive = alive_;
  for (std::size_t i = 0; i < profile_->settings.children.size(); ++i) {
    if (child_is_up(i) || std::ranges::contains(making_, i)) continue;
    making_.push_back(i);
    const auto why = co_await create_child(sa, i, nullptr);
    if (alive.expired()) co_return;
    std::erase(making_, i);
    if (!why) continue;
    if (!sa->up()) co_return;
    warn(*why);
    sa->opening_timer.set(outside_.clock(), outside_.now() + retry_pause(), [this, weak = std::weak_ptr(sa)] {
      if (const auto here = weak.lock(); here && here->up()) spawn(outside_, make_missing_children(here));
    });
  }
}

timer_clock::duration tunnel::retry_pause() {
  ++child_failures_;
  const auto pause = std::min<std::chrono::milliseconds>(retry_after * (1 << std::min(child_failures_, 6U)), 300s);
  return pause * (75 + static_cast<long>(outside_.random_number() % 51)) / 100;
}

asio::awaitable<void> tunnel::renew_child(ike_sa_pointer sa, child_pointer pair, bool probe) {
  const std::weak_ptr<bool> alive = alive_;
  if (pair->state != child_state::up) co_return;
  const auto why = co_await create_child(sa, pair->index, pair);
  if (alive.expired()) co_return;
  if (!why) {
    ++counts_.child_rekeys;
    co_return;
  }
  if (pair->state == child_state::gone || !sa->up()) co_return;
  if (why->notify == notify::child_sa_not_found) {
    // RFC 7296 2.25.1: the peer has lost it.
    co_await delete_child(sa, pair, failed(trouble::closed_by_peer, "the peer does not know it any more"));
    co_return;
  }
  if (why->what != trouble::closed_by_us && why->notify != notify::temporary_failure) warn(*why);
  if (probe && why->notify != notify::temporary_failure) co_return;
  // The old one goes on until its hard limit; until then it is tried again.
  pair->rekey_timer.set(outside_.clock(), outside_.now() + jittered(10),
                        [this, weak = std::weak_ptr(sa), weak_pair = std::weak_ptr(pair), probe] {
                          const auto here = weak.lock();
                          const auto one = weak_pair.lock();
                          if (here && one) spawn(outside_, renew_child(here, one, probe));
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
                        if (const auto here = weak.lock(); here && here->up()) spawn(outside_, renew_ike(here));
                      });
}

void tunnel::rekey_child(std::size_t index) {
  for (const auto& sa : sas_)
    for (const auto& pair : std::vector(sa->children))
      if (pair->index == index && pair->state == child_state::up) return spawn(outside_, renew_child(sa, pair, true));
}

void tunnel::rekey_ike() {
  if (const auto sa = current()) spawn(outside_, renew_ike(sa));
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
      close_ike_sa(sa, std::move(*why));
      co_return;
    }
    silent = {};
  }
  sa->liveness_timer.set(outside_.clock(), outside_.now() + (limit - silent) + tick, [this, weak = std::weak_ptr(sa)] {
    if (const auto here = weak.lock(); here && here->up()) spawn(outside_, check_liveness(here));
  });
}

// MOBIKE: when our address to the peer is another one now, the IKE SA's initiator moves it.
void tunnel::check_path() {
  const auto sa = current();
  if (!sa || !sa->mobike || !sa->initiator || profile_->settings.local.family != ip_family::none) return;
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
      const auto found = std::ranges::find(after, before[pair->index].name, &child_settings::name);
      if (found == after.end()) {
        spawn(outside_, delete_child(sa, pair, failed(trouble::closed_by_us, "it is not configured any more")));
        continue;
      }
      pair->index = static_cast<std::size_t>(found - after.begin());
    }
    sa->profile = profile;
  }
  profile_ = std::move(profile);
}

}  // namespace trunkgate::ike
