// What changes between two configurations, object by object, and what each change costs: `trunkgate plan` shows it, and
// the daemon applies exactly that.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"

namespace trunkgate {

// In rising order. Up to `reauth` nothing is lost: the new is there before the old goes.
enum class plan_impact : std::uint8_t {
  none,       // counts from the next time on
  update,     // at once, without a message to any peer, or for what is added or removed only
  rekey,      // of the child SA, or of the IKE SA
  reauth,     // a new IKE SA with new child SAs, make before break
  reconnect,  // the tunnel goes down and comes up again
  restart     // of the data plane
};
[[nodiscard]] std::string_view to_string(plan_impact impact);

struct plan_line {
  char kind = '~';   // '+', '~' or '-'
  std::string path;  // "tunnels.hq.children.lan.lifetime.soft.time"
  std::string text;  // "1h -> 30m"; what there is to say of an object that comes or goes
  plan_impact impact = plan_impact::none;
  std::string reason;
};

// What differs of a child, and of a tunnel: the strongest impact of its lines.
struct child_change {
  std::string name;
  char kind = '~';
  plan_impact impact = plan_impact::none;
};
struct tunnel_change {
  std::string name;
  char kind = '~';
  plan_impact impact = plan_impact::none;  // of the tunnel's own values; its children's may be stronger
  std::vector<child_change> children;      // those that differ; empty for a tunnel that comes or goes
};

struct plan {
  std::vector<plan_line> lines;        // in the order of the file
  std::vector<tunnel_change> tunnels;  // those that differ: no other sees a message or loses a packet
  plan_impact impact = plan_impact::none;
};

// A tunnel whose keys come another way (by hand, by IKE) goes, and comes again under its name. Secrets, certificates
// and lists of revocation are compared by their names alone: what stands in the files is not looked at.
[[nodiscard]] plan make_plan(const configuration& running, const configuration& wanted);

// What a change of each value costs, by its path in the table ("tunnels.NAME.ike.lifetime").
struct impact_row {
  std::string_view path;
  plan_impact impact = plan_impact::none;
  std::string_view reason;
};
[[nodiscard]] std::span<const impact_row> impact_rows();

}  // namespace trunkgate
