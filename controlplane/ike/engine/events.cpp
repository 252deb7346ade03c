// What the exchanges and the data plane tell the engine, and whom it passes that on to.
#include <algorithm>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

std::vector<profile_pointer> engine::candidates(const ike_path& path) {
  std::vector<profile_pointer> out;
  for (const auto& peer : {path.remote.address, ip_address()}) {
    const auto found = by_peer_.find(peer);
    if (found == by_peer_.end()) continue;
    for (const auto* one : found->second) {
      const auto& local = one->profile().settings.local;
      if (local.family == ip_family::none || local == path.local.address) out.push_back(one->profile_shared());
    }
  }
  return out;
}

bool engine::first_contact(const ike_sa& sa) {
  // What an earlier process had installed still carries packets: the peer must not take its half away.
  if (has_survivors(sa.profile->settings.name)) return false;
  const auto same = [&](const ike_sa& other) {
    const auto& a = *sa.profile;
    const auto& b = *other.profile;
    return &other != &sa && other.up() && a.local_id == b.local_id &&
           (a.remote_id == b.remote_id || a.settings.peer == b.settings.peer);
  };
  return std::ranges::none_of(tunnels_, [&](const auto& one) {
    return std::ranges::any_of(one->sas(), [&](const auto& other) { return same(*other); });
  });
}

bool engine::carries(const ike_sa& sa, std::size_t index) {
  const auto* one = sa.profile ? find(sa.profile->settings.name) : nullptr;
  return one != nullptr && one->carries(index);
}

void engine::warned(const ike_sa_pointer& sa, const failed_step& why) {
  if (auto* one = owner_of(sa)) one->warned(why);
}

tunnel* engine::owner_of(const ike_sa_pointer& sa) { return sa->profile ? find(sa->profile->settings.name) : nullptr; }

void engine::established(const ike_sa_pointer& sa, bool initial_contact) {
  settle_half_open(sa);
  changed(sa);
  if (auto* one = owner_of(sa)) one->established(sa, initial_contact);
}

void engine::child_up(const ike_sa_pointer& sa, const child_pointer& pair) {
  by_inbound_[pair->inbound_spi] = {sa, pair};
  pair->told = true;
  changed(sa);
  if (auto* one = owner_of(sa)) one->child_up(sa, pair);
}

void engine::child_gone(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why) {
  by_inbound_.erase(pair->inbound_spi);
  changed(sa);
  if (auto* one = owner_of(sa)) one->child_gone(sa, pair, why);
}

void engine::replaced(const ike_sa_pointer& old, const ike_sa_pointer& next) {
  for (const auto& pair : next->children) by_inbound_[pair->inbound_spi] = {next, pair};
  changed(old);
  changed(next);
  if (auto* one = owner_of(next)) one->replaced(old, next);
}

void engine::closed(const ike_sa_pointer& sa, const failed_step& why) {
  settle_half_open(sa);
  changed(sa);
  forget(sa);
  auto* one = owner_of(sa);
  if (one == nullptr) return;
  // A responder's attempt that did not come to an end is worth a record; the IKE SA itself was never the tunnel's.
  if (!sa->initiator && sa->opening != nullptr && why.what != trouble::none && !one->current()) {
    sa->record.failure = why;
    sa->record.remote = to_string(sa->path().remote.address);
    one->refused(sa->record);
  }
  one->closed(sa, why);
}

sa_sink_events engine::sink_events() {
  const auto with = [this](std::uint32_t spi, auto&& use) {
    const auto found = by_inbound_.find(spi);
    if (found == by_inbound_.end()) return;
    const auto sa = found->second.first.lock();
    const auto pair = found->second.second.lock();
    if (!sa || !pair) return;
    if (auto* one = owner_of(sa)) use(*one, sa, pair);
  };
  return {.acquire =
              [this](const std::string& name, const std::string&) {
                auto* one = find(name);
                if (one == nullptr || one->stopped() || one->profile().ike().start == start_mode::answer) return;
                one->want();
              },
          .expire =
              [with](std::uint32_t spi, bool hard) {
                with(spi, [hard](tunnel& one, const ike_sa_pointer& sa, const child_pointer& pair) {
                  one.expired(sa, pair, hard);
                });
              },
          .peer_moved =
              [with](std::uint32_t spi, const sa_endpoint& remote) {
                with(spi, [&remote](tunnel& one, const ike_sa_pointer& sa, const child_pointer&) {
                  one.peer_moved(sa, remote);
                });
              },
          .restarted =
              [this] {
                for (const auto& one : tunnels_) one->children_lost();
              }};
}

}  // namespace trunkgate::ike
