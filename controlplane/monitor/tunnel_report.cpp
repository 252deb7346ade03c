#include "controlplane/monitor/tunnel_report.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "controlplane/monitor/record_report.hpp"
#include "controlplane/monitor/tunnel_state.hpp"

namespace trunkgate {

namespace {

using json = nlohmann::ordered_json;
using namespace std::chrono_literals;
constexpr auto shortest_span = 1s;  // of a rate

std::string spi_text(std::uint32_t spi) {
  std::array<char, 16> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "0x%08x", spi);
  return buffer.data();
}
// As tshark writes IKE's.
std::string spi_text(std::uint64_t spi) {
  std::array<char, 20> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%016llx", static_cast<unsigned long long>(spi));
  return buffer.data();
}

std::string_view nat_word(const ike::ike_sa& sa) {
  if (sa.nat_here && sa.nat_there) return "both";
  if (sa.nat_here) return "here";
  return sa.nat_there ? "there" : "none";
}

std::string_view child_word(ike::child_state state) {
  switch (state) {
    case ike::child_state::up: return "up";
    case ike::child_state::rekeying: return "rekeying";
    case ike::child_state::deleting: return "deleting";
    case ike::child_state::gone: break;
  }
  return "gone";
}

std::string method_word(std::uint16_t method) {
  if (method == transform_id::ke_none) return "none";
  return transform_name({.type = transform_type::key_exchange, .id = method, .key_bits = 0});
}

std::string key_exchange_words(const ike::settled& chosen) {
  auto out = method_word(chosen.key_exchange());
  for (const auto& more : chosen.additional()) out += "+" + method_word(more.method);
  return out;
}

std::string esp_words(const ike::child& pair) {
  return std::string(info(pair.choice.suite).name) + (pair.choice.esn ? " esn" : "");
}

json seconds_until(const ike::timer& timer, ike::timer_clock::time_point now) {
  if (!timer.waiting()) return nullptr;
  return std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(timer.when() - now).count());
}

json ranges(const std::vector<ip_range>& all) {
  auto out = json::array();
  for (const auto& one : all) out.push_back(to_string(one));
  return out;
}

json ike_report(const ike::ike_sa& sa, ike::timer_clock::time_point now, std::chrono::system_clock::time_point wall) {
  const auto since = wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(now - sa.since);
  return {{"initiator", sa.initiator},
          {"initiator_spi", spi_text(sa.messages->initiator_spi())},
          {"responder_spi", spi_text(sa.messages->responder_spi())},
          {"since_unix_ns", unix_ns(since)},
          {"suite", ike::proposal_word(sa.chosen.transforms)},
          {"peer_id", sa.record.peer_id},
          {"local", to_string(sa.path().local.address)},
          {"local_port", sa.path().local.port},
          {"remote", to_string(sa.path().remote.address)},
          {"remote_port", sa.path().remote.port},
          {"mobike", sa.mobike},
          {"fragmentation", sa.messages->fragments_allowed()},
          {"rekey_in_seconds", seconds_until(sa.rekey_timer, now)},
          {"reauthenticate_in_seconds", seconds_until(sa.reauthentication_timer, now)}};
}

json counts_report(const ike::tunnel_counts& counts) {
  return {{"attempts", counts.attempts},         {"failures", counts.failures},
          {"established", counts.established},   {"ike_rekeys", counts.ike_rekeys},
          {"child_rekeys", counts.child_rekeys}, {"reauthentications", counts.reauthentications}};
}

// The soonest of all rekeys.
json next_rekey(const ike::ike_sa& sa, ike::timer_clock::time_point now) {
  auto out = seconds_until(sa.rekey_timer, now);
  for (const auto& pair : sa.children) {
    const auto of_child = seconds_until(pair->rekey_timer, now);
    if (!of_child.is_null() && (out.is_null() || of_child < out)) out = of_child;
  }
  return out;
}

}  // namespace

boost::asio::awaitable<json> tunnel_reporter::tunnels(std::string wanted) {
  if (!wanted.empty() && all_.find(wanted) == nullptr)
    co_return json{{"error", "there is no tunnel by IKE named \"" + wanted + "\""}};
  const auto is_meant = [&wanted](const ike::tunnel& one) {
    return wanted.empty() || one.profile().settings.name == wanted;
  };
  std::vector<std::uint32_t> spis;
  for (const auto* one : all_.tunnels())
    if (is_meant(*one))
      for (const auto& sa : one->sas())
        for (const auto& pair : sa->children) spis.push_back(pair->inbound_spi);
  json out{{"tunnels", json::array()}, {"data_plane", ""}};
  uses known;
  if (!spis.empty()) {
    if (const auto use = co_await outside_.sink().use(spis); use) {
      for (std::size_t i = 0; i < std::min(spis.size(), use->size()); ++i)
        if ((*use)[i]) known[spis[i]] = *(*use)[i];
    } else {
      out["data_plane"] = use.error().reason;
    }
  }
  // What was there before the data plane answered may be gone.
  for (const auto* one : all_.tunnels())
    if (is_meant(*one)) out["tunnels"].push_back(report(*one, known));
  if (wanted.empty()) std::erase_if(samples_, [&](const auto& each) { return !known.contains(each.first); });
  co_return out;
}

json tunnel_reporter::report(const ike::tunnel& one, const uses& use) {
  const auto state = state_of(one);
  const auto sa = one.current();
  const auto& settings = one.profile().settings;
  const auto now = outside_.now();
  rates sum;
  auto all_children = children(one, use, sum);
  std::string suite;
  if (sa) {
    if (!sa->children.empty()) suite = esp_words(*sa->children.front()) + ", ";
    suite += key_exchange_words(sa->chosen);
  }
  json out{{"tunnel", settings.name},
           {"state", name(state.condition)},
           {"since_unix_ns", unix_ns(one.since())},
           {"peer", settings.peer.family == ip_family::none ? "any" : to_string(settings.peer)},
           {"nat", sa ? nat_word(*sa) : "none"},
           {"suite", suite},
           {"rekey_in_seconds", sa ? next_rekey(*sa, now) : json()},
           {"in_bits_per_second", std::llround(sum.in)},
           {"out_bits_per_second", std::llround(sum.out)},
           {"reason", state.reason},
           {"trouble", ike::name(state.trouble)},
           {"path", state.governs},
           {"wanted", one.wanted()},
           {"failures_in_a_row", one.failures_in_a_row()},
           {"next_attempt_seconds", nullptr},
           {"ike", sa ? ike_report(*sa, now, outside_.wall_time()) : json()},
           {"children", std::move(all_children)},
           {"counts", counts_report(one.counts())}};
  // Where it really is: a peer that moved, or that is known by its identity only.
  if (sa) out["peer"] = to_string(sa->path().remote.address);
  if (const auto next = one.next_attempt())
    out["next_attempt_seconds"] =
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::seconds>(*next - now).count());
  return out;
}

json tunnel_reporter::children(const ike::tunnel& one, const uses& use, rates& sum) {
  const auto& configured = one.profile().settings.children;
  auto out = json::array();
  for (std::size_t i = 0; i < configured.size(); ++i) {
    bool is_there = false;
    for (const auto& sa : one.sas())
      for (const auto& pair : sa->children) {
        if (pair->index != i) continue;
        is_there = true;
        const auto selectors = ike::to_sa_selectors(pair->selectors);
        const auto found = use.find(pair->inbound_spi);
        const auto known = found == use.end() ? sa_use() : found->second;
        const auto speed = found == use.end() ? rates() : rates_of(*pair, known);
        sum.in += speed.in;
        sum.out += speed.out;
        out.push_back(
            {{"child", configured[i].name},
             {"state", child_word(pair->state)},
             {"suite", esp_words(*pair)},
             {"key_exchange", method_word(pair->key_exchange)},
             {"mode", pair->mode == child_mode::tunnel ? "tunnel" : "transport"},
             {"local", ranges(selectors.local)},
             {"remote", ranges(selectors.remote)},
             {"in_spi", spi_text(pair->inbound_spi)},
             {"out_spi", spi_text(pair->outbound_spi)},
             {"age_seconds", std::chrono::duration_cast<std::chrono::seconds>(outside_.now() - pair->since).count()},
             {"rekey_in_seconds", seconds_until(pair->rekey_timer, outside_.now())},
             {"in_bits_per_second", std::llround(speed.in)},
             {"out_bits_per_second", std::llround(speed.out)},
             {"in_packets", known.inbound_packets},
             {"in_bytes", known.inbound_bytes},
             {"out_packets", known.outbound_packets},
             {"out_bytes", known.outbound_bytes}});
      }
    if (!is_there) out.push_back({{"child", configured[i].name}, {"state", "down"}});
  }
  return out;
}

tunnel_reporter::rates tunnel_reporter::rates_of(const ike::child& pair, const sa_use& use) {
  const auto now = outside_.now();
  auto& last = samples_.try_emplace(pair.inbound_spi, sample{.at = pair.since, .use = {}, .last = {}}).first->second;
  const std::chrono::duration<double> span = now - last.at;
  if (span < shortest_span) return last.last;
  const auto bits = [&](std::uint64_t after, std::uint64_t before) {
    return 8.0 * static_cast<double>(after > before ? after - before : 0) / span.count();
  };
  last = {.at = now,
          .use = use,
          .last = {.in = bits(use.inbound_bytes, last.use.inbound_bytes),
                   .out = bits(use.outbound_bytes, last.use.outbound_bytes)}};
  return last.last;
}

}  // namespace trunkgate
