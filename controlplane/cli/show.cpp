#include "controlplane/cli/show.hpp"

#include <algorithm>
#include <iostream>

#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/text.hpp"
#include "controlplane/cli/tunnel_text.hpp"
#include "dataplane/api/run_directory.hpp"
#include "dataplane/core/drop_reason.hpp"

namespace trunkgate {

namespace {

using api::record_kind;

template <class Record>
result<std::vector<Record>> fetch(api::channel& channel, record_kind kind) {
  std::vector<Record> records;
  auto dumped = channel.dump<Record>(kind, [&records](const Record& record) { records.push_back(record); });
  if (!dumped) return std::unexpected(dumped.error());
  return records;
}

// Fetches, keeps what `matches` the wanted name, and lists it.
template <class Record, class Matches, class List>
result<listing> fetch_and_list(api::channel& channel, record_kind kind, std::string_view wanted, Matches matches,
                               List list) {
  auto records = fetch<Record>(channel, kind);
  if (!records) return std::unexpected(records.error());
  if (!wanted.empty()) {
    std::erase_if(*records, [&](const Record& record) { return !matches(record); });
    if (records->empty()) return failure("there is none named \"" + std::string(wanted) + "\"");
  }
  return list(*records);
}

result<listing> fetch_ports(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::port_status>(
      channel, record_kind::ports, wanted, [&](const auto& p) { return p.configured.port.view() == wanted; },
      [](const auto& all) { return list_ports(all); });
}

result<listing> fetch_sas(api::channel& channel, std::string_view wanted) {
  auto matches = [&](const api::sa_status& sa) {
    return sa.tunnel.view() == wanted || std::string(sa.tunnel.view()) + "/" + std::string(sa.child.view()) == wanted;
  };
  return fetch_and_list<api::sa_status>(channel, record_kind::sas, wanted, matches,
                                        [](const auto& all) { return list_sas(all, now_unix_ns()); });
}

result<listing> fetch_policies(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::policy_status>(
      channel, record_kind::policies, wanted, [&](const auto& p) { return p.configured.policy.view() == wanted; },
      [](const auto& all) { return list_policies(all); });
}

result<listing> fetch_routes(api::channel& channel, std::string_view wanted) {
  auto matches = [&](const api::route_status& r) {
    return to_string(r.destination) == wanted || r.port.view() == wanted;
  };
  return fetch_and_list<api::route_status>(channel, record_kind::routes, wanted, matches,
                                           [](const auto& all) { return list_routes(all); });
}

result<listing> fetch_counters(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::stage_status>(
      channel, record_kind::stages, wanted, [&](const auto& s) { return s.stage.view() == wanted; },
      [](const auto& all) { return list_counters(all); });
}

result<listing> fetch_drops(api::channel& channel, std::string_view wanted) {
  auto matches = [&](const api::drop_status& d) {
    return d.reason < drop_reason_count && info(static_cast<drop_reason>(d.reason)).name == wanted;
  };
  // Only reasons that occurred are dumped: one that did not is known all the same.
  if (!wanted.empty() && std::ranges::find(drop_reasons, wanted, &drop_reason_info::name) == drop_reasons.end())
    return failure("there is no drop reason \"" + std::string(wanted) + "\"");
  auto records = fetch<api::drop_status>(channel, record_kind::drops);
  if (!records) return std::unexpected(records.error());
  if (!wanted.empty()) std::erase_if(*records, [&](const auto& drop) { return !matches(drop); });
  return list_drops(*records);
}

result<listing> fetch_workers(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::worker_status>(
      channel, record_kind::workers, wanted, [&](const auto& w) { return std::to_string(w.worker) == wanted; },
      [](const auto& all) { return list_workers(all); });
}

result<listing> fetch_algorithms(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::algorithm_status>(
      channel, record_kind::algorithms, wanted, [&](const auto& a) { return a.algorithm.view() == wanted; },
      [](const auto& all) { return list_algorithms(all); });
}

result<listing> fetch_events(api::channel& channel, std::string_view wanted) {
  return fetch_and_list<api::event>(
      channel, record_kind::events, wanted, [&](const api::event& event) { return event.tunnel.view() == wanted; },
      [](const auto& all) { return list_events(all, now_unix_ns()); });
}

result<listing> fetch_gateway(api::channel& channel, std::string_view) {
  auto records = fetch<api::gateway_status>(channel, record_kind::gateway);
  if (!records) return std::unexpected(records.error());
  if (records->empty()) return failure("the data plane has no configuration yet");
  return list_gateway(records->front(), now_unix_ns());
}

constexpr show_subject subjects[] = {
    {"ports", "port", "name, device, path, state, addresses, traffic", fetch_ports},
    {"tunnels", "tunnel", "tunnels that are keyed by IKE: state, rates, the reason of each that is not up", nullptr},
    {"sas", "tunnel", "security associations by tunnel and child", fetch_sas},
    {"policies", "policy", "the operator's rules and how many flows matched", fetch_policies},
    {"routes", "route", "the forwarding table and its next hops", fetch_routes},
    {"counters", "stage", "packets, bursts and cycles per worker and stage", fetch_counters},
    {"drops", "reason", "why packets did not go on", fetch_drops},
    {"algorithms", "suite", "which engine computes what", fetch_algorithms},
    {"workers", "worker", "how busy each packet worker is", fetch_workers},
    {"events", "tunnel", "what happened of late: lifetimes, sequence numbers, unknown SPIs", fetch_events},
    {"gateway", "gateway", "the data plane process itself", fetch_gateway},
};

// What trunkgated knows, and the data plane does not.
result<listing> fetch_tunnels(const arguments& given, const std::string& wanted) {
  auto daemon = control_client::connect(given);
  if (!daemon) return std::unexpected(daemon.error());
  const auto said = daemon->ask({{"verb", "tunnels"}, {"tunnel", wanted}});
  if (!said) return std::unexpected(said.error());
  return list_tunnels(*said, now_unix_ns());
}

result<listing> fetch(const show_subject& subject, const arguments& given, const std::string& wanted) {
  if (subject.list == nullptr) return fetch_tunnels(given, wanted);
  auto channel =
      api::channel::connect(given.value("socket", api::socket_in(api::run_directory(given.value("run-dir")))));
  if (!channel) return failure(channel.error().reason + "; is it running? (trunkgate run)");
  auto listed = subject.list(*channel, wanted);
  if (!listed) return failure(std::string(subject.name) + ": " + listed.error().reason);
  return listed;
}

int fail(const std::string& reason) {
  std::cerr << "trunkgate show: " << reason << "\n";
  return exit_failed;
}

}  // namespace

std::span<const show_subject> show_subjects() { return subjects; }

int run_show(const arguments& given) {
  const auto* subject = std::ranges::find(subjects, std::string_view(given.words.front()), &show_subject::name);
  if (subject == std::end(subjects)) return fail("there is no \"" + given.words.front() + "\" (trunkgate help show)");
  std::vector<std::string> names(given.words.begin() + 1, given.words.end());
  const bool detail = !names.empty() && names.back() == "detail";
  if (detail) names.pop_back();
  if (names.size() > 1) return fail("one " + std::string(subject->one) + " at a time (trunkgate help show)");

  const auto listed = fetch(*subject, given, names.empty() ? "" : names.front());
  if (!listed) return fail(listed.error().reason);
  if (given.has("json")) {
    std::cout << json_text(listed->objects);
  } else if (detail) {
    std::cout << (listed->detail.empty() ? detail_text(listed->objects) : listed->detail);
  } else {
    std::cout << listed->short_view.text(terminal_style(given));
    if (!listed->summary.empty()) std::cout << listed->summary << "\n";
  }
  return listed->something_down ? exit_something_down : exit_well;
}

}  // namespace trunkgate
