#include "controlplane/policy/compile.hpp"

#include <algorithm>
#include <utility>

#include "config/selector_words.hpp"
#include "controlplane/policy/keys.hpp"

namespace trunkgate {

namespace {

constexpr std::uint16_t ethernet_mtu = 1500;

api::gateway_record gateway_of(const configuration& config) {
  api::gateway_record out;
  out.gateway_name = api::name(config.gateway.name);
  out.workers = static_cast<std::uint16_t>(config.gateway.workers);
  out.busy_poll = config.gateway.busy_poll == busy_poll_mode::always ? 1 : 0;
  out.hugepages = config.gateway.hugepages ? 1 : 0;
  out.buffers = config.gateway.buffers;
  out.flow_entries = config.gateway.flow_entries;
  out.max_mtu = ethernet_mtu;
  for (const auto& port : config.ports) out.max_mtu = std::max(out.max_mtu, port.mtu);
  return out;
}

api::port_driver_kind to_api(driver_choice driver) {
  switch (driver) {
    case driver_choice::automatic: return api::port_driver_kind::automatic;
    case driver_choice::af_packet: return api::port_driver_kind::af_packet;
    case driver_choice::af_xdp: return api::port_driver_kind::af_xdp;
    case driver_choice::vfio: return api::port_driver_kind::vfio;
    case driver_choice::pcap: return api::port_driver_kind::pcap;
    case driver_choice::ring: return api::port_driver_kind::ring;
    case driver_choice::null: return api::port_driver_kind::null;
    case driver_choice::memif: return api::port_driver_kind::memif;
    case driver_choice::tap: return api::port_driver_kind::tap;
  }
  return api::port_driver_kind::automatic;
}

api::policy_action to_api(rule_action action) {
  switch (action) {
    case rule_action::bypass: return api::policy_action::bypass;
    case rule_action::discard: return api::policy_action::discard;
    case rule_action::protect: return api::policy_action::protect;
  }
  return api::policy_action::discard;
}

result<api::port_record> port_of(const port_settings& port) {
  api::port_record out;
  out.port = api::name(port.name);
  out.device = api::text<128>(port.device);
  out.driver = to_api(port.driver);
  out.vlan = port.vlan;
  out.mtu = port.mtu;
  if (port.addresses.size() > out.addresses.size())
    return failure("ports." + port.name + ".addresses: at most " + std::to_string(out.addresses.size()) +
                   " are possible");
  out.address_count = static_cast<std::uint16_t>(port.addresses.size());
  std::ranges::copy(port.addresses, out.addresses.begin());
  return out;
}

result<api::port_record> interface_of(const tunnel_interface_settings& interface) {
  port_settings port;
  port.name = interface.name;
  port.addresses = interface.addresses;
  auto out = port_of(port);
  if (out) out->driver = api::port_driver_kind::tunnel;
  return out;
}

api::port_range to_api(const number_range& range) { return {range.first, range.last}; }

api::name port_name(const std::string& name) {
  return api::name(name == "any" ? api::any_port : std::string_view(name));
}

api::policy_record policy_of(const policy_settings& rule) {
  api::policy_record out;
  out.policy = api::name(rule.name);
  out.from = port_name(rule.from);
  out.to = port_name(rule.to);
  out.source = rule.source;
  out.destination = rule.destination;
  out.protocol = rule.protocol;
  out.action = to_api(rule.action);
  const auto icmp = find_icmp(rule.icmp, rule.protocol);
  out.source_ports = to_api(icmp.value_or(rule.source_ports));
  out.destination_ports = to_api(icmp.value_or(rule.destination_ports));
  out.dscp = rule.dscp;
  return out;
}

api::policy_record other_way(api::policy_record rule) {
  std::swap(rule.from, rule.to);
  std::swap(rule.source, rule.destination);
  std::swap(rule.source_ports, rule.destination_ports);
  return rule;
}

api::outer_header outer_of(const outer_settings& outer) {
  return {.dscp = outer.dscp,
          .ecn = outer.ecn == outer_ecn::normal ? api::ecn_mode::normal : api::ecn_mode::compatibility,
          .df = outer.df == outer_df::copy  ? api::df_mode::copy
                : outer.df == outer_df::set ? api::df_mode::set
                                            : api::df_mode::clear,
          .hop_limit = outer.hop_limit,
          .flow_label = outer.flow_label.value_or(api::flow_label_copy)};
}

// Which packets are the child's.
void fill_selectors(api::selector_record& out, const tunnel_settings& tunnel, const child_settings& child,
                    std::uint32_t order) {
  out.tunnel = api::name(tunnel.name);
  out.child = api::name(child.name);
  if (tunnel.interface) out.interface = api::name(tunnel.interface->name);
  out.order = order;
  out.protocol = child.protocol;
  const auto icmp = find_icmp(child.icmp, child.protocol);
  out.local_ports = to_api(icmp.value_or(child.local_ports));
  out.remote_ports = to_api(icmp.value_or(child.remote_ports));
  out.dscp = child.dscp;
  out.local_count = static_cast<std::uint16_t>(child.local.size());
  out.remote_count = static_cast<std::uint16_t>(child.remote.size());
  std::ranges::copy(child.local, out.local_ranges.begin());
  std::ranges::copy(child.remote, out.remote_ranges.begin());
}

// What both directions of a child with keys by hand have in common.
void fill_child(api::sa_record& sa, const tunnel_settings& tunnel, const child_settings& child, std::uint32_t order) {
  fill_selectors(sa, tunnel, child, order);
  fill_settings(sa, child);
  sa.keying = api::sa_keying::manual;
  sa.suite = child.manual->suite;
  sa.esn = child.manual->esn ? 1 : 0;
  sa.udp_encapsulation = tunnel.udp_encapsulation.enabled ? 1 : 0;
  sa.local_port = tunnel.udp_encapsulation.local_port;
  sa.remote_port = tunnel.udp_encapsulation.peer_port;
  sa.mode = child.mode == child_mode::transport ? api::sa_mode::transport : api::sa_mode::tunnel;
  sa.soft = limits_of(child.soft);
  sa.hard = limits_of(child.hard);
  sa.local = tunnel.local;
  sa.remote = tunnel.peer;
}

result<void> fill_key(api::sa_record& sa, const key_reference& reference, const std::string& directory) {
  auto key = read_key(reference, directory, info(sa.suite).key_material());
  if (!key) return std::unexpected(key.error());
  sa.key_length = static_cast<std::uint8_t>(key->size());
  std::ranges::copy(key->bytes(), sa.key.begin());
  return {};
}

result<void> add_child(compiled& out, const configuration& config, const tunnel_settings& tunnel,
                       const child_settings& child, std::uint32_t order) {
  if (child.local.size() > api::ranges_per_side || child.remote.size() > api::ranges_per_side)
    return failure("tunnels." + tunnel.name + ".children." + child.name + ": at most " +
                   std::to_string(api::ranges_per_side) + " ranges a side are possible");
  if (!child.manual) {
    fill_selectors(out.traps.emplace_back(), tunnel, child, order);
    return {};
  }
  for (auto direction : {api::sa_direction::outbound, api::sa_direction::inbound}) {
    const auto& manual = direction == api::sa_direction::outbound ? child.manual->out : child.manual->in;
    auto& sa = out.sas.emplace_back();
    fill_child(sa, tunnel, child, order);
    sa.direction = direction;
    sa.spi = manual.spi;
    if (auto done = fill_key(sa, manual.key, config.directory); !done) return done;
  }
  auto& inbound = out.sas.back();
  auto& outbound = out.sas[out.sas.size() - 2];
  // One key in both directions lets a peer's packets be played back to it, and a counter mode's nonces meet.
  if (inbound.key == outbound.key) {
    return failure(child.manual->in.key.path + ": is the same key as " + child.manual->out.key.path +
                   ": one key must not serve both directions");
  }
  return {};
}

}  // namespace

api::lifetime_limits limits_of(const lifetime_settings& limits) {
  return {.packets = limits.packets, .bytes = limits.bytes, .seconds = limits.seconds};
}

void fill_settings(api::sa_record& sa, const child_settings& child) {
  sa.tfc_padding = child.tfc_padding_to_mtu ? api::tfc_padding_to_mtu : child.tfc_padding;
  sa.outer = outer_of(child.outer);
  sa.replay_window = child.replay_window;
}

compiled& compiled::operator=(compiled&& other) noexcept {
  std::swap(gateway, other.gateway);
  ports.swap(other.ports);
  routes.swap(other.routes);
  policies.swap(other.policies);
  traps.swap(other.traps);
  sas.swap(other.sas);  // ours are wiped with `other`
  return *this;
}

compiled::~compiled() {
  for (auto& sa : sas) wipe(sa.key.data(), sa.key.size());
}

result<compiled> compile(const configuration& config) {
  compiled out;
  out.gateway = gateway_of(config);
  for (const auto& port : config.ports) {
    auto record = port_of(port);
    if (!record) return std::unexpected(record.error());
    out.ports.push_back(*record);
  }
  for (const auto& tunnel : config.tunnels) {
    if (!tunnel.interface) continue;
    auto record = interface_of(*tunnel.interface);
    if (!record) return std::unexpected(record.error());
    out.ports.push_back(*record);
  }
  for (const auto& route : config.routes) {
    api::route_record record;
    record.destination = route.to;
    record.via = route.via;
    record.port = api::name(route.port);
    out.routes.push_back(record);
  }
  for (const auto& rule : config.policies) {
    auto forth = out.policies.emplace_back(policy_of(rule));
    if (rule.both_ways) out.policies.push_back(other_way(forth));
  }
  std::size_t children = 0;
  for (const auto& tunnel : config.tunnels) children += tunnel.children.size();
  out.sas.reserve(children * 2);  // never moved while it grows: a freed old copy would keep its keys
  std::uint32_t order = 0;
  for (const auto& tunnel : config.tunnels)
    for (const auto& child : tunnel.children)
      if (auto done = add_child(out, config, tunnel, child, order++); !done) return std::unexpected(done.error());
  return out;
}

}  // namespace trunkgate
