// Looks at the tunnels once a second and tells what changed: one line per event, for the log.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/monitor/tunnel_state.hpp"

namespace trunkgate {

class tunnel_watch {
 public:
  struct event {
    bool warning = false;
    std::string_view id;  // "tunnel.up": stable
    std::string text;     // begins with the tunnel's name
  };
  using tell_function = std::function<void(const event&)>;

  tunnel_watch(ike::engine& all, ike::environment& outside, tell_function tell);
  tunnel_watch(const tunnel_watch&) = delete;
  tunnel_watch& operator=(const tunnel_watch&) = delete;

 private:
  struct seen {
    tunnel_condition condition = tunnel_condition::down;
    std::uint64_t established = 0, failures = 0, told_failures = 0, ike_sa = 0;
    std::vector<std::pair<std::size_t, std::uint32_t>> children;  // index and inbound SPI
    std::string reason;
    bool is_gone = false;
  };
  void look();
  void compare(const ike::tunnel& one, seen& before);
  void compare_condition(const ike::tunnel& one, const seen& now, seen& before);
  void compare_failures(const ike::tunnel& one, const seen& now, seen& before);
  void compare_keys(const ike::tunnel& one, const seen& now, const seen& before);

  ike::engine& all_;
  ike::environment& outside_;
  tell_function tell_;
  std::unordered_map<std::string, seen> seen_;
  ike::timer next_;
};

}  // namespace trunkgate
