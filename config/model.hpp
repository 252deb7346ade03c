// What a configuration file says, as plain values: every default filled in, every name checked.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/ike_proposal.hpp"
#include "dataplane/core/ip.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate {

enum class busy_poll_mode : std::uint8_t { automatic, always, never };
enum class driver_choice : std::uint8_t { automatic, af_packet, af_xdp, vfio, pcap, ring, null, memif, tap };
enum class rule_action : std::uint8_t { bypass, discard, protect };

struct number_range {
  std::uint16_t first = 0, last = 65535;
  friend bool operator==(const number_range&, const number_range&) = default;
};

struct gateway_settings {
  std::string name;
  unsigned workers = 0;  // 0: auto
  busy_poll_mode busy_poll = busy_poll_mode::automatic;
  bool hugepages = true;
  std::uint32_t buffers = 0;  // 0: auto
  std::uint32_t flow_entries = 0;
  bool lab = false;
  bool legacy = false;
};

struct port_settings {
  std::string name;
  std::string device;
  std::vector<ip_prefix> addresses;  // with their host bits
  std::uint16_t mtu = 0;             // 0: the device's
  std::uint16_t vlan = 0;            // 0: untagged
  driver_choice driver = driver_choice::automatic;
};

struct route_settings {
  ip_prefix to;
  ip_address via;    // family none: directly connected
  std::string port;  // empty: found from `via`
};

// Where a key is to be found; never the key.
struct key_reference {
  enum class kind : std::uint8_t { file, environment, credential };
  kind from = kind::file;
  std::string name;  // path, variable, or credential
  std::string path;  // of this reference in the configuration: "tunnels.hq.children.lan.manual.out.key"
  friend bool same_source(const key_reference& a, const key_reference& b) {
    return a.from == b.from && a.name == b.name;
  }
};

struct manual_sa {
  std::uint32_t spi = 0;
  key_reference key;
};

struct manual_keying {
  esp_suite suite = esp_suite::aes256gcm16;
  bool esn = false;
  manual_sa out, in;
};

enum class child_mode : std::uint8_t { tunnel, transport };
enum class outer_ecn : std::uint8_t { normal, compatibility };
enum class outer_df : std::uint8_t { copy, set, clear };

struct outer_settings {
  std::array<std::uint8_t, 64> dscp{};  // the outer DSCP for each inner one
  outer_ecn ecn = outer_ecn::normal;
  outer_df df = outer_df::copy;
  std::uint8_t hop_limit = 64;
  std::optional<std::uint32_t> flow_label;  // not given: copied
};

struct lifetime_settings {
  std::uint64_t packets = 0, bytes = 0, seconds = 0;  // 0: no limit
};

struct child_settings {
  std::string name;
  child_mode mode = child_mode::tunnel;
  std::vector<ip_range> local, remote;
  std::int16_t protocol = -1;  // -1: any
  number_range local_ports, remote_ports;
  std::string icmp;        // a type of ICMP message, for find_icmp(); empty: any
  std::uint64_t dscp = 0;  // bit n: class n; 0: any
  std::uint32_t replay_window = 0;
  std::uint16_t tfc_padding = 0;  // bytes; 0: off
  bool tfc_padding_to_mtu = false;
  outer_settings outer;
  lifetime_settings soft, hard;
  std::optional<manual_keying> manual;  // not given: keys come by IKE
  std::vector<proposal_settings> esp;   // by IKE only: what is offered and taken, the preferred first
  bool per_worker = false;              // by IKE only: one pair of SAs for each worker (RFC 9611)
};

struct udp_encapsulation_settings {
  bool enabled = false;
  std::uint16_t local_port = 4500, peer_port = 4500;
};

// A route-based tunnel's own interface in the kernel.
struct tunnel_interface_settings {
  std::string name;                  // a port name: rules may use it
  std::vector<ip_prefix> addresses;  // with their host bits
};

enum class start_mode : std::uint8_t {
  always,     // kept up for ever
  on_demand,  // when a packet wants it
  answer      // by the peer only
};
enum class revocation_check : std::uint8_t { off, soft, strict };

// A post-quantum pre-shared key (RFC 8784).
struct post_quantum_key_settings {
  std::string id;
  key_reference key;
  bool required = true;
};

// How the tunnel's IKE SA is made and kept.
struct ike_settings {
  // Who we are and how we prove it: a certificate and its key, or the pre-shared key below.
  std::string local_id;                        // empty: the certificate's first name, or the local address
  std::vector<std::string> certificate_files;  // PEM: ours, then intermediates; empty: pre-shared key
  std::optional<key_reference> private_key;
  // Who the peer must be.
  std::string remote_id;                         // empty: whatever its certificate proves, or its address
  std::vector<std::string> ca_files, crl_files;  // PEM; empty: pre-shared key
  revocation_check revocation = revocation_check::soft;
  std::optional<key_reference> psk;  // for both directions
  std::optional<post_quantum_key_settings> post_quantum_key;

  std::vector<proposal_settings> proposals;
  std::uint64_t lifetime_seconds = 0;        // until the IKE SA is rekeyed
  std::uint64_t reauthenticate_seconds = 0;  // 0: never
  std::uint64_t liveness_seconds = 0;        // of silence, until the peer is asked; 0: never
  start_mode start = start_mode::always;
  bool mobike = true;
  bool childless = false;            // RFC 6023: the IKE SA first, each child by CREATE_CHILD_SA
  bool force_encapsulation = false;  // ESP in UDP although there is no NAT
};

struct tunnel_settings {
  std::string name;
  ip_address local, peer;  // by IKE, `local` none: the address that reaches the peer; `peer` none: any, it comes to us
  udp_encapsulation_settings udp_encapsulation;  // with keys by hand only
  std::optional<ike_settings> ike{};             // not given: all children have keys by hand
  std::optional<tunnel_interface_settings> interface;
  std::vector<child_settings> children;
};

struct policy_settings {
  std::string name;
  std::string from = "any", to = "any";  // a port's name, "box", or "any"
  ip_range source, destination;
  std::int16_t protocol = -1;  // -1: any
  number_range source_ports, destination_ports;
  std::string icmp;        // as in child_settings
  std::uint64_t dscp = 0;  // as in child_settings
  rule_action action = rule_action::discard;
  bool both_ways = false;
};

struct monitoring_settings {
  bool allow_key_export = false;  // a tunnel's keys may be had over the control socket
};

struct configuration {
  gateway_settings gateway;
  std::vector<port_settings> ports;
  std::vector<route_settings> routes;
  std::vector<tunnel_settings> tunnels;
  std::vector<policy_settings> policies;
  monitoring_settings monitoring;
  std::string directory;  // of the file: relative key files start here
};

}  // namespace trunkgate
