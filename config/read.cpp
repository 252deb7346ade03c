#include <algorithm>
#include <cassert>

#include "config/report.hpp"
#include "config/scalar.hpp"
#include "config/table.hpp"

namespace trunkgate {

namespace {

// An object of the tree with its part of the table: gives each field's value, or the default that the table names.
class object_reader {
 public:
  object_reader(const node* at, const object_schema& schema, std::string path)
      : at_(at), schema_(schema), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool has(std::string_view key) const { return scalar_node(key) != nullptr; }

  [[nodiscard]] bool has_map(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    return value != nullptr && value->what == node::kind::map;
  }

  [[nodiscard]] std::string_view text(std::string_view key) const {
    const node* value = scalar_node(key);
    return value != nullptr ? std::string_view(value->text) : field(key).fallback;
  }
  // 0 for one of the words beside the number, and where there is neither value nor default.
  template <class T>
  [[nodiscard]] T number(std::string_view key) const {
    return static_cast<T>(parse_integer(text(key)).value_or(0));
  }
  [[nodiscard]] bool truth(std::string_view key) const { return text(key) == "true"; }
  [[nodiscard]] ip_address address(std::string_view key) const {
    return parse_ip_address(text(key)).value_or(ip_address{});
  }
  [[nodiscard]] ip_range range(std::string_view key) const { return parse_ip_range(text(key)).value_or(ip_range{}); }
  [[nodiscard]] ip_prefix prefix(std::string_view key) const {
    return parse_ip_prefix(text(key)).value_or(ip_prefix{}).masked();
  }
  [[nodiscard]] number_range ports(std::string_view key) const {
    return parse_port_range(text(key)).value_or(number_range{});
  }
  [[nodiscard]] std::int16_t protocol(std::string_view key) const { return find_protocol(text(key)).value_or(-1); }
  // The place of the word in the table's list: our enumerations have the same order.
  template <class Enumeration>
  [[nodiscard]] Enumeration choice(std::string_view key) const {
    auto words = field(key).value.scalar.words;
    auto found = std::ranges::find(words, text(key));
    return static_cast<Enumeration>(found == words.end() ? 0 : found - words.begin());
  }
  [[nodiscard]] std::vector<ip_prefix> prefixes(std::string_view key) const {
    std::vector<ip_prefix> out;
    for_each_item(key, [&](const std::string& item) {
      out.push_back(parse_ip_prefix(item).value_or(ip_prefix{}));  // same indices
    });
    return out;
  }

  [[nodiscard]] std::vector<ip_range> ranges(std::string_view key) const {
    std::vector<ip_range> out;
    for_each_item(key, [&](const std::string& item) {
      out.push_back(parse_ip_range(item).value_or(ip_range{}));  // same indices
    });
    return out;
  }
  // A set of classes: one, or a list of them; 0 for any.
  [[nodiscard]] std::uint64_t classes(std::string_view key) const {
    std::uint64_t out = 0;
    const auto add = [&](std::string_view word) {
      if (const auto value = parse_dscp(word)) out |= 1ull << *value;
    };
    add(text(key));
    for_each_item(key, add);
    return out;
  }

  [[nodiscard]] object_reader inner(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    return {value, *field(key).value.object, (path_.empty() ? "" : path_ + ".") + std::string(key)};
  }
  // Calls each(name or index, reader) for the objects of a map of names or a list.
  template <class Each>
  void each(std::string_view key, Each call) const {
    auto group = inner(key);
    if (group.at_ == nullptr) return;
    for (const auto& entry : group.at_->entries)
      call(entry.key.text, object_reader(&entry.value, group.schema_, group.path_ + "." + entry.key.text));
    for (std::size_t i = 0; i < group.at_->items.size(); ++i)
      call(std::string(), object_reader(&group.at_->items[i], group.schema_, item_path(group.path_, i)));
  }

 private:
  template <class Each>
  void for_each_item(std::string_view key, Each call) const {
    const node* list = at_ != nullptr ? at_->find(key) : nullptr;
    if (list != nullptr)
      for (const auto& item : list->items) call(item.text);
  }
  [[nodiscard]] const field_schema& field(std::string_view key) const {
    const auto* found = schema_.find(key);
    assert(found != nullptr && "the reader asks for a field that the table does not have");
    return *found;
  }
  // The value if it is what the table wants, else nullptr: the error was reported by the check.
  [[nodiscard]] const node* scalar_node(std::string_view key) const {
    const node* value = at_ != nullptr ? at_->find(key) : nullptr;
    if (value == nullptr || value->what != node::kind::scalar || check_scalar(field(key).value.scalar, value->text))
      return nullptr;
    return value;
  }

  const node* at_;
  const object_schema& schema_;
  std::string path_;
};

gateway_settings read_gateway(const object_reader& in) {
  return {.name = std::string(in.text("name")),
          .workers = in.number<unsigned>("workers"),
          .busy_poll = in.choice<busy_poll_mode>("busy_poll"),
          .hugepages = in.text("hugepages") == "auto",
          .buffers = in.number<std::uint32_t>("buffers"),
          .flow_entries = in.number<std::uint32_t>("flow_entries"),
          .lab = in.truth("lab"),
          .legacy = in.truth("legacy")};
}

port_settings read_port(const std::string& name, const object_reader& in) {
  return {.name = name,
          .device = std::string(in.text("device")),
          .addresses = in.prefixes("addresses"),
          .mtu = in.number<std::uint16_t>("mtu"),
          .vlan = in.number<std::uint16_t>("vlan"),
          .driver = in.choice<driver_choice>("driver")};
}

manual_sa read_manual_sa(const object_reader& in) {
  auto key = in.inner("key");
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
  return {in.number<std::uint32_t>("spi"), reference};
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
                       .manual = read_manual(in.inner("manual")),
                       .esp = {}};
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

tunnel_settings read_tunnel(const std::string& name, const object_reader& in) {
  tunnel_settings tunnel{.name = name,
                         .local = in.address("local"),
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
  return tunnel;
}

policy_settings read_policy(const object_reader& in) {
  return {.name = std::string(in.text("name")),
          .from = std::string(in.text("from")),
          .to = std::string(in.text("to")),
          .source = in.range("source"),
          .destination = in.range("destination"),
          .protocol = in.protocol("protocol"),
          .source_ports = in.ports("source_ports"),
          .destination_ports = in.ports("destination_ports"),
          .icmp = std::string(in.text("icmp")),
          .dscp = in.classes("dscp"),
          .action = in.choice<rule_action>("action"),
          .both_ways = in.truth("both_ways")};
}

}  // namespace

configuration read_document(const node& root) {
  object_reader in(&root, configuration_schema, "");
  configuration config;
  config.gateway = read_gateway(in.inner("gateway"));
  in.each("ports",
          [&](const std::string& name, const object_reader& port) { config.ports.push_back(read_port(name, port)); });
  in.each("routes", [&](const std::string&, const object_reader& route) {
    config.routes.push_back({route.prefix("to"), route.address("via"), std::string(route.text("port"))});
  });
  in.each("tunnels", [&](const std::string& name, const object_reader& tunnel) {
    config.tunnels.push_back(read_tunnel(name, tunnel));
  });
  in.each("policies",
          [&](const std::string&, const object_reader& policy) { config.policies.push_back(read_policy(policy)); });
  return config;
}

}  // namespace trunkgate
