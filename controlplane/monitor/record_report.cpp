#include "controlplane/monitor/record_report.hpp"

#include "controlplane/ike/wire/notify.hpp"
#include "controlplane/monitor/tunnel_state.hpp"

namespace trunkgate {

namespace {

using json = nlohmann::ordered_json;

json report_of(const ike::record_step& step) {
  return {{"exchange", step.exchange},
          {"ok", step.ok},
          {"text", step.text},
          {"took_ms", step.took.count()},
          {"sent", step.sent}};
}

json report_of(const ike::record_offer& offer) {
  return {{"what", offer.what},
          {"ours", offer.ours},
          {"theirs", offer.theirs},
          {"chosen", offer.chosen},
          {"differ_in", offer.differ_in}};
}

// "198.51.100.7" of "198.51.100.7:500", "2001:db8::7" of "2001:db8::7:500": as to_string() and a port make it.
bool is_from(const std::string& remote, const ip_address& peer) {
  const auto address = to_string(peer);
  return remote == address || remote.starts_with(address + ":");
}

}  // namespace

json unix_ns(std::chrono::system_clock::time_point when) {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  return since == 0 ? json() : json(since);
}

json report_of(const ike::tunnel& one, const ike::failed_step& step) {
  if (step.what == ike::trouble::none && step.text.empty()) return nullptr;
  return {{"trouble", ike::name(step.what)},
          {"text", step.text},
          {"path", path_of(one, step.path)},
          {"notify", step.notify == 0 ? "" : ike::notify::name(step.notify)}};
}

json report_of(const ike::tunnel& one, const ike::negotiation_record& record) {
  auto steps = json::array(), offers = json::array();
  for (const auto& step : record.steps) steps.push_back(report_of(step));
  for (const auto& offer : record.offers) offers.push_back(report_of(offer));
  return {{"begun_unix_ns", unix_ns(record.begun)},
          {"initiator", record.initiator},
          {"local", record.local},
          {"remote", record.remote},
          {"steps", std::move(steps)},
          {"offers", std::move(offers)},
          {"peer_id", record.peer_id},
          {"peer_subject", record.peer_subject},
          {"certificate_path", record.certificate_path},
          {"certificate_not_after_unix_ns", unix_ns(record.certificate_not_after)},
          {"revocation", record.revocation},
          {"notes", record.notes},
          {"failure", report_of(one, record.failure)}};
}

json explanation_of(const ike::engine& all, const ike::tunnel& one, ike::timer_clock::time_point now) {
  const auto state = state_of(one);
  const auto sa = one.current();
  json out{{"tunnel", one.profile().settings.name},
           {"state", name(state.condition)},
           {"reason", state.reason},
           {"trouble", ike::name(state.trouble)},
           {"path", state.governs},
           {"since_unix_ns", unix_ns(one.since())},
           {"failures_in_a_row", one.failures_in_a_row()},
           {"next_attempt_seconds", nullptr},
           {"current", nullptr},
           {"last_failure", nullptr},
           {"warnings", json::array()},
           {"strangers", json::array()}};
  if (const auto next = one.next_attempt())
    out["next_attempt_seconds"] =
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(*next - now).count());
  if (sa) {
    out["current"] = report_of(one, sa->record);
    out["current"]["local"] = to_string(sa->path().local.address) + ":" + std::to_string(sa->path().local.port);
    out["current"]["remote"] = to_string(sa->path().remote.address) + ":" + std::to_string(sa->path().remote.port);
  }
  if (one.last_failure()) out["last_failure"] = report_of(one, *one.last_failure());
  for (const auto& warning : one.warnings()) out["warnings"].push_back(report_of(one, warning));
  for (const auto& stranger : all.strangers())
    if (is_from(stranger.remote, one.profile().settings.peer)) out["strangers"].push_back(report_of(one, stranger));
  return out;
}

}  // namespace trunkgate
