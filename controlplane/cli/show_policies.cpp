#include "config/selector_words.hpp"
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

std::string matched(const api::policy_record& rule) {
  auto out = protocol_text(rule.protocol);
  if (const auto icmp = icmp_selector_text(rule.protocol, rule.source_ports); !icmp.empty())
    out += " " + icmp;
  else if (!rule.source_ports.any() || !rule.destination_ports.any())
    out += " " + range_text(rule.source_ports) + " to " + range_text(rule.destination_ports);
  return rule.dscp == 0 ? out : out + " dscp " + dscp_text(rule.dscp);
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
                                        to_string(rule.source), to_string(rule.destination), matched(rule),
                                        std::to_string(policy.flows)});
    out.objects.push_back({{"policy", rule.policy.view()},
                           {"order", policy.order + 1},
                           {"action", action_text(rule.action)},
                           {"from", side_text(rule.from)},
                           {"to", side_text(rule.to)},
                           {"source", to_string(rule.source)},
                           {"destination", to_string(rule.destination)},
                           {"protocol", protocol_text(rule.protocol)},
                           {"source_ports", ports_text(rule.protocol, rule.source_ports)},
                           {"destination_ports", ports_text(rule.protocol, rule.destination_ports)},
                           {"icmp", icmp_selector_text(rule.protocol, rule.source_ports)},
                           {"dscp", dscp_text(rule.dscp)},
                           {"flows", policy.flows}});
  }
  out.summary = "what no rule and no tunnel names is discarded";
  return out;
}

}  // namespace trunkgate
