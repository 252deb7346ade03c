#include "config/settings_text.hpp"

#include <algorithm>
#include <array>

#include "config/selector_words.hpp"

namespace trunkgate {

namespace {

std::string text(bool value) { return value ? "true" : "false"; }
std::string text(const std::string& value) { return value; }
std::string text(const ip_address& address) {
  return address.family == ip_family::none ? std::string() : to_string(address);
}
std::string text(const ip_range& range) { return range.any() ? "any" : to_string(range); }
std::string text(const ip_prefix& prefix) { return to_string(prefix); }
std::string text(const proposal_settings& proposal) { return proposal.word; }
std::string text(const number_range& range) {
  if (range == number_range{}) return "any";
  return std::to_string(range.first) + (range.first == range.last ? "" : "-" + std::to_string(range.last));
}
template <class T>
std::string text(const std::vector<T>& list) {
  std::string out;
  for (const auto& item : list) out += (out.empty() ? "" : ", ") + text(item);
  return out;
}

template <class Enumeration, std::size_t Count>
std::string word(Enumeration value, const std::array<std::string_view, Count>& words) {
  return std::string(words.at(static_cast<std::size_t>(value)));
}
std::string number_or(std::uint64_t value, std::string_view zero) {
  return value == 0 ? std::string(zero) : std::to_string(value);
}

// Powers of 1000, as they are read.
std::string quantity_text(std::uint64_t value) {
  static constexpr std::pair<std::uint64_t, char> units[] = {
      {1'000'000'000'000, 'T'}, {1'000'000'000, 'G'}, {1'000'000, 'M'}, {1'000, 'K'}};
  for (const auto& [factor, letter] : units)
    if (value != 0 && value % factor == 0) return std::to_string(value / factor) + letter;
  return number_or(value, "");
}

std::string text(const key_reference& key) {
  static constexpr std::array<std::string_view, 3> kinds{"file ", "env ", "credential "};
  return word(key.from, kinds) + key.name;
}
std::string text(const std::optional<key_reference>& key) { return key ? text(*key) : std::string(); }

std::string protocol_text(std::int16_t protocol) {
  static constexpr std::pair<std::int16_t, std::string_view> names[] = {{-1, "any"}, {1, "icmp"},       {6, "tcp"},
                                                                        {17, "udp"}, {58, "ipv6-icmp"}, {132, "sctp"}};
  for (const auto& [value, name] : names)
    if (value == protocol) return std::string(name);
  return std::to_string(protocol);
}

std::string spi_text(std::uint32_t spi) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (; spi != 0; spi >>= 4) out.insert(out.begin(), digits[spi & 15]);
  return "0x" + (out.empty() ? "0" : out);
}

// What most inner classes get is the rule, the others are exceptions.
struct dscp_texts {
  std::string rule = "copy", exceptions;
};
dscp_texts outer_dscp(const std::array<std::uint8_t, 64>& map) {
  std::array<std::size_t, 64> count{};
  std::size_t copied = 0;
  for (std::size_t i = 0; i < map.size(); ++i) {
    ++count.at(map[i]);
    copied += map[i] == i ? 1 : 0;
  }
  const auto most = std::ranges::max_element(count);
  const auto constant = static_cast<std::uint8_t>(most - count.begin());
  const bool copy = copied >= *most;
  dscp_texts out;
  if (!copy) out.rule = dscp_text(1ull << constant);
  for (std::size_t i = 0; i < map.size(); ++i)
    if (map[i] != (copy ? i : constant))
      out.exceptions +=
          (out.exceptions.empty() ? "" : ", ") + dscp_text(1ull << i) + " as " + dscp_text(1ull << map[i]);
  return out;
}

void add_limits(settings_text& out, const std::array<std::string_view, 3>& keys, const lifetime_settings& limits) {
  out.push_back({keys[0], duration_text(limits.seconds)});
  out.push_back({keys[1], quantity_text(limits.bytes)});
  out.push_back({keys[2], quantity_text(limits.packets)});
}

void add_ike(settings_text& out, const ike_settings& ike, bool there) {
  static constexpr std::array<std::string_view, 3> revocation{"off", "soft", "strict"};
  static constexpr std::array<std::string_view, 3> start{"always", "on-demand", "answer"};
  const auto add = [&](std::string_view key, std::string value) {
    out.push_back({key, there ? std::move(value) : std::string()});
  };
  const auto ppk = ike.post_quantum_key.value_or(post_quantum_key_settings{});
  add("local.id", ike.local_id);
  add("local.certificate", text(ike.certificate_files));
  add("local.key", text(ike.private_key));
  add("remote.id", ike.remote_id);
  add("remote.ca", text(ike.ca_files));
  add("remote.crl", text(ike.crl_files));
  add("remote.revocation", word(ike.revocation, revocation));
  add("psk", text(ike.psk));
  add("ike.proposals", text(ike.proposals));
  add("ike.lifetime", duration_text(ike.lifetime_seconds));
  add("ike.reauthenticate", ike.reauthenticate_seconds == 0 ? "never" : duration_text(ike.reauthenticate_seconds));
  add("ike.liveness", ike.liveness_seconds == 0 ? "off" : duration_text(ike.liveness_seconds));
  add("ike.mobike", text(ike.mobike));
  add("ike.childless", text(ike.childless));
  add("ike.encapsulation", ike.force_encapsulation ? "always" : "auto");
  add("ike.post_quantum_key.id", ppk.id);
  add("ike.post_quantum_key.key", ike.post_quantum_key ? text(ppk.key) : "");
  add("ike.post_quantum_key.required", ike.post_quantum_key ? text(ppk.required) : "");
  add("start", word(ike.start, start));
}

void add_manual(settings_text& out, const std::optional<manual_keying>& manual) {
  const auto keys = manual.value_or(manual_keying{});
  const auto add = [&](std::string_view key, std::string value) {
    out.push_back({key, manual ? std::move(value) : std::string()});
  };
  add("manual.esp", std::string(info(keys.suite).name) + (keys.esn ? "-esn" : ""));
  add("manual.out.spi", spi_text(keys.out.spi));
  add("manual.out.key", text(keys.out.key));
  add("manual.in.spi", spi_text(keys.in.spi));
  add("manual.in.key", text(keys.in.key));
}

}  // namespace

std::string duration_text(std::uint64_t seconds) {
  static constexpr std::pair<std::uint64_t, char> units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
  for (const auto& [factor, letter] : units)
    if (seconds != 0 && seconds % factor == 0) return std::to_string(seconds / factor) + letter;
  return {};
}

settings_text texts_of(const monitoring_settings& monitoring) {
  return {{"allow_key_export", text(monitoring.allow_key_export)}};
}

settings_text texts_of(const gateway_settings& gateway) {
  static constexpr std::array<std::string_view, 3> polls{"auto", "always", "never"};
  return {{"name", gateway.name},
          {"workers", number_or(gateway.workers, "auto")},
          {"busy_poll", word(gateway.busy_poll, polls)},
          {"hugepages", gateway.hugepages ? "auto" : "never"},
          {"buffers", number_or(gateway.buffers, "auto")},
          {"flow_entries", std::to_string(gateway.flow_entries)},
          {"lab", text(gateway.lab)},
          {"legacy", text(gateway.legacy)}};
}

settings_text texts_of(const port_settings& port) {
  static constexpr std::array<std::string_view, 9> drivers{"auto", "af_packet", "af_xdp", "vfio", "pcap",
                                                           "ring", "null",      "memif",  "tap"};
  return {{"device", port.device},
          {"addresses", text(port.addresses)},
          {"mtu", number_or(port.mtu, "")},
          {"vlan", number_or(port.vlan, "")},
          {"driver", word(port.driver, drivers)}};
}

settings_text texts_of(const tunnel_settings& tunnel) {
  settings_text out{{"local.address", text(tunnel.local)},
                    {"peer", tunnel.peer.family == ip_family::none ? "any" : text(tunnel.peer)}};
  add_ike(out, tunnel.ike.value_or(ike_settings{}), tunnel.ike.has_value());
  const auto& udp = tunnel.udp_encapsulation;
  const auto interface = tunnel.interface.value_or(tunnel_interface_settings{});
  out.push_back({"udp_encapsulation", text(udp.enabled)});
  out.push_back({"udp_encapsulation.local_port", udp.enabled ? std::to_string(udp.local_port) : ""});
  out.push_back({"udp_encapsulation.peer_port", udp.enabled ? std::to_string(udp.peer_port) : ""});
  out.push_back({"interface.name", interface.name});
  out.push_back({"interface.addresses", text(interface.addresses)});
  return out;
}

settings_text texts_of(const child_settings& child) {
  static constexpr std::array<std::string_view, 2> ecn{"normal", "compatibility"};
  static constexpr std::array<std::string_view, 3> df{"copy", "set", "clear"};
  const auto dscp = outer_dscp(child.outer.dscp);
  settings_text out{{"mode", child.mode == child_mode::tunnel ? "tunnel" : "transport"},
                    {"local", text(child.local)},
                    {"remote", text(child.remote)},
                    {"protocol", protocol_text(child.protocol)},
                    {"local_port", text(child.local_ports)},
                    {"remote_port", text(child.remote_ports)},
                    {"icmp", child.icmp},
                    {"dscp", dscp_text(child.dscp)},
                    {"replay_window", std::to_string(child.replay_window)},
                    {"tfc_padding", child.tfc_padding_to_mtu ? "mtu" : number_or(child.tfc_padding, "off")},
                    {"outer.dscp", dscp.rule},
                    {"outer.dscp_map", dscp.exceptions},
                    {"outer.ecn", word(child.outer.ecn, ecn)},
                    {"outer.df", word(child.outer.df, df)},
                    {"outer.hop_limit", std::to_string(child.outer.hop_limit)},
                    {"outer.flow_label", child.outer.flow_label ? std::to_string(*child.outer.flow_label) : "copy"}};
  add_limits(out, {"lifetime.soft.time", "lifetime.soft.bytes", "lifetime.soft.packets"}, child.soft);
  add_limits(out, {"lifetime.hard.time", "lifetime.hard.bytes", "lifetime.hard.packets"}, child.hard);
  out.push_back({"esp", text(child.esp)});
  out.push_back({"per_worker", text(child.per_worker)});
  add_manual(out, child.manual);
  return out;
}

settings_text texts_of(const policy_settings& rule) {
  static constexpr std::array<std::string_view, 3> actions{"bypass", "discard", "protect"};
  return {{"name", rule.name},
          {"from", rule.from},
          {"to", rule.to},
          {"source", text(rule.source)},
          {"destination", text(rule.destination)},
          {"protocol", protocol_text(rule.protocol)},
          {"source_ports", text(rule.source_ports)},
          {"destination_ports", text(rule.destination_ports)},
          {"icmp", rule.icmp},
          {"dscp", dscp_text(rule.dscp)},
          {"action", word(rule.action, actions)},
          {"both_ways", text(rule.both_ways)}};
}

std::string text_of(const route_settings& route) {
  return to_string(route.to) + (route.via.family == ip_family::none ? "" : " via " + to_string(route.via)) +
         (route.port.empty() ? "" : " by " + route.port);
}

}  // namespace trunkgate
