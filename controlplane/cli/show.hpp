// `trunkgate show`: what the data plane holds, one function per thing that can be shown.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/verbs.hpp"
#include "dataplane/api/channel.hpp"

namespace trunkgate {

struct show_subject {
  std::string_view name;  // "ports"
  std::string_view one;   // "port"
  std::string_view help;
  result<listing> (*list)(api::channel&, std::string_view wanted);  // `wanted` empty: all; none: the daemon is asked
};
[[nodiscard]] std::span<const show_subject> show_subjects();

[[nodiscard]] int run_show(const arguments& given);

// From records to a listing: what the tests call.
[[nodiscard]] listing list_ports(std::span<const api::port_status> ports);
[[nodiscard]] listing list_sas(std::span<const api::sa_status> sas, std::uint64_t now_ns);
// One SA, from its fields as --json shows them.
[[nodiscard]] std::string sa_detail_text(const json_object& object, std::uint64_t now_ns);
// How long `left` numbers last at the rate of `used` in that time; nothing where that is never.
[[nodiscard]] std::optional<std::uint64_t> exhaustion_seconds(std::uint64_t left, std::uint64_t used,
                                                              std::uint64_t since_ns);
[[nodiscard]] listing list_policies(std::span<const api::policy_status> policies);
[[nodiscard]] listing list_routes(std::span<const api::route_status> routes);
[[nodiscard]] listing list_counters(std::span<const api::stage_status> stages);
[[nodiscard]] listing list_drops(std::span<const api::drop_status> drops);
[[nodiscard]] listing list_workers(std::span<const api::worker_status> workers);
[[nodiscard]] listing list_algorithms(std::span<const api::algorithm_status> algorithms);
[[nodiscard]] listing list_events(std::span<const api::event> events, std::uint64_t now_ns);
[[nodiscard]] listing list_gateway(const api::gateway_status& gateway, std::uint64_t now_ns);

}  // namespace trunkgate
