#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

std::string_view action_text(api::policy_action action) {
  switch (action) {
    case api::policy_action::bypass: return "bypass";
    case api::policy_action::discard: return "discard";
    case api::policy_action::protect: return "protect";
  }
  return "unknown";
}

std::string side_text(const api::name& port) { return port.view() == api::any_port ? "any" : std::string(port.view()); }

std::string network_text(const ip_prefix& prefix) {
  return prefix.address.family == ip_family::none ? "any" : to_string(prefix);
}

std::string matched_ports(const api::policy_record& rule) {
  if (rule.source_ports.any() && rule.destination_ports.any()) return protocol_text(rule.protocol);
  return protocol_text(rule.protocol) + " " + range_text(rule.source_ports) + " to " +
         range_text(rule.destination_ports);
}

}  // namespace

listing list_policies(std::span<const api::policy_status> policies) {
  using enum table::alignment;
  listing out{.short_view = table({{"#", right},
                                   {"POLICY"},
                                   {"ACTION"},
                                   {"FROM"},
                                   {"TO"},
                                   {"SOURCE"},
                                   {"DESTINATION"},
                                   {"PROTOCOL"},
                                   {"FLOWS", right}})};
  for (const auto& policy : policies) {
    const auto& rule = policy.configured;
    out.short_view.add(severity::fine, {std::to_string(policy.order + 1), std::string(rule.policy.view()),
                                        std::string(action_text(rule.action)), side_text(rule.from), side_text(rule.to),
                                        network_text(rule.source), network_text(rule.destination), matched_ports(rule),
                                        std::to_string(policy.flows)});
    out.objects.push_back({{"policy", rule.policy.view()},
                           {"order", policy.order + 1},
                           {"action", action_text(rule.action)},
                           {"from", side_text(rule.from)},
                           {"to", side_text(rule.to)},
                           {"source", network_text(rule.source)},
                           {"destination", network_text(rule.destination)},
                           {"protocol", protocol_text(rule.protocol)},
                           {"source_ports", range_text(rule.source_ports)},
                           {"destination_ports", range_text(rule.destination_ports)},
                           {"flows", policy.flows}});
  }
  out.summary = "what no rule and no tunnel names is discarded";
  return out;
}

}  // namespace trunkgate
