#include <algorithm>
#include <map>
#include <vector>

#include "config/report.hpp"
#include "config/scalar.hpp"
#include "config/selector_words.hpp"

namespace trunkgate {

namespace {

constexpr number_range all_ports{};

bool catches_everything(const policy_settings& rule) {
  return rule.from == "any" && rule.to == "any" && rule.source.any() && rule.destination.any() && rule.protocol == -1 &&
         rule.dscp == 0;
}

// Whether all of `inner` is in `outer`.
bool covers(const ip_range& outer, const ip_range& inner) { return outer.any() || outer.contains(inner); }
bool covers(const number_range& outer, const number_range& inner) {
  return outer.first <= inner.first && inner.last <= outer.last;
}
bool covers_classes(std::uint64_t outer, std::uint64_t inner) {
  return outer == 0 || (inner != 0 && (inner & ~outer) == 0);
}

// A rule and a child alike.
number_range icmp_of(const auto& selector) {
  return find_icmp(selector.icmp, selector.protocol).value_or(number_range{});
}

// Whether every pair of a local and a remote range of one IP version is in the rule's.
bool covers_ranges(const ip_range& source, const ip_range& destination, const child_settings& child) {
  bool some = false;
  for (const auto& local : child.local)
    for (const auto& remote : child.remote) {
      if (local.first.family != remote.first.family) continue;
      if (!covers(source, local) || !covers(destination, remote)) return false;
      some = true;
    }
  return some;
}

// Packets to protect come in at any port; a rule for one port matters if that is where the child's local side lives.
bool is_ingress_of(const configuration& config, const std::string& from, const child_settings& child) {
  if (from == "any") return true;
  return std::ranges::any_of(config.ports, [&](const port_settings& port) {
    return port.name == from && std::ranges::any_of(port.addresses, [&](const ip_prefix& address) {
             return std::ranges::any_of(child.local,
                                        [&](const ip_range& local) { return local.contains(address.address); });
           });
  });
}

bool shadows(const configuration& config, const policy_settings& rule, const child_settings& child) {
  if (rule.protocol != -1 && rule.protocol != child.protocol) return false;
  if (!covers_classes(rule.dscp, child.dscp) || !covers(icmp_of(rule), icmp_of(child))) return false;
  bool forth = rule.to != "box" && covers(rule.source_ports, child.local_ports) &&
               covers(rule.destination_ports, child.remote_ports) &&
               covers_ranges(rule.source, rule.destination, child) && is_ingress_of(config, rule.from, child);
  bool back = rule.both_ways && rule.from != "box" && covers(rule.destination_ports, child.local_ports) &&
              covers(rule.source_ports, child.remote_ports) && covers_ranges(rule.destination, rule.source, child) &&
              is_ingress_of(config, rule.to, child);
  return forth || back;
}

void warn_of_shadows(const configuration& config, const policy_settings& rule, const std::string& path, report& to) {
  if (rule.action == rule_action::protect) return;
  for (const auto& tunnel : config.tunnels)
    for (const auto& child : tunnel.children)
      if (!tunnel.interface && shadows(config, rule, child))
        return to.warning(path, "covers all that tunnels." + tunnel.name + ".children." + child.name +
                                    " protects: rules come first, so it is " +
                                    (rule.action == rule_action::bypass ? "sent in clear" : "dropped"));
}

void check_rule(const policy_settings& rule, const std::vector<std::string_view>& names, const std::string& path,
                report& to) {
  for (auto [name, key] : {std::pair(&rule.from, ".from"), std::pair(&rule.to, ".to")})
    if (!std::ranges::contains(names, *name))
      to.error(path + key, "there is no port \"" + *name + "\"", did_you_mean(*name, names));
  if (!rule.source.any() && !rule.destination.any() && rule.source.first.family != rule.destination.first.family)
    to.error(path + ".destination",
             to_string(rule.destination) + " is of another IP version than source, " + to_string(rule.source));
  for (auto [range, key] :
       {std::pair(&rule.source_ports, ".source_ports"), std::pair(&rule.destination_ports, ".destination_ports")})
    if (*range != all_ports && !has_ports(rule.protocol) && !to.is_wrong(path + ".protocol"))
      to.error(path + key, "needs protocol tcp, udp, or sctp");
  check_icmp(rule.icmp, rule.protocol, path, to);
}

}  // namespace

void check_icmp(const std::string& icmp, std::int16_t protocol, const std::string& path, report& to) {
  if (icmp.empty() || to.is_wrong(path + ".protocol") || to.is_wrong(path + ".icmp")) return;
  if (protocol != 1 && protocol != 58)
    to.error(path + ".icmp", "needs protocol icmp or ipv6-icmp");
  else if (!find_icmp(icmp, protocol))
    to.error(path + ".icmp", "there is no " + icmp + (protocol == 1 ? " in ICMP" : " in ICMPv6"));
}

void validate_policies(const configuration& config, report& to) {
  std::vector<std::string_view> names{"any", "box"};
  for (const auto& port : config.ports) names.push_back(port.name);
  for (const auto& tunnel : config.tunnels)
    if (tunnel.interface) names.push_back(tunnel.interface->name);
  std::map<std::string_view, std::string> seen;
  std::string catch_all;
  for (std::size_t i = 0; i < config.policies.size(); ++i) {
    const auto& rule = config.policies[i];
    auto path = item_path("policies", i);
    if (auto [entry, fresh] = seen.try_emplace(rule.name, path + ".name"); !fresh && !rule.name.empty())
      to.error(path + ".name", "the name \"" + rule.name + "\" stands twice; first in " + to.line_of(entry->second));
    check_rule(rule, names, path, to);
    if (!catch_all.empty()) {
      to.warning(path, "is never reached: " + catch_all + " catches everything", "move it up");
      continue;
    }
    bool readable = !to.has_errors();  // what is wrong in a rule reads as "any": no warning from that
    if (readable) warn_of_shadows(config, rule, path, to);
    if (readable && catches_everything(rule)) catch_all = "rule " + rule.name + " in " + to.line_of(path);
  }
}

}  // namespace trunkgate
