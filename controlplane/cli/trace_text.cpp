// A traced packet as text and as JSON.
#include <algorithm>
#include <cstdio>
#include <optional>

#include "controlplane/cli/text.hpp"
#include "controlplane/cli/trace.hpp"
#include "dataplane/core/drop_reason.hpp"

namespace trunkgate {

namespace {

// A stage that the packet was at, and what it was behind it.
struct step {
  std::string stage;
  std::uint64_t at_ns = 0;
  std::uint16_t worker = 0;
  std::optional<std::uint16_t> handed_over_by;
  api::watched before;
  std::optional<api::watched> behind;
};

struct way {
  api::watched begun;
  std::vector<step> steps;
  std::vector<api::watched> ends;
};

// Every record answers what became of the packet at the earliest stage of which that is not known yet: the parts of a
// packet that was cut go on in their order.
void follow(way& out, const api::watched& record) {
  const auto open = std::ranges::find_if(out.steps, [](const step& s) { return !s.behind; });
  if (record.event != watch_event::entered) {
    if (open != out.steps.end()) open->behind = record;
    out.ends.push_back(record);
    return;
  }
  // The same stage again, on another worker: the packet was handed to the one that owns its SA.
  const auto elsewhere = std::ranges::find_if(out.steps, [&record](const step& s) {
    return !s.behind && s.stage == record.stage.view() && s.worker != record.worker;
  });
  if (elsewhere != out.steps.end()) {
    elsewhere->handed_over_by = elsewhere->worker;
    elsewhere->worker = record.worker;
    elsewhere->at_ns = record.unix_ns;
    return;
  }
  if (open != out.steps.end() && open->stage != record.stage.view()) open->behind = record;
  out.steps.push_back({.stage = std::string(record.stage.view()),
                       .at_ns = record.unix_ns,
                       .worker = record.worker,
                       .handed_over_by = {},
                       .before = record,
                       .behind = {}});
}

way way_of(const traced_packet& packet) {
  way out;
  for (const auto& record : packet.records) {
    if (record.event == watch_event::begun) {
      out.begun = record;
      // Where the filter matched only the addresses inside, the stages before were another packet's to it.
      if (record.stage.view() != "classify") continue;
      auto first = record;
      first.stage = api::text<24>(record.path.view() == "from_box" ? "tap_rx" : "rx");
      first.event = watch_event::entered;
      follow(out, first);
    } else {
      follow(out, record);
    }
  }
  return out;
}

// For ICMP the data plane keeps type and code where ports are.
bool has_ports(const api::watched& record) {
  return record.has_ports != 0 && record.protocol != 1 && record.protocol != 58;
}

std::string address_and_port(const ip_address& address, const api::watched& record, std::uint16_t port) {
  auto text = to_string(address);
  if (!has_ports(record)) return text;
  if (address.family == ip_family::v6) text = "[" + text + "]";
  return text + ":" + std::to_string(port);
}

std::string protocol_of(const api::watched& record) {
  if (record.ip_version == 0) return "no IP";
  return record.protocol == 50 ? "esp" : protocol_text(record.protocol);
}

std::string headline(const traced_packet& packet, const api::watched& begun) {
  auto out = "packet " + std::to_string(packet.number) + ": ";
  if (begun.source.family != ip_family::none)
    out += address_and_port(begun.source, begun, begun.source_port) + " > " +
           address_and_port(begun.destination, begun, begun.destination_port) + ", ";
  out += protocol_of(begun) + ", " + std::to_string(begun.length) + " bytes";
  if (begun.ingress.view() == api::any_port) return out;
  if (begun.ingress.view() == api::box_port) return out + ", from the box itself";
  return out + ", in by " + printable(begun.ingress.view());
}

std::string spi_text(std::uint32_t spi) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", spi);
  return text;
}

std::string sa_text(const api::watched& record) {
  const auto spi = spi_text(record.spi);
  if (record.tunnel.view().empty()) return "SA " + spi;
  return "tunnel " + printable(record.tunnel.view()) + "/" + printable(record.child.view()) + " (SPI " + spi + ")";
}

std::string reason_name(std::uint8_t reason) {
  return reason < drop_reason_count ? std::string(drop_reasons[reason].name) : "reason_" + std::to_string(reason);
}

std::string reason_meaning(std::uint8_t reason) {
  return reason < drop_reason_count ? std::string(drop_reasons[reason].meaning)
                                    : "the data plane is of another version";
}

// What changed between one stage and the next.
std::vector<std::string> changes(const step& at) {
  std::vector<std::string> out;
  if (at.handed_over_by)
    out.push_back("handed over by worker " + std::to_string(*at.handed_over_by) + " to " + std::to_string(at.worker));
  if (!at.behind) return out;
  const auto &before = at.before, &behind = *at.behind;
  if (behind.event != watch_event::entered) return out;
  if (behind.path != before.path || at.stage == "policy") out.push_back("path " + std::string(behind.path.view()));
  if (behind.path.view() == "errors" && before.path != behind.path)
    out.push_back(reason_name(behind.reason) + ": its sender is told by ICMP" +
                  (behind.error_mtu != 0 ? ", MTU " + std::to_string(behind.error_mtu) : ""));
  if (behind.egress != before.egress && !behind.egress.view().empty()) {
    const bool box = behind.egress.view() == api::box_port;
    out.push_back(box ? "for the box itself" : "out by " + printable(behind.egress.view()));
  }
  if (behind.spi != 0 && behind.spi != before.spi) out.push_back(sa_text(behind));
  if (before.source.family != ip_family::none && behind.source.family != ip_family::none &&
      (before.source != behind.source || before.destination != behind.destination))
    out.push_back(to_string(behind.source) + " > " + to_string(behind.destination));
  if (behind.length != before.length) out.push_back(std::to_string(behind.length) + " bytes");
  return out;
}

std::string_view sa_tunnel(const way& taken) {
  for (const auto& at : taken.steps)
    if (!at.before.tunnel.view().empty()) return at.before.tunnel.view();
  return {};
}

// Right-aligned, with the thousands apart: "      12,345 ns".
std::string duration_text(std::uint64_t ns) {
  auto digits = std::to_string(ns);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return std::string(13 - std::min<std::size_t>(13, digits.size()), ' ') + digits + " ns  ";
}

const std::string no_end = "no end was seen: it was put together with its other fragments, or records of it were lost";

std::string end_text(const api::watched& end) {
  if (end.event == watch_event::sent) return "sent by " + printable(end.egress.view());
  if (end.event == watch_event::punted) return "given to the kernel";
  return "dropped: " + reason_name(end.reason) + ", " + reason_meaning(end.reason);
}

}  // namespace

std::string next_command(std::uint8_t reason, std::string_view tunnel) {
  const auto sas = "trunkgate show sas" + (tunnel.empty() ? "" : " " + printable(tunnel)) + " detail";
  if (reason >= drop_reason_count) return "trunkgate version";
  switch (static_cast<drop_reason>(reason)) {
    case drop_reason::no_policy:
    case drop_reason::policy_discard: return "trunkgate show policies";
    case drop_reason::cleartext_must_be_protected:
    case drop_reason::no_sa: return "trunkgate show sas detail";
    case drop_reason::no_route:
    case drop_reason::route_unreachable:
    case drop_reason::ip_multicast:
    case drop_reason::neighbour_unresolved:
    case drop_reason::neighbour_queue_full: return "trunkgate show routes";
    case drop_reason::frame_not_for_us:
    case drop_reason::frame_unknown_vlan:
    case drop_reason::port_down:
    case drop_reason::transmit_queue_full: return "trunkgate show ports";
    case drop_reason::stage_queue_full:
    case drop_reason::handover_ring_full:
    case drop_reason::punt_ring_full: return "trunkgate show workers";
    case drop_reason::mempool_empty: return "trunkgate show gateway";
    default: break;
  }
  const auto name = reason_name(reason);
  const bool about_sa = name.starts_with("esp_") || name == "selector_mismatch";
  return about_sa ? sas : "trunkgate show drops " + name;
}

std::string trace_text(const traced_packet& packet) {
  const auto taken = way_of(packet);
  auto out = headline(packet, taken.begun) + "\n";
  std::size_t width = 0;
  for (const auto& at : taken.steps) width = std::max(width, at.stage.size());
  std::uint64_t before = taken.begun.unix_ns;
  const auto since = [&before](std::uint64_t now) {
    const auto passed = now > before ? now - before : 0;
    before = std::max(before, now);
    return duration_text(passed);
  };
  for (const auto& at : taken.steps) {
    std::string became;
    for (const auto& change : changes(at)) became += (became.empty() ? "" : ", ") + change;
    out += since(at.at_ns) + at.stage;
    if (!became.empty()) out += std::string(width + 2 - at.stage.size(), ' ') + became;
    out += "\n";
  }
  for (const auto& end : taken.ends) {
    out += since(end.unix_ns) + end_text(end) + "\n";
    if (end.event == watch_event::dropped)
      out += std::string(18, ' ') + "see: " + next_command(end.reason, sa_tunnel(taken)) + "\n";
  }
  if (taken.ends.empty()) out += std::string(18, ' ') + no_end + "\n";
  return out;
}

json_object trace_object(const traced_packet& packet) {
  const auto taken = way_of(packet);
  const auto& begun = taken.begun;
  const auto address = [](const ip_address& a) { return a.family == ip_family::none ? "" : to_string(a); };
  auto stages = json_object::array(), ends = json_object::array();
  for (const auto& at : taken.steps) {
    const auto& now = at.behind && at.behind->event == watch_event::entered ? *at.behind : at.before;
    json_object one = {{"stage", at.stage},
                       {"at_ns", at.at_ns - std::min(at.at_ns, begun.unix_ns)},
                       {"worker", at.worker},
                       {"handed_over_by", nullptr},
                       {"path", now.path.view()},
                       {"egress", now.egress.view()},
                       {"tunnel", now.tunnel.view()},
                       {"child", now.child.view()},
                       {"spi", now.spi == 0 ? "" : spi_text(now.spi)},
                       {"source", address(now.source)},
                       {"destination", address(now.destination)},
                       {"length", now.length}};
    if (at.handed_over_by) one["handed_over_by"] = *at.handed_over_by;
    if (now.path.view() == "errors") one["error"] = reason_name(now.reason);
    stages.push_back(std::move(one));
  }
  for (const auto& end : taken.ends) {
    const bool dropped = end.event == watch_event::dropped;
    json_object one = {{"what", dropped                            ? "dropped"
                                : end.event == watch_event::punted ? "kernel"
                                                                   : "sent"},
                       {"at_ns", end.unix_ns - std::min(end.unix_ns, begun.unix_ns)},
                       {"port", (end.event == watch_event::sent ? end.egress : end.ingress).view()},
                       {"length", end.length}};
    if (dropped) {
      one["reason"] = reason_name(end.reason);
      one["meaning"] = reason_meaning(end.reason);
      one["see"] = next_command(end.reason, sa_tunnel(taken));
    }
    ends.push_back(std::move(one));
  }
  return {{"packet", packet.number},
          {"unix_ns", begun.unix_ns},
          {"source", address(begun.source)},
          {"destination", address(begun.destination)},
          {"protocol", protocol_of(begun)},
          {"source_port", has_ports(begun) ? json_object(begun.source_port) : json_object(nullptr)},
          {"destination_port", has_ports(begun) ? json_object(begun.destination_port) : json_object(nullptr)},
          {"length", begun.length},
          {"ingress", begun.ingress.view()},
          {"stages", stages},
          {"ends", ends}};
}

}  // namespace trunkgate
