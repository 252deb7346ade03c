#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

std::string_view kind_text(api::route_kind kind) {
  switch (kind) {
    case api::route_kind::forward: return "forward";
    case api::route_kind::local: return "local";
    case api::route_kind::unreachable: return "unreachable";
  }
  return "unknown";
}

std::string via_text(const api::route_status& route) {
  return route.via.family == ip_family::none ? "" : to_string(route.via);
}

bool waits_for_next_hop(const api::route_status& route) {
  return route.kind == api::route_kind::forward && route.via.family != ip_family::none && route.resolved == 0;
}

}  // namespace

listing list_routes(std::span<const api::route_status> routes) {
  listing out{.short_view = table({{"DESTINATION"}, {"KIND"}, {"VIA"}, {"PORT"}, {"NEXT HOP"}, {"NOTE"}})};
  std::size_t waiting = 0;
  for (const auto& route : routes) {
    const bool waits = waits_for_next_hop(route);
    waiting += waits ? 1 : 0;
    out.short_view.add(waits ? severity::notable : severity::fine,
                       {to_string(route.destination), std::string(kind_text(route.kind)), via_text(route),
                        std::string(route.port.view()), mac_text(route.neighbour_mac),
                        waits ? "the next hop's MAC address is not known" : ""});
    out.objects.push_back({{"destination", to_string(route.destination)},
                           {"kind", kind_text(route.kind)},
                           {"via", via_text(route)},
                           {"port", route.port.view()},
                           {"resolved", route.resolved != 0},
                           {"neighbour_mac", mac_text(route.neighbour_mac)}});
  }
  out.summary = std::to_string(routes.size()) + " routes, " + std::to_string(waiting) + " without a known next hop";
  return out;
}

}  // namespace trunkgate
