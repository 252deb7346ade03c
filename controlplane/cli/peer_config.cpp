#include "controlplane/cli/peer_config.hpp"

#include <algorithm>
#include <iostream>
#include <vector>

#include "config/load.hpp"
#include "config/scalar.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

namespace {

constexpr std::string_view kinds[] = {"strongswan", "ios-xe", "windows", "vyos", "opnsense"};

result<const tunnel_settings*> find_tunnel(const configuration& config, std::string_view name) {
  std::vector<std::string_view> names;
  for (const auto& tunnel : config.tunnels) {
    if (tunnel.name == name) return &tunnel;
    names.push_back(tunnel.name);
  }
  const auto guess = did_you_mean(name, names);
  return failure("there is no tunnel \"" + std::string(name) + "\"" + (guess.empty() ? "" : "; " + guess));
}

}  // namespace

result<std::string> peer_configuration(const configuration& config, std::string_view tunnel, std::string_view kind) {
  if (!std::ranges::contains(kinds, kind)) {
    const auto guess = did_you_mean(kind, kinds);
    return failure("does not know what \"" + std::string(kind) + "\" is; " +
                   (guess.empty() ? "--for strongswan" : guess));
  }
  if (kind != "strongswan")
    return failure("writes for strongswan only so far: its swanctl.conf names all that " + std::string(kind) +
                   " needs too");
  const auto found = find_tunnel(config, tunnel);
  if (!found) return std::unexpected(found.error());
  if (!(*found)->ike)
    return failure("tunnel " + std::string(tunnel) + " has its keys by hand: no IKE daemon can be its far end");
  return strongswan_configuration(config, **found);
}

int run_peer_config(const arguments& given) {
  if (!given.has("for")) {
    std::cerr << "trunkgate peer-config: say what the far end is: --for strongswan\n";
    return exit_failed;
  }
  const auto read = load_configuration(given.value("config", "/etc/trunkgate/trunkgate.yaml"));
  if (!read.config) {
    std::cerr << format_diagnostics(read);
    return exit_failed;
  }
  const auto text = peer_configuration(*read.config, given.words.front(), given.value("for"));
  if (!text) {
    std::cerr << "trunkgate peer-config: " << text.error().reason << "\n";
    return exit_failed;
  }
  std::cout << *text;
  return exit_well;
}

}  // namespace trunkgate
