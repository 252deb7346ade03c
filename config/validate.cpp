#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "config/report.hpp"
#include "config/scalar.hpp"
#include "config/selector_words.hpp"
#include "dataplane/core/port_index.hpp"

namespace trunkgate {

namespace {

constexpr std::uint16_t ipv6_least_mtu = 1280;  // RFC 8200 5

bool usable(const ip_address& address) { return address.family != ip_family::none; }

bool is_unicast(const ip_address& address) {
  ip_address unspecified;
  unspecified.family = address.family;
  return !address.is_multicast() && address != unspecified;
}

// Remembers who took something first and complains about the second.
template <class Key>
class first_use {
 public:
  explicit first_use(report& to) : to_(to) {}
  void take(const Key& key, const std::string& path, const std::string& what) {
    auto [entry, fresh] = seen_.try_emplace(key, path);
    if (!fresh) to_.error(path, what + " is also that of " + entry->second + ", " + to_.line_of(entry->second));
  }

 private:
  report& to_;
  std::map<Key, std::string> seen_;
};

void check_interfaces(const configuration& config, first_use<ip_address>& addresses, report& to) {
  first_use<std::string> names(to);
  std::size_t count = 0;
  for (const auto& port : config.ports) names.take(port.name, "ports." + port.name, "the name " + port.name);
  for (const auto& tunnel : config.tunnels) {
    if (!tunnel.interface) continue;
    const auto& interface = *tunnel.interface;
    const auto path = "tunnels." + tunnel.name + ".interface";
    if (++count == tunnel_port_limit + 1u)
      to.error(path, "is one too many: " + std::to_string(tunnel_port_limit) + " tunnels can have an interface");
    if (interface.name == "box" || interface.name == "any")
      to.error(path + ".name", "the name \"" + interface.name + "\" is reserved: rules use it", "another name");
    names.take(interface.name, path + ".name", "the name " + interface.name);
    for (std::size_t i = 0; i < interface.addresses.size(); ++i)
      if (const auto& address = interface.addresses[i].address; usable(address)) {
        const auto place = item_path(path + ".addresses", i);
        if (!is_unicast(address)) to.error(place, to_string(address) + " is no address that an interface can have");
        addresses.take(address, place, "address " + to_string(address));
      }
  }
}

void check_ports(const configuration& config, report& to) {
  first_use<ip_address> addresses(to);
  first_use<std::string> devices(to);
  for (const auto& port : config.ports) {
    std::string path = "ports." + port.name;
    if (port.name == "box" || port.name == "any")
      to.error(path, "the name \"" + port.name + "\" is reserved: rules use it", "another name");
    if (!port.device.empty())
      devices.take(
          port.device + " " + std::to_string(port.vlan), path + ".device",
          "device " + port.device + (port.vlan != 0 ? " with vlan " + std::to_string(port.vlan) : " without vlan"));
    bool ipv6 = std::ranges::any_of(config.routes, [&](const route_settings& route) {
      return route.port == port.name && route.to.address.family == ip_family::v6;
    });
    for (std::size_t i = 0; i < port.addresses.size(); ++i) {
      const auto& address = port.addresses[i].address;
      if (!usable(address)) continue;
      ipv6 |= address.family == ip_family::v6;
      auto place = item_path(path + ".addresses", i);
      if (!is_unicast(address)) to.error(place, to_string(address) + " is no address that a port can have");
      addresses.take(address, place, "address " + to_string(address));
    }
    if (ipv6 && port.mtu != 0 && port.mtu < ipv6_least_mtu)
      to.error(path + ".mtu",
               std::to_string(port.mtu) + " is too small: IPv6 is used here and needs 1280 (RFC 8200 5)");
  }
  check_interfaces(config, addresses, to);
}

void check_routes(const configuration& config, report& to) {
  std::vector<std::string_view> names;
  for (const auto& port : config.ports) names.push_back(port.name);
  for (const auto& tunnel : config.tunnels)
    if (tunnel.interface) names.push_back(tunnel.interface->name);
  for (std::size_t i = 0; i < config.routes.size(); ++i) {
    const auto& route = config.routes[i];
    auto path = item_path("routes", i);
    if (!usable(route.via) && route.port.empty() && !to.is_wrong(path + ".via") && !to.is_wrong(path + ".port"))
      to.error(path, "needs via, port, or both");
    if (!route.port.empty() && !std::ranges::contains(names, route.port))
      to.error(path + ".port", "there is no port \"" + route.port + "\"", did_you_mean(route.port, names));
    if (usable(route.via) && usable(route.to.address) && route.via.family != route.to.address.family)
      to.error(path + ".via", to_string(route.via) + " is of another IP version than " + to_string(route.to));
    if (usable(route.via) && !is_unicast(route.via)) to.error(path + ".via", to_string(route.via) + " is no next hop");
  }
}

// What a child protects, in a form in which equal selectors are equal strings.
std::string canonical_selectors(const child_settings& child) {
  std::string out = std::to_string(child.protocol) + " dscp " + std::to_string(child.dscp);
  const auto icmp = find_icmp(child.icmp, child.protocol);  // "8" and "echo-request" are the same
  for (const auto& ports : {child.local_ports, child.remote_ports, icmp.value_or(number_range{})})
    out += " " + std::to_string(ports.first) + "-" + std::to_string(ports.last);
  for (auto side : {child.local, child.remote}) {
    std::ranges::sort(side);
    out += " |";
    for (const auto& range : side) out += " " + to_string(range);
  }
  return out;
}

// Transport mode protects what the two ends say to each other (RFC 4301 4.1).
void check_mode(const tunnel_settings& tunnel, const child_settings& child, const std::string& path, report& to) {
  if (child.mode == child_mode::transport) {
    for (auto [side, end, key] :
         {std::tuple(&child.local, &tunnel.local, ".local"), {&child.remote, &tunnel.peer, ".remote"}})
      if (!usable(*end))
        to.error(path + ".mode", std::string("transport mode is between two known addresses: it needs the tunnel's ") +
                                     (end == &tunnel.local ? "local.address" : "peer"));
      else if (side->size() != 1 || side->front() != ip_range(*end, *end))
        to.error(path + key, "transport mode protects the gateway itself and the peer itself, here " + to_string(*end),
                 "leave it out, or mode: tunnel");
    if (tunnel.interface) to.error(path + ".mode", "a tunnel with an interface is in tunnel mode");
    if (child.tfc_padding != 0 || child.tfc_padding_to_mtu)
      to.error(path + ".tfc_padding", "is for tunnel mode: in transport mode nothing says where the padding begins");
  } else if (tunnel.interface) {
    for (auto [side, key] : {std::pair(&child.local, ".local"), std::pair(&child.remote, ".remote")})
      if (std::ranges::any_of(*side, [](const ip_range& r) { return !r.any() && r.cover().length != 0; }))
        to.error(path + key, "a tunnel with an interface carries what the routes lead into it", "leave it out");
  }
}

void check_lifetime(const child_settings& child, const std::string& path, report& to) {
  struct limit {
    std::uint64_t soft, hard;
    const char* key;
  };
  for (const auto& [soft, hard, key] :
       {limit{child.soft.seconds, child.hard.seconds, "time"}, limit{child.soft.bytes, child.hard.bytes, "bytes"},
        limit{child.soft.packets, child.hard.packets, "packets"}})
    if (soft != 0 && hard != 0 && soft >= hard)
      to.error(path + ".lifetime.soft." + key, "must be less than the hard limit, or nobody has time to act on it");
}

void check_selectors(const child_settings& child, const std::string& path, report& to) {
  for (auto [side, key] : {std::pair(&child.local, ".local"), std::pair(&child.remote, ".remote")})
    if (side->empty() && child.mode == child_mode::tunnel) to.error(path + key, "needs at least one prefix");
  bool common = std::ranges::any_of(child.local, [&](const ip_range& local) {
    return std::ranges::any_of(child.remote,
                               [&](const ip_range& remote) { return remote.first.family == local.first.family; });
  });
  bool complete = !child.local.empty() && !child.remote.empty() &&
                  std::ranges::all_of(child.local, usable, &ip_range::first) &&
                  std::ranges::all_of(child.remote, usable, &ip_range::first);
  if (complete && !common) to.error(path + ".remote", "has no prefix of the same IP version as one of local");
  for (auto [ports, key] : {std::pair(&child.local_ports, ".local_port"), {&child.remote_ports, ".remote_port"}})
    if (*ports != number_range{} && !has_ports(child.protocol) && !to.is_wrong(path + ".protocol"))
      to.error(path + key, "needs protocol tcp, udp, or sctp");
  check_icmp(child.icmp, child.protocol, path, to);
  if (child.replay_window % 64 != 0)
    to.error(path + ".replay_window", std::to_string(child.replay_window) + " is no multiple of 64",
             std::to_string((child.replay_window + 63) / 64 * 64) + " is the next");
}

void check_suite(const manual_keying& manual, const gateway_settings& gateway, const std::string& path, report& to) {
  const auto& suite = info(manual.suite);
  if (to.is_wrong(path)) return;
  const std::string name(suite.name);
  // RFC 8221 3: a counter mode's nonce must never come twice under one key, which keys by hand cannot promise.
  if (suite.manual_keys_need_lab && !gateway.lab)
    to.error(path, name + " with keys by hand is for labs only (RFC 8221 3)", "a cbc suite, or gateway.lab: true");
  else if (suite.legacy && !gateway.legacy)
    to.error(path, name + " is broken by now (RFC 8221 5)", "a suite with aes, or gateway.legacy: true");
  else if (suite.manual_keys_need_lab)
    to.warning(path, name + " with keys by hand: never use these keys outside of a lab (RFC 8221 3)");
  else if (suite.auth == esp_auth::hmac_sha1)
    to.warning(path, "SHA-1 is outdated", "a suite with sha256");
}

// SAs of the whole gateway against each other.
class sa_checker {
 public:
  sa_checker(const configuration& config, report& to) : config_(config), to_(to), inbound_(to), outbound_(to) {}

  void check(const tunnel_settings& tunnel, const child_settings& child, const std::string& path) {
    if (!tunnel.interface) check_same_selectors(tunnel, child, path);
    if (!child.manual) return;
    const auto& manual = *child.manual;
    check_suite(manual, config_.gateway, path + ".manual.esp", to_);
    auto in = path + ".manual.in", out = path + ".manual.out";
    if (manual.in.spi != 0) inbound_.take(manual.in.spi, in + ".spi", "inbound SPI " + hexadecimal(manual.in.spi));
    if (manual.out.spi != 0 && usable(tunnel.peer))
      outbound_.take({tunnel.peer, manual.out.spi}, out + ".spi",
                     "SPI " + hexadecimal(manual.out.spi) + " to " + to_string(tunnel.peer));
    check_keys(manual);
  }

 private:
  struct owner {
    std::string path;
    ip_address peer;
  };

  static std::string hexadecimal(std::uint32_t value) {
    char text[16];
    std::snprintf(text, sizeof text, "0x%x", value);
    return text;
  }

  void check_keys(const manual_keying& manual) {
    if (manual.out.key.name.empty() || manual.in.key.name.empty()) return;
    if (same_source(manual.out.key, manual.in.key))
      return to_.error(manual.in.key.path,
                       "is the key of the other direction too: one key must not serve both directions");
    for (const auto* key : {&manual.out.key, &manual.in.key}) {
      check_key_file(*key, config_.directory, to_);
      auto [entry, fresh] = keys_.try_emplace({static_cast<int>(key->from), key->name}, key->path);
      if (!fresh) to_.warning(key->path, "is also the key of " + entry->second, "every SA needs a key of its own");
    }
  }

  void check_same_selectors(const tunnel_settings& tunnel, const child_settings& child, const std::string& path) {
    if (!usable(tunnel.peer)) return;  // each peer narrows them to its own (RFC 7296 2.9)
    auto [entry, fresh] = selectors_.try_emplace(canonical_selectors(child), owner{path, tunnel.peer});
    if (fresh || child.local.empty() || child.remote.empty()) return;
    std::string other = entry->second.path + ", " + to_.line_of(entry->second.path);
    if (entry->second.peer != tunnel.peer)
      to_.error(path, "has the same selectors as " + other + ", but another peer");
    else
      to_.warning(path, "has the same selectors as " + other + ", which sends everything");
  }

  const configuration& config_;
  report& to_;
  first_use<std::uint32_t> inbound_;
  first_use<std::pair<ip_address, std::uint32_t>> outbound_;
  std::map<std::pair<int, std::string>, std::string> keys_;
  std::unordered_map<std::string, owner> selectors_;
};

bool on_a_port(const configuration& config, const ip_address& address) {
  return std::ranges::any_of(config.ports, [&](const port_settings& port) {
    return std::ranges::contains(port.addresses, address, &ip_prefix::address);
  });
}

void check_tunnels(const configuration& config, report& to) {
  sa_checker sas(config, to);
  for (const auto& tunnel : config.tunnels) {
    std::string path = "tunnels." + tunnel.name;
    if (usable(tunnel.local) && usable(tunnel.peer)) {
      if (tunnel.local.family != tunnel.peer.family)
        to.error(path + ".peer",
                 to_string(tunnel.peer) + " is of another IP version than local.address, " + to_string(tunnel.local));
      else if (tunnel.local == tunnel.peer)
        to.error(path + ".peer", "is the gateway's own address, local.address");
    }
    for (auto [address, key] : {std::pair(tunnel.local, ".local.address"), std::pair(tunnel.peer, ".peer")})
      if (usable(address) && !is_unicast(address))
        to.error(path + key, to_string(address) + " is no address of one machine");
    if (usable(tunnel.local) && !on_a_port(config, tunnel.local))
      to.warning(path + ".local.address", to_string(tunnel.local) + " is none of the ports' addresses");
    if (tunnel.children.empty()) to.error(path + ".children", "needs at least one child");
    if (tunnel.interface && tunnel.children.size() > 1)
      to.error(path + ".children", "a tunnel with an interface has one child: nothing could choose between several");
    for (const auto& child : tunnel.children) {
      auto child_path = path + ".children." + child.name;
      check_selectors(child, child_path, to);
      check_mode(tunnel, child, child_path, to);
      check_lifetime(child, child_path, to);
      sas.check(tunnel, child, child_path);
    }
  }
}

}  // namespace

void check_key_file(const key_reference& key, const std::string& directory, report& to) {
  if (key.from != key_reference::kind::file || key.name.empty()) return;
  struct stat status{};
  auto file = std::filesystem::path(directory) / key.name;
  if (stat(file.c_str(), &status) == 0 && (status.st_mode & (S_IROTH | S_IWOTH)) != 0)
    to.warning(key.path + ".file", "every user of this machine can read or change it", "chmod o-rw " + key.name);
}

void validate(const configuration& config, report& to) {
  if (config.ports.empty()) to.error("ports", "needs at least one port");
  check_ports(config, to);
  check_routes(config, to);
  check_tunnels(config, to);
  validate_ike(config, to);
  validate_policies(config, to);
}

}  // namespace trunkgate
