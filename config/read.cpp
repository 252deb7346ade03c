#include <algorithm>

#include "config/object_reader.hpp"
#include "config/report.hpp"

namespace trunkgate {

namespace {

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
  config.monitoring.allow_key_export = in.inner("monitoring").truth("allow_key_export");
  return config;
}

}  // namespace trunkgate
