// What the gateway knows about a packet while it is inside: one cache line in the mbuf's private area.
#pragma once

#include <cstdint>

#include <rte_mbuf.h>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/port_index.hpp"

namespace trunkgate {

struct outbound_sa;
struct inbound_sa;
struct adjacency;

inline constexpr std::uint16_t packet_headroom = RTE_PKTMBUF_HEADROOM;

inline constexpr std::uint16_t size_unknown = 0;

struct alignas(64) packet_meta {
  // where it is: written by stages when they hand it on
  std::uint8_t stage = 0;  // stage_id it waits at
  std::uint8_t path = 0;   // path_id it is on
  std::uint8_t passes = 0;
  drop_reason drop = drop_reason::none;
  std::uint16_t ingress = no_port;  // port index, or box_index
  std::uint16_t egress = no_port;
  // what it is: written by classify, for the outermost IP header of this pass
  std::uint16_t l2_length = 0;  // bytes of Ethernet and VLAN headers in front of the IP header; 0 after decapsulation
  std::uint16_t l4_offset = 0;  // from the IP header to the transport header
  std::uint16_t ip_length = 0;  // whole IP packet, from its own length field
  std::uint16_t source_port = 0, destination_port = 0;  // host order; 0 where there are none; ICMP: type << 8 | code
  std::uint8_t ip_version = 0;                          // 4, 6, or 0 for ARP
  std::uint8_t protocol = 0;                            // upper-layer protocol behind extension headers
  std::uint8_t traffic_class = 0;                       // DSCP and ECN
  bool has_ports : 1 = false;
  bool fragment : 1 = false;        // any fragment
  bool later_fragment : 1 = false;  // not the first: has no transport header
  bool link_multicast : 1 = false;  // came in as Ethernet broadcast or multicast
  bool decrypted : 1 = false;       // came out of an ESP SA in this or an earlier pass
  bool in_udp : 1 = false;          // ESP that came in UDP encapsulation
  std::uint32_t flow_hash = 0;
  std::uint32_t wait_started_ms = 0;  // since when it waits for a neighbour; 0: it does not
  std::uint8_t error = 0;             // icmp_error_kind
  std::uint8_t trace_id = 0;          // which packet of the watch this is; 0: it is not watched
  // The largest packet its way takes, outer headers included, or size_unknown; icmp_error: the size to tell.
  std::uint16_t size_limit = size_unknown;
  std::uint32_t generation = 0;  // of the tables in which out_sa was found
  // what was decided
  outbound_sa* out_sa = nullptr;
  inbound_sa* in_sa = nullptr;
  adjacency* next_hop = nullptr;
};
static_assert(sizeof(packet_meta) == 64, "one cache line");

[[nodiscard]] inline packet_meta& meta(rte_mbuf* packet) {
  return *static_cast<packet_meta*>(rte_mbuf_to_priv(packet));
}

// First byte of the IP header of this pass.
[[nodiscard]] inline std::uint8_t* ip_header(rte_mbuf* packet) {
  return rte_pktmbuf_mtod_offset(packet, std::uint8_t*, meta(packet).l2_length);
}

}  // namespace trunkgate
