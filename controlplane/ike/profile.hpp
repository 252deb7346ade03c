// From a tunnel's settings to what its negotiations need: certificates, trust anchors and identities, read once.
#pragma once

#include <string>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// `directory` is the configuration's: relative files start there. `public_key` is the private key's other half as the
// key process says it; empty with a pre-shared key. Fails, naming the word in the configuration, if a file can't be
// read, or certificate and key don't belong together.
[[nodiscard]] result<profile_pointer> make_profile(const tunnel_settings& settings, const std::string& directory,
                                                   bool legacy, const bytes& public_key);

}  // namespace trunkgate::ike
