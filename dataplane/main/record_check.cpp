#include "dataplane/main/record_check.hpp"

#include <algorithm>
#include <span>
#include <string>

namespace trunkgate {
namespace {

// Of a family that exists, and an IPv4 address with nothing behind its four bytes.
bool valid(const ip_address& address) {
  if (address.family == ip_family::v6) return true;
  return address.family == ip_family::v4 &&
         std::ranges::all_of(std::span(address.bytes).subspan(4), [](std::uint8_t byte) { return byte == 0; });
}

bool valid(const ip_range& range) { return valid(range.first) && valid(range.last) && range.valid(); }

bool valid(std::span<const ip_range> ranges, std::size_t count) {
  return std::ranges::all_of(ranges.first(count), [](const ip_range& range) { return valid(range); });
}

bool valid(const ip_prefix& prefix) { return valid(prefix.address) && prefix.length <= prefix.address.bits(); }

bool valid(const api::port_range& ports) { return ports.first <= ports.last; }

bool valid_protocol(std::int16_t protocol) { return protocol >= -1 && protocol <= 255; }

result<void> check_outer(const api::outer_header& outer) {
  if (outer.ecn > api::ecn_mode::compatibility || outer.df > api::df_mode::clear)
    return failure("unknown mode of the outer header");
  if (std::ranges::any_of(outer.dscp, [](std::uint8_t dscp) { return dscp >= api::dscp_count; }))
    return failure("a DSCP has six bits");
  if (outer.flow_label > 0xf'ffff && outer.flow_label != api::flow_label_copy)
    return failure("a flow label has 20 bits");
  if (outer.hop_limit == 0) return failure("the outer hop limit must not be 0");
  return {};
}

result<void> check_selectors(const api::selector_record& record) {
  if (record.local_count > api::ranges_per_side || record.remote_count > api::ranges_per_side)
    return failure("too many selectors");
  if (!valid(record.local_ranges, record.local_count) || !valid(record.remote_ranges, record.remote_count))
    return failure("a selector's addresses are not from a lower to a higher one of one family");
  if (!valid_protocol(record.protocol) || !valid(record.local_ports) || !valid(record.remote_ports))
    return failure("a selector's protocol or ports are out of their range");
  return {};
}

}  // namespace

result<void> check(const api::port_record& record) {
  if (record.address_count > api::addresses_per_port)
    return failure("port " + std::string(record.port.view()) + ": too many addresses");
  if (record.driver > api::port_driver_kind::tunnel)
    return failure("port " + std::string(record.port.view()) + ": unknown driver");
  if (!std::ranges::all_of(std::span(record.addresses).first(record.address_count),
                           [](const ip_prefix& address) { return valid(address); }))
    return failure("port " + std::string(record.port.view()) + ": an address is none");
  return {};
}

result<void> check(const api::route_record& record) {
  const auto& via = record.via;
  if (!valid(record.destination) ||
      (via.family != ip_family::none && (!valid(via) || via.family != record.destination.address.family)))
    return failure("route: destination and next hop must be of one address family");
  return {};
}

result<void> check(const api::policy_record& record) {
  const auto refuse = [&](const char* why) {
    return failure("policy " + std::string(record.policy.view()) + ": " + why);
  };
  if (record.action > api::policy_action::protect) return refuse("unknown action");
  if ((!record.source.any() && !valid(record.source)) || (!record.destination.any() && !valid(record.destination)))
    return refuse("addresses are not from a lower to a higher one of one family");
  if (!record.source.any() && !record.destination.any() &&
      record.source.first.family != record.destination.first.family)
    return refuse("source and destination must be of one address family");
  if (!valid_protocol(record.protocol) || !valid(record.source_ports) || !valid(record.destination_ports))
    return refuse("protocol or ports are out of their range");
  return {};
}

result<void> check(const api::sa_record& record) {
  const auto refuse = [&](const char* why) {
    return failure("tunnel " + std::string(record.tunnel.view()) + ": " + why);
  };
  if (static_cast<std::size_t>(record.suite) >= esp_suite_count) return refuse("unknown suite");
  if (record.direction > api::sa_direction::inbound) return refuse("unknown direction");
  if (record.mode > api::sa_mode::transport) return refuse("unknown mode");
  if (record.mode == api::sa_mode::transport && record.tfc_padding != 0)
    return refuse("padding for traffic flow confidentiality needs tunnel mode");
  if (auto fine = check_outer(record.outer); !fine) return refuse(fine.error().reason.c_str());
  if (auto fine = check_selectors(record); !fine) return refuse(fine.error().reason.c_str());
  if (record.keying > api::sa_keying::manual) return refuse("unknown kind of keying");
  if (record.keying == api::sa_keying::manual && record.pair != 0) return refuse("a pair by hand has no number");
  if (record.pair != 0 && record.pair < 256) return refuse("SPIs below 256 are reserved");
  if (record.pair != 0 && record.direction == api::sa_direction::inbound && record.pair != record.spi)
    return refuse("a pair has the number of its inbound SPI");
  if (record.worker != api::any_worker && record.worker >= api::worker_limit) return refuse("there is no such worker");
  if (record.key_length != info(record.suite).key_material())
    return refuse("the key has the wrong length for its suite");
  if (record.spi < 256) return refuse("SPIs below 256 are reserved");
  if (record.replay_window < 64 || record.replay_window > 65536)
    return refuse("the replay window must be 64 to 65536 packets");
  if (!valid(record.local) || !valid(record.remote) || record.local.family != record.remote.family)
    return refuse("both ends must be of one address family");
  return {};
}

result<void> check(const api::trap_record& record) {
  if (auto fine = check_selectors(record); !fine)
    return failure("tunnel " + std::string(record.tunnel.view()) + ": " + fine.error().reason);
  return {};
}

result<void> check(const api::move_record& record) {
  if (record.direction > api::sa_direction::inbound) return failure("move: unknown direction");
  if (!valid(record.local) || !valid(record.remote) || record.local.family != record.remote.family)
    return failure("move: both ends must be of one address family");
  return {};
}

}  // namespace trunkgate
