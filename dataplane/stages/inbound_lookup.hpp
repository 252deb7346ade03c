// Is a packet ESP for this gateway, and by which SA?
#pragma once

#include <rte_mbuf.h>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

struct inbound_match {
  inbound_sa* sa = nullptr;
  bool for_us = false;  // ESP for this gateway, or a fragment that may turn out to be (then sa is nullptr)
  bool in_udp = false;
  drop_reason drop = drop_reason::none;
};

// For a parsed packet. ESP that goes through to another host, and IKE on port 4500, are not for us. Worker threads.
[[nodiscard]] inbound_match find_inbound(const forwarding_tables& tables, rte_mbuf* packet) noexcept;

// Whether the packet's header says so. Cheaper than to take the address out and compare.
[[nodiscard]] bool comes_from(rte_mbuf* packet, const ip_address& source) noexcept;
[[nodiscard]] bool goes_to(rte_mbuf* packet, const ip_address& destination) noexcept;

// The destination in the packet's IP header.
[[nodiscard]] ip_address destination_of(rte_mbuf* packet) noexcept;

}  // namespace trunkgate
