#include "controlplane/monitor/tunnel_watch.hpp"

#include <algorithm>

namespace trunkgate {

namespace {

constexpr auto interval = std::chrono::seconds(1);

std::string name_of(const ike::tunnel& one) { return one.profile().settings.name; }

bool is_legacy(const std::vector<transform_choice>& transforms) {
  return std::ranges::any_of(transforms, [](const auto& part) {
    return (part.type == transform_type::encryption && part.id == transform_id::encr_3des) ||
           (part.type == transform_type::prf && part.id == transform_id::prf_hmac_sha1) ||
           (part.type == transform_type::integrity && part.id == transform_id::auth_hmac_sha1_96) ||
           (part.type == transform_type::key_exchange && part.id == transform_id::modp1024);
  });
}

// The outdated algorithms that a tunnel came up with; empty: none.
std::string legacy_words(const ike::ike_sa& sa, const ike::tunnel& one) {
  std::string out;
  if (is_legacy(sa.chosen.transforms)) out = "ike " + ike::proposal_word(sa.chosen.transforms);
  for (const auto& pair : sa.children) {
    const auto& suite = info(pair->choice.suite);
    const bool old_group = pair->key_exchange == transform_id::modp1024;
    if (!suite.legacy && suite.auth != esp_auth::hmac_sha1 && !old_group) continue;
    out += (out.empty() ? "" : ", ") + one.profile().settings.children[pair->index].name + " " +
           std::string(suite.name) + (old_group ? "-modp1024" : "");
  }
  return out;
}

// 1, 2, 4, 8, ...: the same failure again and again is told ever more rarely.
bool is_power_of_two(std::uint64_t number) { return (number & (number - 1)) == 0; }

}  // namespace

tunnel_watch::tunnel_watch(ike::engine& all, ike::environment& outside, tell_function tell)
    : all_(all), outside_(outside), tell_(std::move(tell)) {
  look();
}

void tunnel_watch::look() {
  for (auto& [name, one] : seen_) one.is_gone = true;
  for (const auto* one : all_.tunnels()) compare(*one, seen_[name_of(*one)]);
  std::erase_if(seen_, [this](const auto& each) {
    if (each.second.is_gone)
      tell_({.warning = false, .id = "tunnel.removed", .text = each.first + ": no longer configured"});
    return each.second.is_gone;
  });
  next_.set(outside_.clock(), outside_.now() + interval, [this] { look(); });
}

void tunnel_watch::compare(const ike::tunnel& one, seen& before) {
  auto state = state_of(one);
  seen now;
  now.condition = state.condition;
  now.established = one.counts().established;
  now.failures = one.counts().failures;
  now.reason = std::move(state.reason);
  if (const auto sa = one.current()) {
    now.ike_sa = sa->own_spi();
    for (const auto& pair : sa->children)
      if (pair->state == ike::child_state::up) now.children.emplace_back(pair->index, pair->inbound_spi);
  }
  compare_failures(one, now, before);
  now.told_failures = before.told_failures;
  compare_keys(one, now, before);
  compare_condition(one, now, before);
  before = std::move(now);
}

void tunnel_watch::compare_condition(const ike::tunnel& one, const seen& now, seen& before) {
  const bool came_up = now.established != before.established && now.ike_sa != 0;
  const bool is_up = now.condition == tunnel_condition::up || now.condition == tunnel_condition::degraded;
  const bool was_up = before.condition == tunnel_condition::up || before.condition == tunnel_condition::degraded;
  const auto sa = one.current();
  if (is_up && (came_up || !was_up)) {
    tell_({.warning = false,
           .id = "tunnel.up",
           .text = name_of(one) + ": up with " + to_string(sa->path().remote.address) + " (" + sa->record.peer_id +
                   "), " + ike::proposal_word(sa->chosen.transforms)});
    if (const auto words = legacy_words(*sa, one); !words.empty())
      tell_({.warning = true,
             .id = "tunnel.legacy",
             .text = name_of(one) + ": came up with outdated algorithms: " + words});
  }
  if (now.condition == tunnel_condition::degraded && (before.condition != now.condition || before.reason != now.reason))
    tell_({.warning = true, .id = "tunnel.degraded", .text = name_of(one) + ": " + now.reason});
  if (now.condition == tunnel_condition::up && before.condition == tunnel_condition::degraded && !came_up)
    tell_({.warning = false, .id = "tunnel.mended", .text = name_of(one) + ": all of it is up"});
  if (was_up && !is_up) tell_({.warning = true, .id = "tunnel.down", .text = name_of(one) + ": " + now.reason});
}

void tunnel_watch::compare_failures(const ike::tunnel& one, const seen& now, seen& before) {
  if (now.failures == before.failures || !one.last_failure()) return;
  const bool was_up = before.condition == tunnel_condition::up || before.condition == tunnel_condition::degraded;
  if (was_up && before.established == now.established) return;  // tunnel.down says it
  const auto& why = one.last_failure()->failure;
  const bool is_another = why.text != before.reason;
  before.told_failures = is_another ? 1 : before.told_failures + (now.failures - before.failures);
  if (!is_another && !is_power_of_two(before.told_failures)) return;
  const auto again = before.told_failures > 1 ? " (" + std::to_string(before.told_failures) + " times)" : std::string();
  tell_({.warning = true,
         .id = "tunnel.failed",
         .text = name_of(one) + ": " + std::string(ike::name(why.what)) + ": " + why.text + again +
                 " (trunkgate explain " + name_of(one) + ")"});
}

void tunnel_watch::compare_keys(const ike::tunnel& one, const seen& now, const seen& before) {
  if (now.established != before.established || now.ike_sa == 0 || before.ike_sa == 0) return;
  if (now.ike_sa != before.ike_sa)
    tell_({.warning = false, .id = "tunnel.rekeyed", .text = name_of(one) + ": the IKE SA was rekeyed"});
  for (const auto& [index, spi] : now.children) {
    const auto same = [index](const auto& each) { return each.first == index; };
    if (std::ranges::contains(before.children, std::pair(index, spi)) || std::ranges::none_of(before.children, same))
      continue;
    tell_({.warning = false,
           .id = "tunnel.rekeyed",
           .text = name_of(one) + ": child " + one.profile().settings.children[index].name + " was rekeyed"});
  }
}

}  // namespace trunkgate
