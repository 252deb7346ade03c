#include "controlplane/monitor/tunnel_state.hpp"

#include <algorithm>

namespace trunkgate {

namespace {

tunnel_state made(tunnel_condition condition, std::string reason = {}, std::string governs = {},
                  ike::trouble trouble = ike::trouble::none) {
  return {.condition = condition, .trouble = trouble, .reason = std::move(reason), .governs = std::move(governs)};
}

tunnel_state of_failure(const ike::tunnel& one, tunnel_condition condition, const ike::failed_step& why) {
  return made(condition, why.text, path_of(one, why.path), why.what);
}

tunnel_state without_ike_sa(const ike::tunnel& one) {
  using enum tunnel_condition;
  const bool opens =
      std::ranges::any_of(one.sas(), [](const auto& sa) { return sa->state == ike::ike_state::opening; });
  const auto* failure = one.last_failure();
  if (one.wanted() && failure) return of_failure(one, down, failure->failure);
  if (opens) return made(connecting, "the first attempt is under way");
  if (one.failures_in_a_row() > 0 && failure) return of_failure(one, down, failure->failure);
  const auto path = path_of(one, "start");
  switch (one.profile().ike().start) {
    case start_mode::answer: return made(down, "waits for the peer to begin", path);
    case start_mode::on_demand: return made(down, "waits for a packet that wants it", path);
    case start_mode::always: break;
  }
  if (one.profile().settings.peer.family == ip_family::none)
    return made(down, "waits for the peer, whose address is not configured", path_of(one, "peer"));
  return made(down, "closed by the operator", {}, ike::trouble::closed_by_us);
}

}  // namespace

std::string_view name(tunnel_condition condition) {
  switch (condition) {
    case tunnel_condition::up: return "up";
    case tunnel_condition::degraded: return "degraded";
    case tunnel_condition::connecting: return "connecting";
    case tunnel_condition::down: break;
  }
  return "down";
}

std::string path_of(const ike::tunnel& one, const std::string& path) {
  return path.empty() ? path : "tunnels." + one.profile().settings.name + "." + path;
}

tunnel_state state_of(const ike::tunnel& one) {
  const auto sa = one.current();
  if (!sa) return without_ike_sa(one);
  const auto& children = one.profile().settings.children;
  // An IKE SA alone carries nothing.
  bool carries = children.empty();
  for (std::size_t i = 0; i < children.size(); ++i) carries |= one.child_is_up(i);
  const auto worse = carries ? tunnel_condition::degraded : tunnel_condition::down;
  if (!one.warnings().empty()) return of_failure(one, worse, one.warnings().front());
  for (std::size_t i = 0; i < children.size(); ++i) {
    if (one.child_is_up(i)) continue;
    if (sa->record.failure.what != ike::trouble::none) return of_failure(one, worse, sa->record.failure);
    return made(carries ? worse : tunnel_condition::connecting, "child \"" + children[i].name + "\" is not up",
                path_of(one, "children." + children[i].name));
  }
  return made(tunnel_condition::up);
}

}  // namespace trunkgate
