// Everything workers read and the control thread writes, in one place.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>

#include "dataplane/core/port_index.hpp"
#include "dataplane/state/fib.hpp"
#include "dataplane/state/known_ike.hpp"
#include "dataplane/state/rcu.hpp"
#include "dataplane/state/rcu_hash.hpp"
#include "dataplane/state/sa.hpp"
#include "dataplane/state/spd.hpp"
#include "dataplane/state/trap.hpp"

namespace trunkgate {

using worker_sas = std::array<outbound_sa*, api::worker_limit>;  // nullptr: none

// An operator's port as the stages see it: a device, one VLAN of a device, or (is_tunnel_port) a tunnel's interface.
struct port_entry {
  std::atomic<bool> present{false};
  std::atomic<bool> up{false};
  std::atomic<std::uint16_t> mtu{1500};
  std::uint16_t device = 0;  // index of the port_driver
  std::uint16_t vlan = 0;    // 0: untagged
  std::array<std::uint8_t, 6> mac{};
  // The source of ICMP errors, network order; 0: none. A reader may see half of a change: one odd error message, no
  // harm.
  std::atomic<std::uint32_t> ipv4{0};
  std::array<std::atomic<std::uint64_t>, 2> ipv6{};
  // Of a tunnel's interface: what protects the packets that the routes lead there; nullptr: nothing does.
  std::atomic<outbound_sa*> sa{nullptr};
  std::atomic<trap*> demanded{nullptr};  // the child by which they must be protected, where that is known
  // The SA for each worker's packets; nullptr: there is none for any in particular.
  std::atomic<const worker_sas*> by_worker{nullptr};
};

// Peers choose SPIs at random, or an operator counts them up: both spread well under a multiplicative hash.
struct spi_hash {
  std::uint32_t operator()(std::uint32_t spi) const noexcept { return (spi * 0x9e3779b1u) >> 8; }
};

// The peer chooses the SPI of an outbound SA: only together with its address is it one SA's.
struct outbound_key {
  ip_address remote;
  std::uint32_t spi = 0;  // host order
  friend bool operator==(const outbound_key&, const outbound_key&) = default;
};
struct outbound_key_hash {
  std::uint32_t operator()(const outbound_key& key) const noexcept {
    std::uint32_t words[4];
    std::memcpy(words, key.remote.bytes.data(), sizeof words);
    return spi_hash{}(key.spi ^ (words[0] * 3 + words[1] * 5 + words[2] * 7 + words[3] * 11));
  }
};

struct forwarding_tables {
  rcu_domain& rcu;
  std::atomic<std::uint32_t> generation{1};  // bumped after a change that can alter a flow's verdict
  std::array<port_entry, port_limit> ports;  // an entry is filled before `present` is set
  std::unique_ptr<fib> routes;
  std::unique_ptr<selector_table> selectors;
  std::atomic<const operator_rules*> rules{nullptr};       // nullptr: none
  rcu_hash<std::uint32_t, inbound_sa*, spi_hash> inbound;  // by SPI, host order
  rcu_hash<outbound_key, outbound_sa*, outbound_key_hash> outbound;

  known_ike ike;  // noted and asked by workers

  std::atomic<std::uint32_t> sas_naming_ports{0};  // installed SAs of either direction, and traps

  // Whether some rule or SA asks for ports or ICMP types, so that fragments have to be followed. Any thread.
  [[nodiscard]] bool ports_decide() const noexcept {
    const auto* ordered = rules.load(std::memory_order_acquire);
    return sas_naming_ports.load(std::memory_order_relaxed) != 0 || (ordered != nullptr && ordered->names_ports());
  }

  explicit forwarding_tables(rcu_domain& domain) : rcu(domain), inbound(domain), outbound(domain) {}
};

}  // namespace trunkgate
