#include <algorithm>
#include <cstdio>

#include "config/selector_words.hpp"
#include "controlplane/cli/event_text.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

struct sa_view {
  severity how;
  std::string_view state, reason;
};

std::string_view expired_text(api::sa_limit by) {
  switch (by) {
    case api::sa_limit::packets: return "its hard limit of packets is reached: it waits to be replaced";
    case api::sa_limit::bytes: return "its hard limit of bytes is reached: it waits to be replaced";
    default: return "its time is over: it waits to be replaced";
  }
}

// What the figures say about the SA; only the first three are trouble.
sa_view judge(const api::sa_status& sa) {
  if (sa.expired != api::sa_limit::none && sa.expired != api::sa_limit::sequence)
    return {severity::problem, "expired", expired_text(sa.expired)};
  const auto last = sa.esn != 0 ? UINT64_MAX : UINT32_MAX;  // RFC 4303 3.3.3: the number must not cycle
  if (sa.direction == api::sa_direction::outbound && sa.sequence >= last)
    return {severity::problem, "down", "its sequence numbers are used up: give it a new key"};
  if (sa.direction == api::sa_direction::inbound && sa.packets == 0 && sa.integrity_failed > 0)
    return {severity::problem, "down", "no packet passes its integrity check: the peer has another key or suite"};
  if (sa.softened != api::sa_limit::none)
    return {severity::notable, "up", "its soft lifetime is over: it should be replaced"};
  if (sa.integrity_failed > 0) return {severity::notable, "up", "some packets failed their integrity check"};
  if (sa.selector_mismatch > 0) return {severity::notable, "up", "the peer sends packets outside the child's networks"};
  if (sa.packets == 0) return {severity::fine, "idle", ""};
  return {severity::fine, "up", ""};
}

std::uint64_t drops(const api::sa_status& sa) {
  return sa.replayed + sa.integrity_failed + sa.selector_mismatch + sa.misdirected + sa.malformed + sa.after_expiry +
         sa.other_drops;
}

json_object ranges(const std::array<ip_range, api::ranges_per_side>& all, std::uint16_t count) {
  auto out = json_object::array();
  for (std::size_t i = 0; i < std::min<std::size_t>(count, all.size()); ++i) out.push_back(to_string(all[i]));
  return out;
}

std::string_view direction_text(api::sa_direction direction) {
  return direction == api::sa_direction::outbound ? "out" : "in";
}

std::string suite_text(const api::sa_status& sa) {
  const auto index = static_cast<std::size_t>(sa.suite);
  auto name = index < esp_suite_count ? std::string(info(sa.suite).name) : "unknown";
  return name + (sa.esn != 0 ? " esn" : "") + (sa.udp_encapsulation != 0 ? " udp" : "");
}

std::string spi_text(std::uint32_t spi) {
  char buffer[16];
  std::snprintf(buffer, sizeof buffer, "0x%08x", spi);
  return buffer;
}

json_object limits(const api::lifetime_limits& all) {
  return {{"packets", all.packets}, {"bytes", all.bytes}, {"seconds", all.seconds}};
}

// Only what is not as it came.
json_object outer(const api::outer_header& header) {
  constexpr std::string_view df_names[] = {"copy", "set", "clear"};
  const auto df = static_cast<std::size_t>(header.df);
  auto dscp = json_object::object();
  for (std::size_t i = 0; i < header.dscp.size(); ++i)
    if (header.dscp[i] != i) dscp[std::to_string(i)] = header.dscp[i];
  json_object flow_label = header.flow_label;
  if (header.flow_label == api::flow_label_copy) flow_label = "copy";
  return {{"dscp", dscp},
          {"ecn", header.ecn == api::ecn_mode::normal ? "normal" : "compatibility"},
          {"df", df < std::size(df_names) ? df_names[df] : "unknown"},
          {"hop_limit", header.hop_limit},
          {"flow_label", flow_label}};
}

json_object tfc_text(std::uint16_t padding) {
  if (padding == api::tfc_padding_to_mtu) return "mtu";
  return padding == 0 ? json_object("off") : json_object(padding);
}

// RFC 4303 3.3.3: the number must not cycle.
std::uint64_t sequence_left(const api::sa_status& sa) {
  const std::uint64_t last = sa.esn != 0 ? UINT64_MAX : UINT32_MAX;
  return sa.direction == api::sa_direction::outbound && sa.sequence < last ? last - sa.sequence : 0;
}

// Outbound: how many numbers are left, and for how long at the rate since the SA was installed.
void add_sequence_space(json_object& out, const api::sa_status& sa, std::uint64_t now_ns) {
  out["sequence_left"] = nullptr;
  out["sequence_left_seconds"] = nullptr;
  if (sa.direction != api::sa_direction::outbound) return;
  out["sequence_left"] = sequence_left(sa);
  const auto age = now_ns > sa.installed_unix_ns ? now_ns - sa.installed_unix_ns : 0;
  if (const auto seconds = exhaustion_seconds(sequence_left(sa), sa.packets, age))
    out["sequence_left_seconds"] = *seconds;
}

json_object object(const api::sa_status& sa) {
  const auto view = judge(sa);
  const auto index = static_cast<std::size_t>(sa.suite);
  return {{"tunnel", sa.tunnel.view()},
          {"child", sa.child.view()},
          {"interface", sa.interface.view()},
          {"direction", direction_text(sa.direction)},
          {"state", view.state},
          {"reason", view.reason},
          {"mode", sa.mode == api::sa_mode::tunnel ? "tunnel" : "transport"},
          {"expired_by", limit_name(sa.expired)},
          {"softened_by", limit_name(sa.softened)},
          {"soft", limits(sa.soft)},
          {"hard", limits(sa.hard)},
          {"installed_seconds", sa.installed_seconds},
          {"suite", index < esp_suite_count ? info(sa.suite).name : "unknown"},
          {"esn", sa.esn != 0},
          {"udp_encapsulation", sa.udp_encapsulation != 0},
          {"local_port", sa.local_port},
          {"remote_port", sa.remote_port},
          {"spi", spi_text(sa.spi)},
          {"local", to_string(sa.local)},
          {"remote", to_string(sa.remote)},
          {"local_ranges", ranges(sa.local_ranges, sa.local_count)},
          {"remote_ranges", ranges(sa.remote_ranges, sa.remote_count)},
          {"protocol", protocol_text(sa.protocol)},
          {"local_ports", ports_text(sa.protocol, sa.local_ports)},
          {"remote_ports", ports_text(sa.protocol, sa.remote_ports)},
          {"icmp", icmp_selector_text(sa.protocol, sa.local_ports)},
          {"dscp", dscp_text(sa.dscp)},
          {"replay_window", sa.replay_window},
          {"tfc_padding", tfc_text(sa.tfc_padding)},
          {"outer", outer(sa.outer)},
          {"worker", sa.worker},
          {"engine", sa.engine.view()},
          {"installed_unix_ns", sa.installed_unix_ns},
          {"last_used_unix_ns", sa.last_used_unix_ns},
          {"packets", sa.packets},
          {"bytes", sa.bytes},
          {"sequence", sa.sequence},
          {"replayed", sa.replayed},
          {"integrity_failed", sa.integrity_failed},
          {"selector_mismatch", sa.selector_mismatch},
          {"misdirected", sa.misdirected},
          {"malformed", sa.malformed},
          {"dummies", sa.dummies},
          {"after_expiry", sa.after_expiry},
          {"other_drops", sa.other_drops},
          {"path_mtu", sa.path_mtu},
          {"path_mtu_age_ms", sa.path_mtu_age_ms},
          {"path_mtu_learned", sa.path_mtu_learned},
          {"path_mtu_refused", sa.path_mtu_refused}};
}

}  // namespace

listing list_sas(std::span<const api::sa_status> sas, std::uint64_t now_ns) {
  using enum table::alignment;
  listing out{.short_view = table({{"TUNNEL"},
                                   {"CHILD"},
                                   {"DIR"},
                                   {"STATE"},
                                   {"SUITE"},
                                   {"PACKETS", right},
                                   {"BYTES", right},
                                   {"DROPS", right},
                                   {"WORKER", right},
                                   {"USED", right},
                                   {"REASON"}})};
  std::size_t down = 0;
  std::vector<std::pair<severity, std::string>> details;
  for (const auto& sa : sas) {
    const auto view = judge(sa);
    down += view.how == severity::problem ? 1 : 0;
    std::string reason(view.reason);
    if (!reason.empty()) reason += " (trunkgate show sas " + std::string(sa.tunnel.view()) + " detail)";
    if (reason.empty() && sa.path_mtu != 0)
      reason =
          "path MTU " + std::to_string(sa.path_mtu) + ", told " + age_text(sa.path_mtu_age_ms * 1'000'000) + " ago";
    const auto used = sa.last_used_unix_ns;
    out.short_view.add(view.how, {std::string(sa.tunnel.view()), std::string(sa.child.view()),
                                  std::string(direction_text(sa.direction)), std::string(view.state), suite_text(sa),
                                  std::to_string(sa.packets), bytes_text(sa.bytes), std::to_string(drops(sa)),
                                  std::to_string(sa.worker),
                                  used == 0 ? "" : age_text(now_ns > used ? now_ns - used : 0) + " ago", reason});
    out.objects.push_back(object(sa));
    add_sequence_space(out.objects.back(), sa, now_ns);
    details.emplace_back(view.how, sa_detail_text(out.objects.back(), now_ns));
  }
  std::ranges::stable_sort(details, {}, &std::pair<severity, std::string>::first);  // problems first
  for (const auto& [how, text] : details) out.detail += (out.detail.empty() ? "" : "\n") + text;
  out.something_down = down > 0;
  out.summary = std::to_string(sas.size()) + " SAs, " + std::to_string(down) + " down";
  return out;
}

}  // namespace trunkgate
