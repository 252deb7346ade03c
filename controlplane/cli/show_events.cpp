#include <cstdio>

#include "controlplane/cli/event_text.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

// In the data plane's order: the newest is last, where the terminal's prompt is.
listing list_events(std::span<const api::event> events, std::uint64_t now_ns) {
  using enum table::alignment;
  listing out{.short_view = table({{"AGE", right}, {"EVENT"}, {"TUNNEL"}, {"CHILD"}, {"DIR"}, {"LIMIT"}, {"MEANING"}})};
  for (const auto& event : events) {
    const auto& row = describe(event.kind);
    const bool unknown_spi = event.kind == api::event_kind::unknown_spi;
    const bool has_source = unknown_spi || event.kind == api::event_kind::peer_moved;
    const bool of_sa = !event.tunnel.view().empty() && event.kind != api::event_kind::acquire;
    const std::string direction = of_sa ? event.direction == api::sa_direction::outbound ? "out" : "in" : "";
    std::string meaning(row.meaning);
    if (has_source) meaning += " (from " + to_string(event.source) + ")";
    out.short_view.add(severity::fine, {age_text(now_ns > event.unix_ns ? now_ns - event.unix_ns : 0),
                                        std::string(row.id), std::string(event.tunnel.view()),
                                        std::string(event.child.view()), direction, limit_text(event), meaning});
    char spi[16] = "";
    if (of_sa || unknown_spi) std::snprintf(spi, sizeof spi, "0x%08x", event.spi);
    out.objects.push_back({{"event", row.id},
                           {"number", event.number},
                           {"unix_ns", event.unix_ns},
                           {"tunnel", event.tunnel.view()},
                           {"child", event.child.view()},
                           {"direction", direction},
                           {"spi", spi},
                           {"source", has_source ? to_string(event.source) : ""},
                           {"limit", limit_name(event.limit)},
                           {"value", event.value},
                           {"meaning", row.meaning}});
  }
  return out;
}

}  // namespace trunkgate
