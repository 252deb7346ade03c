// What the gateway's objects cost: bytes and seconds, measured by making many through the gateway's own code.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "drivers/crypto/engine.hpp"
#include "perf/bench/spread.hpp"

namespace trunkgate::bench {

struct object_figures {
  double bytes_each = 0;
  double fixed_bytes = 0;                 // what the table takes before the first one
  double add_seconds = 0;                 // all of them
  std::optional<spread> last_add_us;      // each of the last 1,000 adds, or of the batches of 1,000
  std::uint64_t verified = 0, wrong = 0;  // found again afterwards, and not
};

// One kind of object: `count` of them are made, measured, looked up and freed again.
struct object_row {
  std::string_view name;
  std::string_view counted_by;  // heap: mallinfo2; dpdk: rte_malloc's statistics; resident: the kernel's pages
  std::uint32_t most;           // as many are measured at most
  result<object_figures> (*measure)(const crypto_engines& engines, std::uint32_t count);
};
// An SA pair is an outbound SA in one gateway and its inbound one in another, with the selectors and the SPI's entry.
[[nodiscard]] result<object_figures> measure_sa_pairs(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_batched_sa_pairs(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_sequence_slots(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_flow_entries(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_ipv4_routes(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_ipv6_routes(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_operator_rules(const crypto_engines& engines, std::uint32_t count);
[[nodiscard]] result<object_figures> measure_packet_buffers(const crypto_engines& engines, std::uint32_t count);

inline constexpr std::uint32_t most_objects = 100'000, most_rules = 10'000;

inline constexpr std::array<object_row, 8> object_rows{{
    {"sa_pair", "heap", most_objects, measure_sa_pairs},
    {"sa_pair_batched", "heap", most_objects, measure_batched_sa_pairs},
    {"sequence_slot", "resident", most_objects, measure_sequence_slots},
    {"flow_entry", "heap", most_objects, measure_flow_entries},
    {"route_ipv4", "heap and dpdk", most_objects, measure_ipv4_routes},
    {"route_ipv6", "heap and dpdk", most_objects, measure_ipv6_routes},
    {"operator_rule", "heap and dpdk", most_rules, measure_operator_rules},
    {"packet_buffer", "dpdk", most_objects, measure_packet_buffers},
}};

}  // namespace trunkgate::bench
