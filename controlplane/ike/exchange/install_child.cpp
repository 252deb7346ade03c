// A pair of SAs on its way into the sink, over to another one, and out again.
#include <algorithm>

#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

// What is under way when an SA is replaced has arrived by then.
constexpr auto inbound_grace = std::chrono::seconds(5);
// The peer shows that it has a new pair by deleting what that replaces. Should that never come, we go over by ourselves
// when it has our answer, or has given up asking for it: before that it would drop what we send.
constexpr auto switch_after = std::chrono::seconds(75);
// One more of a group (RFC 9611) replaces nothing, and no delete will tell: our answer is there by then, even if it had
// to be repeated.
constexpr auto join_after = std::chrono::seconds(2);

std::unique_ptr<child_sa> sink_record(const ike_sa& sa, const agreed_child& agreed, child_keys keys,
                                      bool we_initiated) {
  const auto& settings = agreed.profile->settings.children[agreed.index];
  auto out = std::make_unique<child_sa>();
  out->tunnel = &agreed.profile->settings;
  out->child = &settings;
  out->inbound_spi = agreed.inbound_spi;
  out->outbound_spi = agreed.outbound_spi;
  out->suite = agreed.choice.suite;
  out->esn = agreed.choice.esn;
  out->mode = agreed.mode;
  out->path = sa.child_path();
  out->selectors = to_sa_selectors(agreed.selectors);
  out->worker = agreed.worker;
  out->soft = settings.soft;
  out->soft.seconds = 0;  // our own timers see to it
  out->hard = settings.hard;
  out->inbound_key = we_initiated ? std::move(keys.to_initiator) : std::move(keys.to_responder);
  out->outbound_key = we_initiated ? std::move(keys.to_responder) : std::move(keys.to_initiator);
  return out;
}

bytes lower_nonce(const child_ingredients& from) { return std::min(from.initiator_nonce, from.responder_nonce); }

}  // namespace

asio::awaitable<std::expected<child_pointer, failed_step>> install_child(ike_sa_pointer sa, const agreed_child& agreed,
                                                                         const child_ingredients& from,
                                                                         child_pointer old) {
  auto keys = derive_child_keys(sa->suite.prf, sa->keys.d, from.initiator_nonce, from.responder_nonce, from.shared,
                                agreed.choice.suite);
  auto record = sink_record(*sa, agreed, std::move(keys), from.we_initiated);
  const bool wait = !from.we_initiated && (old || sa->owner->carries(*sa, agreed.index));
  auto pair = std::make_shared<child>();
  // The configuration may have changed while we talked.
  const auto& name = agreed.profile->settings.children[agreed.index].name;
  const auto& all = sa->profile->settings.children;
  const auto found = std::ranges::find(all, name, &child_settings::name);
  if (found == all.end()) {
    sa->outside.sink().release_spi(agreed.inbound_spi);
    co_return std::unexpected(failed(trouble::closed_by_us, "it is not configured any more", "children." + name));
  }
  pair->index = static_cast<std::size_t>(found - all.begin());
  pair->of_ike_auth = sa->opening != nullptr;
  pair->is_rekey = old != nullptr;
  pair->per_resource = agreed.per_resource;
  pair->worker = agreed.worker;
  pair->inbound_spi = agreed.inbound_spi;
  pair->outbound_spi = agreed.outbound_spi;
  pair->choice = agreed.choice;
  pair->key_exchange = agreed.chosen.key_exchange();
  pair->mode = agreed.mode;
  pair->outdated = outdated(agreed.chosen.transforms);
  pair->selectors = agreed.selectors;
  pair->ours = from.we_initiated;
  pair->lowest_nonce = lower_nonce(from);
  pair->since = sa->outside.now();
  sa->children.push_back(pair);  // findable, whatever comes while it is being installed
  auto done = co_await sa->outside.sink().add(*record, wait ? sa_directions::inbound : sa_directions::both);
  if (!done) {
    pair->state = child_state::gone;
    std::erase(sa->children, pair);
    sa->outside.sink().release_spi(agreed.inbound_spi);
    co_return std::unexpected(failed(trouble::data_plane, done.error().reason, "children." + name));
  }
  if (pair->state == child_state::gone) {  // it was closed while it was being installed
    (void)co_await sa->outside.sink().remove(agreed.inbound_spi, sa_directions::both);
    co_return std::unexpected(failed(trouble::closed_by_us, "it was closed meanwhile", "children." + name));
  }
  if (!wait) co_return pair;
  pair->waiting_outbound = std::move(record);
  pair->waiting_profile = agreed.profile;
  wait_to_switch(sa, pair);
  co_return pair;
}

void wait_to_switch(const ike_sa_pointer& sa, const child_pointer& pair) {
  const auto after = pair->per_resource && !pair->is_rekey ? join_after : switch_after;
  pair->switch_timer.set(sa->outside.clock(), sa->outside.now() + after,
                         [of = std::weak_ptr(sa), weak = std::weak_ptr(pair)] {
                           auto here = of.lock();
                           for (auto next = here; next; next = here->successor.lock()) here = next;
                           if (const auto made = weak.lock(); here && made)
                             spawn(here->outside, switch_outbound(here, made));
                         });
}

asio::awaitable<void> switch_outbound(ike_sa_pointer sa, child_pointer pair) {
  pair->switch_timer.cancel();
  const auto record = std::exchange(pair->waiting_outbound, nullptr);
  const auto pointed_into = std::exchange(pair->waiting_profile, nullptr);
  if (!record || pair->state == child_state::gone) co_return;
  record->path = sa->child_path();
  if (auto done = co_await sa->outside.sink().add(*record, sa_directions::outbound); !done)
    co_return retire_child(sa, pair, failed(trouble::data_plane, done.error().reason));
  if (auto loser = std::exchange(pair->outdone, nullptr))
    spawn(sa->outside,
          delete_child(sa, loser, failed(trouble::closed_by_us, "both sides rekeyed at once: the other one stays")));
}

namespace {

asio::awaitable<void> remove_from_sink(environment& outside, std::uint32_t spi, sa_directions which) {
  (void)co_await outside.sink().remove(spi, which);  // what can't be removed is not there
}

}  // namespace

void disown_child(const ike_sa_pointer& sa, std::uint32_t inbound_spi) {
  if (!sa->up()) return;
  spawn(sa->outside, [](ike_sa_pointer of, std::uint32_t spi) -> asio::awaitable<void> {
    ++of->child_exchanges;
    (void)co_await of->messages->request(exchange_type::informational,
                                         {delete_payload{.protocol = protocol_id::esp, .spis = {spi_bytes(spi)}}});
    --of->child_exchanges;
  }(sa, inbound_spi));
}

void retire_child(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why) {
  if (pair->state == child_state::gone) return;
  pair->state = child_state::gone;
  pair->rekey_timer.cancel();
  pair->expiry_timer.cancel();
  pair->switch_timer.cancel();
  pair->probe_timer.cancel();
  pair->waiting_outbound.reset();
  pair->waiting_profile.reset();
  pair->outdone.reset();
  std::erase(sa->children, pair);
  if (const auto next = sa->successor.lock()) std::erase(next->children, pair);
  auto& outside = sa->outside;
  const auto spi = pair->inbound_spi;
  // First the owner: what takes its place must be there before it goes.
  sa->owner->child_gone(sa, pair, why);
  // What is under way to a pair that another one follows may still arrive; when the last IKE SA goes, nothing follows.
  if (sa->state == ike_state::closed && sa->owner->first_contact(*sa)) {
    spawn(outside, remove_from_sink(outside, spi, sa_directions::both));
    return;
  }
  spawn(outside, remove_from_sink(outside, spi, sa_directions::outbound));
  outside.clock().at(outside.now() + inbound_grace,
                     [&outside, spi] { spawn(outside, remove_from_sink(outside, spi, sa_directions::inbound)); });
}

}  // namespace trunkgate::ike
