// The far end's configuration, written from ours.
#pragma once

#include <string>
#include <string_view>

#include "config/model.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

// For the peer of the tunnel of this name, of a kind that trunkgate writes for ("strongswan"). Holds no key: where one
// belongs, a comment says which. Fails for what has no far end of that kind: keys by hand, kinds that are not known.
[[nodiscard]] result<std::string> peer_configuration(const configuration& config, std::string_view tunnel,
                                                     std::string_view kind);

// A swanctl.conf for strongSwan 6.0. `tunnel` has its keys by IKE.
[[nodiscard]] std::string strongswan_configuration(const configuration& config, const tunnel_settings& tunnel);

}  // namespace trunkgate
