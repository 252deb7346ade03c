// How a tunnel is, in one word and one reason.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/ike/engine/tunnel.hpp"

namespace trunkgate {

enum class tunnel_condition : std::uint8_t {
  down,        // and it should not be; or nobody wants it yet
  degraded,    // it carries packets, but not all it should, or not for long
  connecting,  // for the first time
  up
};
[[nodiscard]] std::string_view name(tunnel_condition condition);  // as in --json

struct tunnel_state {
  tunnel_condition condition = tunnel_condition::down;
  ike::trouble trouble = ike::trouble::none;
  std::string reason;   // a sentence fragment; empty: all is well
  std::string governs;  // the path in the configuration of what governs it: "tunnels.hq.children.lan.esp"; or empty
};
[[nodiscard]] tunnel_state state_of(const ike::tunnel& one);

// "tunnels.hq.children.lan.esp" of "children.lan.esp"; empty stays empty.
[[nodiscard]] std::string path_of(const ike::tunnel& one, const std::string& path);

}  // namespace trunkgate
