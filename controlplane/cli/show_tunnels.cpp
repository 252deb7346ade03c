#include <algorithm>
#include <iostream>

#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/tunnel_text.hpp"

namespace trunkgate {

namespace {

severity severity_of(const std::string& state) {
  if (state == "down") return severity::problem;
  return state == "up" ? severity::fine : severity::notable;
}

// "!": packets go one way only.
std::string rate_cell(const json_object& tunnel, const char* here, const char* there) {
  if (tunnel.value("ike", json_object()).is_null()) return "";
  const auto rate = tunnel.value(here, std::uint64_t{0}), other = tunnel.value(there, std::uint64_t{0});
  return rate_text(rate) + (rate == 0 && other > 0 ? " !" : "");
}

std::string rekey_cell(const json_object& tunnel) {
  const auto seconds = tunnel.find("rekey_in_seconds");
  if (seconds == tunnel.end() || !seconds->is_number()) return "";
  return "in " + seconds_text(seconds->get<std::int64_t>());
}

std::string count_text(const std::vector<json_object>& tunnels) {
  std::string out;
  for (const auto* state : {"up", "degraded", "connecting", "down"}) {
    const auto count = std::ranges::count_if(tunnels, [&](const auto& one) { return one.value("state", "") == state; });
    if (count != 0) out += (out.empty() ? "" : ", ") + std::to_string(count) + " " + state;
  }
  return out.empty() ? "no tunnel by IKE is configured" : out;
}

std::string child_lines(const json_object& child) {
  auto out = "  child " + printable(child.value("child", "")) + ": " + child.value("state", "");
  if (!child.contains("in_bytes")) return out + "\n";
  out += ", " + child.value("mode", "") + " mode, " + child.value("suite", "");
  if (const auto group = child.value("key_exchange", ""); group != "none" && !group.empty()) out += ", " + group;
  out += "\n    " + words_text(child, "local", ", ") + " === " + words_text(child, "remote", ", ") + "\n";
  for (const auto* way : {"in", "out"}) {
    const std::string name = way;
    out += "    " + name + (name == "in" ? "   " : "  ") +
           rate_text(child.value(name + "_bits_per_second", std::uint64_t{0})) + ", " +
           std::to_string(child.value(name + "_packets", std::uint64_t{0})) + " packets, " +
           bytes_text(child.value(name + "_bytes", std::uint64_t{0})) + ", SPI " + child.value(name + "_spi", "") +
           "\n";
  }
  out += "    since " + seconds_text(child.value("age_seconds", std::int64_t{0}));
  if (const auto rekey = rekey_cell(child); !rekey.empty()) out += ", rekey " + rekey;
  return out + "\n";
}

}  // namespace

listing list_tunnels(const json_object& said, std::uint64_t now_ns) {
  using enum table::alignment;
  listing out{
      .short_view = table(
          {{"TUNNEL"}, {"STATE"}, {"PEER"}, {"UPTIME", right}, {"IN", right}, {"OUT", right}, {"REKEY"}, {"SUITE"}})};
  std::vector<std::pair<severity, std::string>> details;
  for (const auto& tunnel : said.value("tunnels", json_object::array())) {
    const auto name = printable(tunnel.value("tunnel", "")), state = tunnel.value("state", "");
    const auto age = age_since(tunnel, "since_unix_ns", now_ns);
    const bool is_up = state == "up" || state == "degraded";
    const auto nat = tunnel.value("nat", "none");
    auto words = printable(tunnel.value("reason", ""));
    if (!words.empty() && tunnel.value("trouble", "") != "none") words += " (trunkgate explain " + name + ")";
    const auto suite = tunnel.value("suite", "");
    out.short_view.add(severity_of(state), {name, is_up || age.empty() ? state : state + " " + age,
                                            tunnel.value("peer", "") + (nat == "none" ? "" : " nat"), is_up ? age : "",
                                            rate_cell(tunnel, "in_bits_per_second", "out_bits_per_second"),
                                            rate_cell(tunnel, "out_bits_per_second", "in_bits_per_second"),
                                            rekey_cell(tunnel), state == "degraded" || suite.empty() ? words : suite});
    out.something_down |= state == "down";
    out.objects.push_back(tunnel);
    details.emplace_back(severity_of(state), tunnel_detail_text(tunnel, now_ns));
  }
  std::ranges::stable_sort(details, {}, &std::pair<severity, std::string>::first);
  for (const auto& [how, text] : details) out.detail += (out.detail.empty() ? "" : "\n") + text;
  out.summary = count_text(out.objects);
  if (const auto why = said.value("data_plane", ""); !why.empty()) out.summary += "; no figures: " + printable(why);
  return out;
}

std::string tunnel_detail_text(const json_object& tunnel, std::uint64_t now_ns) {
  auto out = printable(tunnel.value("tunnel", "")) + ": " + tunnel.value("state", "");
  if (const auto age = age_since(tunnel, "since_unix_ns", now_ns); !age.empty()) out += " for " + age;
  if (const auto reason = tunnel.value("reason", ""); !reason.empty()) out += ": " + printable(reason);
  out += "\n";
  if (const auto ike = tunnel.value("ike", json_object()); ike.is_object()) {
    out += "  peer " + printable(ike.value("peer_id", "")) + " at " + ike.value("remote", "") + ":" +
           std::to_string(ike.value("remote_port", 0)) + ", we are at " + ike.value("local", "") + ":" +
           std::to_string(ike.value("local_port", 0)) + ", " + (ike.value("initiator", false) ? "we" : "the peer") +
           " began\n";
    out += "  IKE SA " + ike.value("suite", "") + ", NAT " + tunnel.value("nat", "") +
           (ike.value("mobike", false) ? ", MOBIKE" : "") +
           (ike.value("fragmentation", false) ? ", fragmentation" : "");
    if (const auto rekey = rekey_cell(ike); !rekey.empty()) out += ", rekey " + rekey;
    out += "\n";
  }
  for (const auto& child : tunnel.value("children", json_object::array())) out += child_lines(child);
  const auto counts = tunnel.value("counts", json_object::object());
  out += "  " + std::to_string(counts.value("established", 0)) + " times up, " +
         std::to_string(counts.value("failures", 0)) + " failures, " + std::to_string(counts.value("ike_rekeys", 0)) +
         " IKE SA and " + std::to_string(counts.value("child_rekeys", 0)) + " child rekeys of ours\n";
  return out;
}

}  // namespace trunkgate
