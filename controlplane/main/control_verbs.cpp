#include "controlplane/main/control_verbs.hpp"

#include <algorithm>

#include "config/plan_json.hpp"
#include "controlplane/cli/event_log.hpp"
#include "controlplane/monitor/record_report.hpp"

namespace trunkgate {

namespace {

using json = nlohmann::ordered_json;
using awaitable = boost::asio::awaitable<json>;

json failed(std::string_view reason) { return {{"error", reason}}; }
json no_tunnel(const std::string& name) { return failed("there is no tunnel by IKE named \"" + name + "\""); }

// A verb that needs not wait.
template <class Function>
control_verb at_once(Function function) {
  return [function](const nlohmann::json& request) -> awaitable { co_return function(request); };
}

void log_tunnel(const tunnel_watch::event& event) {
  log_event(event.warning ? log_level::warning : log_level::info, event.id, event.text);
}

void log_audit(const std::string& event, const std::string& text) { log_event(log_level::warning, event, text); }

// What is done for one object of the plan, in words.
std::string deed(char kind, plan_impact impact) {
  if (kind == '+') return "added";
  if (kind == '-') return "removed";
  switch (impact) {
    case plan_impact::none:
    case plan_impact::update: return "new values taken, no message sent";
    case plan_impact::rekey: return "rekeyed";
    case plan_impact::reauth: return "authenticated anew, make before break";
    case plan_impact::reconnect: return "connected anew";
    case plan_impact::restart: break;
  }
  return "the data plane starts anew";
}

json deeds_of(const plan& what) {
  auto out = json::array();
  for (const auto& tunnel : what.tunnels) {
    const bool is_all = tunnel.kind != '~' || tunnel.impact >= plan_impact::reauth;
    const bool says_more = std::ranges::any_of(tunnel.children, [](const auto& one) { return one.kind == '~'; });
    if (is_all || tunnel.impact == plan_impact::rekey || tunnel.children.empty() || !says_more)
      out.push_back({{"tunnel", tunnel.name},
                     {"did", (!is_all && tunnel.impact == plan_impact::rekey ? "IKE SA " : "") +
                                 deed(tunnel.kind, tunnel.impact)}});
    if (is_all) continue;
    for (const auto& child : tunnel.children)
      out.push_back({{"tunnel", tunnel.name}, {"child", child.name}, {"did", deed(child.kind, child.impact)}});
  }
  return out;
}

}  // namespace

control_verbs::control_verbs(control_host host)
    : host_(std::move(host)),
      reporter_(host_.engine, host_.outside),
      exports_(host_.engine, host_.outside, host_.keys, log_audit),
      watch_(host_.engine, host_.outside, log_tunnel) {}

control_verb_table control_verbs::table() {
  using given = const nlohmann::json&;
  return {{"tunnels", [this](given in) { return reporter_.tunnels(in.value("tunnel", "")); }},
          {"explain", at_once([this](given in) { return explain(in); })},
          {"up", at_once([this](given in) { return up(in); })},
          {"down", at_once([this](given in) { return down(in); })},
          {"rekey", at_once([this](given in) { return rekey(in); })},
          {"configuration", at_once([this](given) { return configuration(); })},
          {"apply", [this](given in) { return apply(in); }},
          {"debug_keys", at_once([this](given in) { return begin_export(in); })},
          {"debug_keys_next", at_once([this](given in) { return exports_.next(in.at("tunnel")); })},
          {"debug_keys_end", at_once([this](given in) {
             exports_.end(in.at("tunnel"));
             return json::object();
           })}};
}

// There are no secrets in it, only their names.
json control_verbs::configuration() const { return {{"file", host_.file}, {"text", host_.running().text}}; }

json control_verbs::explain(const request& given) const {
  const std::string name = given.at("tunnel");
  const auto* one = host_.engine.find(name);
  return one == nullptr ? no_tunnel(name) : explanation_of(host_.engine, *one, host_.outside.now());
}

json control_verbs::up(const request& given) {
  const std::string name = given.at("tunnel");
  auto* one = host_.engine.find(name);
  if (one == nullptr) return no_tunnel(name);
  if (one->profile().settings.peer.family == ip_family::none && !one->current())
    return failed(name + ": the peer's address is not configured: only the peer can begin");
  const auto failures = one->counts().failures;
  one->want();
  return {{"tunnel", name}, {"failures", failures}};
}

json control_verbs::down(const request& given) {
  const std::string name = given.at("tunnel");
  auto* one = host_.engine.find(name);
  if (one == nullptr) return no_tunnel(name);
  one->stop();
  return {{"tunnel", name}};
}

json control_verbs::rekey(const request& given) {
  const std::string name = given.at("tunnel"), child = given.value("child", "");
  auto* one = host_.engine.find(name);
  if (one == nullptr) return no_tunnel(name);
  if (!one->current()) return failed(name + " is not up (trunkgate explain " + name + ")");
  auto done = json::array();
  if (given.value("ike", false)) {
    one->rekey_ike();
    return {{"tunnel", name}, {"ike", true}, {"children", done}};
  }
  const auto& children = one->profile().settings.children;
  for (std::size_t i = 0; i < children.size(); ++i) {
    if ((!child.empty() && children[i].name != child) || !one->child_is_up(i)) continue;
    one->rekey_child(i);
    done.push_back(children[i].name);
  }
  if (!child.empty() && std::ranges::none_of(children, [&](const auto& each) { return each.name == child; }))
    return failed(name + " has no child \"" + child + "\"");
  if (done.empty()) return failed(name + ": " + (child.empty() ? "no child" : child) + " is up");
  return {{"tunnel", name}, {"ike", false}, {"children", done}};
}

awaitable control_verbs::apply(request given) {
  if (applying_) co_return failed("another change is under way");
  const std::string file = given.at("file"), text = given.at("text");
  applying_ = true;
  // A large file takes a while to read: not on the loop.
  auto wanted = co_await ike::compute(host_.outside, [&] { return load_configuration_text(file, text); });
  const auto finish = [this](json said) {
    applying_ = false;
    return said;
  };
  if (!wanted.config) co_return finish({{"error", file + " has errors"}, {"diagnostics", format_diagnostics(wanted)}});
  const auto what = make_plan(*host_.running().config, *wanted.config);
  if (what.impact == plan_impact::restart && !given.value("allow_restart", false)) {
    auto said = failed("it needs a restart of the data plane (--allow-restart); nothing was changed");
    said["plan"] = to_json(what);
    co_return finish(std::move(said));
  }
  json said{{"plan", to_json(what)}, {"done", deeds_of(what)}, {"is_start_file", file == host_.file}};
  if (what.lines.empty()) co_return finish(std::move(said));
  if (const auto taken = co_await host_.apply(std::move(wanted)); !taken)
    co_return finish(failed(taken.error().reason + "; nothing was changed"));
  co_return finish(std::move(said));
}

json control_verbs::begin_export(const request& given) {
  if (!host_.running().config->monitoring.allow_key_export)
    return failed("the configuration does not allow it (monitoring.allow_key_export)");
  const auto uid = given.value("uid", std::int64_t{-1});
  const auto begun = exports_.begin(given.at("tunnel"), std::chrono::seconds(given.at("seconds").get<std::int64_t>()),
                                    uid < 0 ? std::string("an unknown user") : "user " + std::to_string(uid));
  return begun ? json::object() : failed(begun.error().reason);
}

}  // namespace trunkgate
