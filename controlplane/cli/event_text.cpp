#include "controlplane/cli/event_text.hpp"

#include <cstdio>
#include <iterator>

namespace trunkgate {
namespace {

constexpr event_row rows[] = {
    {"dataplane.started", log_level::info, "the data plane runs"},
    {"sa.soft_expire", log_level::warning, "the SA should be replaced"},
    {"sa.hard_expire", log_level::error, "the SA has stopped: nothing passes it until it is replaced"},
    {"sa.sequence_near_end", log_level::warning, "15/16 of the SA's sequence numbers are used: give it a new key"},
    {"sa.sequence_exhausted", log_level::error, "the SA has stopped: its sequence numbers are used up"},
    {"esp.unknown_spi", log_level::warning, "ESP came that no SA is for"},
    {"sa.acquire", log_level::info, "a packet wants an SA of this child, and none is there"},
    {"sa.peer_moved", log_level::info, "ESP of the SA comes from elsewhere now"},
};
constexpr event_row unknown{"dataplane.event", log_level::info, "the data plane is of another version"};

}  // namespace

const event_row& describe(api::event_kind kind) {
  const auto index = static_cast<std::size_t>(kind);
  return index < std::size(rows) ? rows[index] : unknown;
}

std::string_view limit_name(api::sa_limit limit) {
  switch (limit) {
    case api::sa_limit::packets: return "packets";
    case api::sa_limit::bytes: return "bytes";
    case api::sa_limit::seconds: return "seconds";
    case api::sa_limit::sequence: return "sequence";
    default: return "";
  }
}

std::string limit_text(const api::event& event) {
  if (event.limit == api::sa_limit::none) return "";
  if (event.limit == api::sa_limit::sequence) return "sequence";
  return std::to_string(event.value) + " " + std::string(limit_name(event.limit));
}

std::string subject_text(const api::event& event) {
  if (event.kind == api::event_kind::started) return "";
  char spi[32];
  std::snprintf(spi, sizeof spi, "SPI 0x%08x", event.spi);
  if (event.kind == api::event_kind::acquire)
    return "tunnel " + std::string(event.tunnel.view()) + ", child " + std::string(event.child.view());
  if (event.kind == api::event_kind::unknown_spi) return std::string(spi) + " from " + to_string(event.source);
  std::string out = "tunnel " + std::string(event.tunnel.view()) + ", child " + std::string(event.child.view()) +
                    (event.direction == api::sa_direction::outbound ? ", out, " : ", in, ") + spi;
  if (event.kind == api::event_kind::peer_moved)
    out += ", from " + to_string(event.source) + " port " + std::to_string(event.source_port);
  if (const auto limit = limit_text(event); !limit.empty()) out += ", limit " + limit;
  return out;
}

}  // namespace trunkgate
