#include <algorithm>
#include <utility>

#include "config/object_reader.hpp"

namespace trunkgate {

namespace {

constexpr std::uint64_t default_child_lifetime_seconds = 3600;

key_reference read_key_reference(const object_reader& key) {
  key_reference reference;
  reference.path = key.path();
  static constexpr std::pair<std::string_view, key_reference::kind> kinds[] = {
      {"file", key_reference::kind::file},
      {"env", key_reference::kind::environment},
      {"credential", key_reference::kind::credential}};
  for (auto [word, kind] : kinds) {
    if (!key.has(word)) continue;
    reference.from = kind;
    reference.name = key.text(word);
  }
  return reference;
}

std::optional<key_reference> read_optional_key(const object_reader& in, std::string_view key) {
  if (!in.given(key)) return std::nullopt;
  return read_key_reference(in.inner(key));
}

manual_sa read_manual_sa(const object_reader& in) {
  return {in.number<std::uint32_t>("spi"), read_key_reference(in.inner("key"))};
}

manual_keying read_manual(const object_reader& in) {
  auto name = in.text("esp");
  bool esn = name.ends_with("-esn");
  if (esn) name.remove_suffix(4);
  return {find_esp_suite(name).value_or(esp_suite::aes256gcm16), esn, read_manual_sa(in.inner("out")),
          read_manual_sa(in.inner("in"))};
}

outer_settings read_outer(const object_reader& in) {
  outer_settings outer{.ecn = in.choice<outer_ecn>("ecn"),
                       .df = in.choice<outer_df>("df"),
                       .hop_limit = in.number<std::uint8_t>("hop_limit"),
                       .flow_label = std::nullopt};
  if (in.text("flow_label") != "copy") outer.flow_label = in.number<std::uint32_t>("flow_label");
  const auto one_for_all = parse_dscp(in.text("dscp"));
  for (std::size_t i = 0; i < outer.dscp.size(); ++i)
    outer.dscp[i] = one_for_all.value_or(static_cast<std::uint8_t>(i));
  in.each("dscp_map", [&](const std::string&, const object_reader& entry) {
    if (const auto from = parse_dscp(entry.text("from")))
      outer.dscp[*from] = parse_dscp(entry.text("to")).value_or(*from);
  });
  return outer;
}

lifetime_settings read_limits(const object_reader& in) {
  return {.packets = parse_quantity(in.text("packets")).value_or(0),
          .bytes = parse_quantity(in.text("bytes")).value_or(0),
          .seconds = parse_duration(in.text("time")).value_or(0)};
}

// What is wrong was reported by the check, and is empty here: same indices.
std::vector<proposal_settings> read_proposals(const std::vector<std::string>& words,
                                              result<proposal_settings> (*parse)(std::string_view)) {
  std::vector<proposal_settings> out;
  for (const auto& word : words) out.push_back(parse(word).value_or(proposal_settings{}));
  return out;
}

// A soft limit without a hard one, or the other way round: 10 % are left for the rekeying.
void complete_limit(std::uint64_t& soft, std::uint64_t& hard) {
  if (soft != 0 && hard == 0) hard = soft + soft / 10 + (soft < 10 ? 1 : 0);
  if (hard > 1 && soft == 0) soft = hard - hard / 10 - (hard < 10 ? 1 : 0);
}

// By IKE something replaces an SA at its soft limit, so that there is always one.
void complete_lifetimes(child_settings& child) {
  if (child.soft.seconds == 0 && child.hard.seconds == 0) child.soft.seconds = default_child_lifetime_seconds;
  complete_limit(child.soft.seconds, child.hard.seconds);
  complete_limit(child.soft.bytes, child.hard.bytes);
  complete_limit(child.soft.packets, child.hard.packets);
}

child_settings read_child(const std::string& name, const object_reader& in) {
  const auto lifetime = in.inner("lifetime");
  child_settings child{.name = name,
                       .mode = in.choice<child_mode>("mode"),
                       .local = in.ranges("local"),
                       .remote = in.ranges("remote"),
                       .protocol = in.protocol("protocol"),
                       .local_ports = in.ports("local_port"),
                       .remote_ports = in.ports("remote_port"),
                       .icmp = std::string(in.text("icmp")),
                       .dscp = in.classes("dscp"),
                       .replay_window = in.number<std::uint32_t>("replay_window"),
                       .tfc_padding = in.number<std::uint16_t>("tfc_padding"),
                       .tfc_padding_to_mtu = in.text("tfc_padding") == "mtu",
                       .outer = read_outer(in.inner("outer")),
                       .soft = read_limits(lifetime.inner("soft")),
                       .hard = read_limits(lifetime.inner("hard")),
                       .manual = {},
                       .esp = {},
                       .per_worker = in.truth("per_worker")};
  if (in.has("lifetime")) child.soft.seconds = parse_duration(in.text("lifetime")).value_or(0);
  if (in.given("manual")) {
    child.manual = read_manual(in.inner("manual"));
  } else {
    child.esp = read_proposals(in.words("esp"), parse_esp_proposal);
    complete_lifetimes(child);
  }
  return child;
}

// What a child carries that does not say it itself.
void complete_selectors(child_settings& child, const tunnel_settings& tunnel) {
  for (auto [side, end] : {std::pair(&child.local, &tunnel.local), std::pair(&child.remote, &tunnel.peer)}) {
    if (!side->empty()) continue;
    if (child.mode == child_mode::transport && end->family != ip_family::none)
      side->push_back({*end, *end});
    else if (tunnel.interface)
      for (const auto family : {ip_family::v4, ip_family::v6})
        side->push_back(ip_prefix{{.bytes = {}, .family = family}, 0});
  }
}

std::optional<post_quantum_key_settings> read_post_quantum_key(const object_reader& in) {
  if (!in.given("post_quantum_key")) return std::nullopt;
  const auto key = in.inner("post_quantum_key");
  return post_quantum_key_settings{.id = std::string(key.text("id")),
                                   .key = read_key_reference(key.inner("key")),
                                   .required = key.truth("required")};
}

ike_settings read_ike(const object_reader& tunnel, bool transport) {
  const auto local = tunnel.inner("local"), remote = tunnel.inner("remote"), in = tunnel.inner("ike");
  ike_settings ike{.local_id = std::string(local.text("id")),
                   .certificate_files = local.files("certificate"),
                   .private_key = read_optional_key(local, "key"),
                   .remote_id = std::string(remote.text("id")),
                   .ca_files = remote.files("ca"),
                   .crl_files = remote.files("crl"),
                   .revocation = remote.choice<revocation_check>("revocation"),
                   .psk = read_optional_key(tunnel, "psk"),
                   .post_quantum_key = read_post_quantum_key(in),
                   .proposals = read_proposals(in.words("proposals"), parse_ike_proposal),
                   .lifetime_seconds = parse_duration(in.text("lifetime")).value_or(0),
                   .reauthenticate_seconds = parse_duration(in.text("reauthenticate")).value_or(0),
                   .liveness_seconds = parse_duration(in.text("liveness")).value_or(0),
                   .start = tunnel.choice<start_mode>("start"),
                   .mobike = in.truth("mobike"),
                   .childless = in.truth("childless"),
                   .force_encapsulation = in.text("encapsulation") == "always"};
  // Nobody can call a peer that may be anywhere.
  if (!tunnel.given("start") && tunnel.text("peer") == "any") ike.start = start_mode::answer;
  // RFC 4555 1.2: transport mode is out of its scope.
  if (!in.given("mobike") && transport) ike.mobike = false;
  return ike;
}

}  // namespace

tunnel_settings read_tunnel(const std::string& name, const object_reader& in) {
  tunnel_settings tunnel{.name = name,
                         .local = in.inner("local").address("address"),
                         .peer = in.address("peer"),
                         .udp_encapsulation = {},
                         .ike = {},
                         .interface = {},
                         .children = {}};
  auto ports = in.inner("udp_encapsulation");
  tunnel.udp_encapsulation = {.enabled = in.truth("udp_encapsulation") || in.has_map("udp_encapsulation"),
                              .local_port = ports.number<std::uint16_t>("local_port"),
                              .peer_port = ports.number<std::uint16_t>("peer_port")};
  if (in.has_map("interface")) {
    const auto interface = in.inner("interface");
    tunnel.interface = {.name = std::string(interface.text("name")), .addresses = interface.prefixes("addresses")};
  }
  in.each("children", [&](const std::string& child, const object_reader& inner) {
    tunnel.children.push_back(read_child(child, inner));
    complete_selectors(tunnel.children.back(), tunnel);
  });
  const auto by_ike = [](const child_settings& child) { return !child.manual; };
  const auto transport = [](const child_settings& child) { return child.mode == child_mode::transport; };
  if (std::ranges::any_of(tunnel.children, by_ike))
    tunnel.ike = read_ike(in, std::ranges::any_of(tunnel.children, transport));
  return tunnel;
}

}  // namespace trunkgate
