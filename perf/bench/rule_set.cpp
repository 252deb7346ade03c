#include "perf/bench/rule_set.hpp"

#include <string>

#include "dataplane/core/port_index.hpp"
#include "dataplane/packet/headers.hpp"

namespace trunkgate::bench {
namespace {

// Neither the senders' nor the receivers' side of the bench's traffic.
std::uint32_t source_network(std::uint32_t rule) { return 0xac100000u + (rule << 4); }
std::uint32_t destination_network(std::uint32_t rule) { return 0x64400000u + (rule % 4096 << 8); }
std::uint16_t destination_port(std::uint32_t rule) { return static_cast<std::uint16_t>(1024 + rule % 997); }

}  // namespace

rule_set::rule_set(std::uint32_t count) : flows_(std::make_unique<counter[]>(count)) {
  for (std::uint32_t i = 0; i < count; ++i) {
    operator_rules::rule rule{.record = {}, .from = no_port, .to = no_port, .flows = &flows_[i]};
    rule.record.policy = api::name("rule-" + std::to_string(i));
    rule.record.action = api::policy_action::bypass;
    if (i + 1 < count) {
      rule.record.source = ip_prefix{ip_address::v4(source_network(i)), 28};
      rule.record.destination = ip_prefix{ip_address::v4(destination_network(i)), 24};
      rule.record.protocol = protocol_udp;
      rule.record.destination_ports = {destination_port(i), destination_port(i)};
    }
    rules_.push_back(rule);
  }
}

flow_key rule_set::key_for(std::uint32_t rule) const {
  flow_key key;
  key.family = ip_family::v4;
  key.source = ip_address::v4(source_network(rule) + 1).bytes;
  key.destination = ip_address::v4(destination_network(rule) + 1).bytes;
  key.protocol = protocol_udp;
  key.has_ports = 1;
  key.source_port = 5000;
  key.destination_port = destination_port(rule);
  return key;
}

}  // namespace trunkgate::bench
