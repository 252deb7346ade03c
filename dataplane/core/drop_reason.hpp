// Why a packet did not go on. Every reason is a value with a name an operator can read, a counter and a test.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace trunkgate {

enum class drop_reason : std::uint8_t {
  none,
  // frames and IP headers (classify)
  frame_truncated,
  frame_not_for_us,
  frame_unknown_vlan,
  frame_unknown_ethertype,
  ip_bad_version,
  ip_bad_header_length,
  ip_bad_total_length,
  ip_bad_checksum,
  ip_martian_source,
  ip_multicast,
  ipv6_bad_extension,
  transport_truncated,
  // fragments where ports decide (follow_fragments)
  fragment_tiny,
  fragment_malformed,
  fragment_overlapping,
  fragment_duplicate,
  fragment_without_first,
  fragment_limit,
  // policy
  no_policy,
  policy_discard,
  cleartext_must_be_protected,
  route_change_refused,
  no_sa,
  // ESP, inbound
  esp_truncated,
  esp_zero_spi,
  esp_reserved_spi,
  esp_unknown_spi,
  esp_wrong_endpoint,
  esp_wrong_encapsulation,
  esp_bad_length,
  esp_sequence_zero,
  esp_replayed,
  esp_integrity_failed,
  esp_bad_padding,
  esp_bad_next_header,
  esp_dummy,
  sa_expired,
  ecn_congestion_lost,
  selector_mismatch,
  too_many_passes,
  peer_behind_tunnel,
  nat_keepalive,
  nat_malformed,
  fragment_not_reassembled,
  fragment_timeout,
  fragment_mismatch,
  fragment_table_full,
  // ESP, outbound
  esp_sequence_exhausted,
  esp_encryption_failed,
  transport_fragment,
  packet_too_big,
  fragmentation_failed,
  // forwarding
  no_route,
  route_unreachable,
  hop_limit_expired,
  neighbour_unresolved,
  neighbour_queue_full,
  port_down,
  // what the box can't hold
  mempool_empty,
  stage_queue_full,
  handover_ring_full,
  punt_ring_full,
  punt_rate_limited,
  path_mtu_learned,
  path_mtu_refused,
  transmit_queue_full,
  icmp_error_suppressed,
  count_,  // not a reason
};
inline constexpr std::size_t drop_reason_count = static_cast<std::size_t>(drop_reason::count_);

struct drop_reason_info {
  drop_reason reason;
  std::string_view name;
  std::string_view meaning;  // one line for `trunkgate show drops`
};

extern const std::array<drop_reason_info, drop_reason_count> drop_reasons;

[[nodiscard]] inline const drop_reason_info& info(drop_reason reason) {
  return drop_reasons[static_cast<std::size_t>(reason)];
}

}  // namespace trunkgate
