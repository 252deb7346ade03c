// What the control plane and the data plane say to each other over one Unix SEQPACKET socket: versioned plain structs.
//
// One message is a header and at most one record. Requests are answered in order, each by `ok` or `failed`; a dump is
// answered by `record`s and then `ok`. After `subscribe` the events that are kept come as `event`, and then each new
// one as it happens, between other answers. A batch (begin, puts, commit) is applied whole at `commit` or not at all;
// with `begin.replace` it is the whole wanted state of the configuration: what it does not name is removed, what it
// names unchanged is not touched. Negotiated SAs are no part of it: batches without `replace` add, move and remove
// them. A put that is refused ends the batch, so that puts and commit may be sent without waiting for each answer. A
// watch is answered by `ok` and then `record`s (kind watched) for as long as it lasts: until the client closes, or
// sends `unwatch`; then come the records that are left, one with the event `ended`, and `ok`. All integers are in host
// byte order unless a be type says otherwise: both ends are on one machine.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "dataplane/core/ip.hpp"
#include "dataplane/core/suite.hpp"
#include "dataplane/core/watch_event.hpp"

namespace trunkgate::api {

inline constexpr std::uint32_t magic = 0x54474154;  // "TGAT"
inline constexpr std::uint16_t version = 2;
inline constexpr std::size_t message_limit = 12288;  // no message is larger; a longer one is refused unread
inline constexpr std::string_view default_socket = "/run/trunkgate/dataplane.sock";

// A zero-terminated name inside a struct; longer ones are cut.
template <std::size_t N>
struct text {
  char bytes[N]{};
  text() = default;
  explicit text(std::string_view value) { std::copy_n(value.begin(), std::min(value.size(), N - 1), bytes); }
  [[nodiscard]] std::string_view view() const { return {bytes, strnlen(bytes, N)}; }
  friend bool operator==(const text&, const text&) = default;
};
using name = text<64>;

enum class message_type : std::uint16_t {
  // requests
  batch_begin = 1,
  put_gateway,
  put_port,
  put_route,
  put_policy,
  put_sa,
  remove_sa,  // an sa_record of which direction and spi count, and `remote` if outbound; or direction and pair
  batch_commit,
  dump,
  shutdown,
  watch,      // a watch_request; one client at a time
  unwatch,    // ends this client's watch
  subscribe,  // from now on this connection gets `event`s
  put_trap,   // in a batch with `replace`
  move_sa,    // a move_record
  use,        // pairs as 32-bit numbers, use_limit at most; none: all. Answered by `record`s and then `ok`
  // answers
  ok = 100,
  failed,
  record,
  event,  // unasked: an api::event
};

enum class record_kind : std::uint16_t {
  none,
  gateway,     // gateway_status
  ports,       // port_status
  sas,         // sa_status
  policies,    // policy_status
  routes,      // route_status
  stages,      // stage_status, one per worker and stage
  workers,     // worker_status
  drops,       // drop_status, one per worker and reason that is not 0
  watched,     // watched, and the bytes of the packet behind it
  algorithms,  // algorithm_status
  events,      // event: the last ones, oldest first
  uses         // sa_use, as many as fit
};

struct header {
  std::uint32_t magic = api::magic;
  std::uint16_t version = api::version;
  message_type type{};
  record_kind kind = record_kind::none;  // for dump (what is wanted) and record (what follows)
  std::uint16_t length = 0;              // bytes behind this header
  std::uint32_t request = 0;             // copied into every answer
};
static_assert(sizeof(header) == 16);

struct batch_begin {
  std::uint8_t replace = 1;
};

struct failed {
  text<512> reason;  // names the object that was refused
};

// `tunnel`: no device: the interface of a route-based tunnel, named by its SAs.
enum class port_driver_kind : std::uint8_t { automatic, af_packet, af_xdp, vfio, pcap, ring, null, memif, tap, tunnel };

// Fixed for the life of a data plane process: a change is refused with a reason that asks for a restart.
struct gateway_record {
  name gateway_name;
  std::uint16_t workers = 0;       // 0: one per core this process may use, less one
  std::uint8_t busy_poll = 0;      // 1: a worker never sleeps
  std::uint8_t hugepages = 1;      // 0: do not ask for them
  std::uint16_t max_mtu = 1500;    // sizes the packet buffers: 1500 to 9000
  std::uint32_t buffers = 0;       // packet buffers in the pool; 0: chosen from ports and workers
  std::uint32_t flow_entries = 0;  // flow cache entries per worker; 0: 65536
  friend bool operator==(const gateway_record&, const gateway_record&) = default;
};

inline constexpr std::size_t addresses_per_port = 8;
struct port_record {
  name port;
  text<128> device;  // netdev name, PCI address, or the arguments of a test driver
  port_driver_kind driver = port_driver_kind::automatic;
  std::uint16_t vlan = 0;  // 0: untagged frames
  std::uint16_t mtu = 0;   // 0: the device's
  std::uint16_t address_count = 0;
  std::array<ip_prefix, addresses_per_port> addresses;
  friend bool operator==(const port_record&, const port_record&) = default;
};

struct route_record {
  ip_prefix destination;
  ip_address via;  // family none: directly connected
  name port;       // empty: the kernel finds it from `via`
  friend bool operator==(const route_record&, const route_record&) = default;
};

enum class policy_action : std::uint8_t { bypass, discard, protect };
struct port_range {
  std::uint16_t first = 0, last = 65535;
  [[nodiscard]] bool any() const { return first == 0 && last == 65535; }
  friend bool operator==(const port_range&, const port_range&) = default;
};

inline constexpr std::string_view any_port = "";
inline constexpr std::string_view box_port = "box";  // the gateway itself, as a policy's `from` or `to`

// One direction of an operator's rule; the order of the puts is the order of the rules.
struct policy_record {
  name policy;
  name from, to;                 // port names, box_port, or any_port
  ip_range source, destination;  // any(): every address of either family
  std::int16_t protocol = -1;    // -1: any
  policy_action action = policy_action::discard;
  port_range source_ports, destination_ports;  // as in sa_record
  std::uint64_t dscp = 0;                      // as in sa_record
  friend bool operator==(const policy_record&, const policy_record&) = default;
};

enum class sa_direction : std::uint8_t { outbound, inbound };
enum class sa_mode : std::uint8_t { tunnel, transport };
enum class ecn_mode : std::uint8_t { normal, compatibility };  // RFC 6040 4.1; decapsulation knows no modes
enum class df_mode : std::uint8_t { copy, set, clear };

inline constexpr std::size_t dscp_count = 64;
inline constexpr std::array<std::uint8_t, dscp_count> dscp_copied = [] {
  std::array<std::uint8_t, dscp_count> same{};
  for (std::size_t i = 0; i < dscp_count; ++i) same[i] = static_cast<std::uint8_t>(i);
  return same;
}();
inline constexpr std::uint32_t flow_label_copy = 0xffff'ffff;

// How the outer header of a tunnel mode SA comes about (RFC 4301 5.1.2). Outbound only.
struct outer_header {
  std::array<std::uint8_t, dscp_count> dscp = dscp_copied;  // the outer DSCP for each inner one
  ecn_mode ecn = ecn_mode::normal;
  df_mode df = df_mode::copy;  // of an IPv4 outer header; an inner IPv6 packet counts as DF
  std::uint8_t hop_limit = 64;
  std::uint32_t flow_label = 0;  // of an IPv6 outer header: 20 bits, or flow_label_copy
  friend bool operator==(const outer_header&, const outer_header&) = default;
};

// What an SA may carry before it is to be replaced (soft) or stops (hard): RFC 4301 4.4.2.1. 0: no limit.
struct lifetime_limits {
  std::uint64_t packets = 0, bytes = 0, seconds = 0;  // bytes of inner IP packets
  friend bool operator==(const lifetime_limits&, const lifetime_limits&) = default;
};

inline constexpr std::size_t ranges_per_side = 8;

// Whose packets (RFC 4301 4.4.1.1). "local" is always this gateway's side, "remote" the peer's, in both directions.
struct selector_record {
  name tunnel, child;
  name interface;           // a port of the kind `tunnel`: routes lead there, the selectors do not; empty: they do
  std::uint32_t order = 0;  // place of the child in the configuration: the lower wins where selectors overlap
  std::int16_t protocol = -1;
  // Of TCP, UDP and SCTP. Of ICMP, type << 8 | code, and then the same on both sides (RFC 4301 4.4.1.1).
  port_range local_ports, remote_ports;
  std::uint64_t dscp = 0;  // bit n: it takes packets of class n; 0: of any. Outbound only (RFC 4301 4.1)
  std::uint16_t local_count = 0, remote_count = 0;
  std::array<ip_range, ranges_per_side> local_ranges, remote_ranges;
  friend bool operator==(const selector_record&, const selector_record&) = default;
};

// A child that is keyed by IKE: its packets are protected by an SA of it, or dropped, and an `acquire` is told (RFC
// 4301 4.4.1.2). Known by tunnel and child.
struct trap_record : selector_record {
  friend bool operator==(const trap_record&, const trap_record&) = default;
};

inline constexpr std::uint16_t tfc_padding_to_mtu = 0xffff;
inline constexpr std::uint16_t any_worker = 0xffff, worker_limit = 64;
inline constexpr std::size_t key_limit = 104;
static_assert(std::ranges::all_of(esp_suites, [](const auto& row) { return row.key_material() <= key_limit; }));

// negotiated: the control plane made the key and puts it in once; when the SA goes, neither comes back.
// manual: by hand. It may be installed again, so its sequence numbers are kept when it goes.
enum class sa_keying : std::uint8_t { negotiated, manual };

// One SA.
struct sa_record : selector_record {
  sa_direction direction = sa_direction::outbound;
  esp_suite suite = esp_suite::aes256gcm16;
  std::uint8_t esn = 0;
  std::uint8_t udp_encapsulation = 0;  // RFC 3948
  sa_mode mode = sa_mode::tunnel;
  sa_keying keying = sa_keying::negotiated;
  // Inbound, in UDP: a packet that moves the replay window forward may come from elsewhere, and that is told as
  // `peer_moved` (RFC 7296 2.23). What is sent goes where it went until move_sa.
  std::uint8_t follow_peer = 0;
  std::uint16_t worker = any_worker;  // outbound: for the packets of this worker first (RFC 9611)
  std::uint16_t tfc_padding = 0;      // inner packets are padded to this size (RFC 4303 2.7); 0: not
  outer_header outer;
  lifetime_limits soft, hard;
  std::uint16_t local_port = 4500, remote_port = 4500;
  std::uint32_t spi = 0;
  std::uint32_t pair = 0;              // negotiated: the inbound SPI of the two, by which both are known; 0: by none
  std::uint32_t replay_window = 4096;  // packets, 64 to 65536; inbound only
  ip_address local, remote;            // outer addresses
  std::uint8_t key_length = 0;
  std::array<std::uint8_t, key_limit> key{};  // info(suite).key_material() bytes; wiped by each reader after use
  friend bool operator==(const sa_record&, const sa_record&) = default;
};

// One direction of a negotiated pair travels another way from now on. Numbers, window and counters go on.
struct move_record {
  std::uint32_t pair = 0;
  sa_direction direction = sa_direction::outbound;
  std::uint8_t udp_encapsulation = 0;
  std::uint8_t follow_peer = 0;
  std::uint16_t local_port = 4500, remote_port = 4500;
  ip_address local, remote;
};

enum class watch_mode : std::uint8_t { trace, capture };
inline constexpr std::uint32_t trace_limit = 200;     // packets of one trace
inline constexpr std::uint32_t capture_bytes = 8192;  // of one packet

// Which packets, and what of them. With no tunnel and no prefix: all.
struct watch_request {
  watch_mode mode = watch_mode::trace;
  std::uint8_t wire = 0, inner = 0;  // the views of a capture
  std::uint32_t count = 10;          // packets of a trace
  name tunnel;                       // what its selectors name, and what goes between its ends
  ip_prefix from, to;                // family none: any. Both ways round
};

// ---- what a watch answers ----

struct watched {
  std::uint64_t unix_ns = 0;
  std::uint64_t lost = 0;  // records that found no room, since the watch began
  watch_event event{};
  std::uint8_t packet = 0;  // of a trace: the same number in every record of a packet
  std::uint8_t reason = 0;  // trunkgate::drop_reason: why, or on the path "errors" what the sender is told
  std::uint8_t protocol = 0, ip_version = 0;
  std::uint8_t has_ports = 0;
  std::uint8_t inner = 0;   // dropped: it was what a tunnel carries
  std::uint8_t framed = 0;  // the bytes begin with an Ethernet header
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint16_t error_mtu = 0;
  std::uint16_t worker = 0;
  std::uint32_t spi = 0;  // of the SA that the packet meets; 0: none
  std::uint32_t length = 0, captured = 0;
  ip_address source, destination;
  text<24> stage;
  text<16> path;
  name ingress, egress;
  name tunnel, child;  // of the SA
};

// ---- what dumps answer ----

struct gateway_status {
  gateway_record configured;
  std::uint64_t started_unix_ns = 0;
  std::uint32_t pid = 0;
  std::uint64_t instance = 0;  // of this process; no other has the same
  std::uint16_t workers = 0;
  std::uint8_t hugepages = 0;
  std::uint8_t sequences_survive = 0;  // a supervisor holds the sequence store
  std::uint32_t buffers = 0, buffers_free = 0;
  std::uint64_t generation = 0;  // of the tables
  std::uint64_t tsc_hz = 0;
};

struct port_status {
  port_record configured;
  text<32> path;   // what carries the packets: "af_packet", "af_xdp", "vfio (net_ixgbe)", ...
  text<160> note;  // why not a better path, or why it is down
  text<16> tap;    // the kernel's side
  std::array<std::uint8_t, 6> mac{};
  std::uint16_t mtu = 0, queues = 0;
  std::uint8_t up = 0, rss = 0;
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  std::uint64_t rx_dropped = 0, tx_dropped = 0;  // by the device or kernel, and by a full transmit queue
  std::uint64_t punted = 0, from_box = 0;
};

enum class sa_limit : std::uint8_t { none, packets, bytes, seconds, sequence };

struct sa_status {
  name tunnel, child;
  name interface;  // empty: its selectors lead into it
  sa_direction direction{};
  esp_suite suite{};
  sa_mode mode{};
  sa_limit softened = sa_limit::none;  // the limit that was reached
  sa_limit expired = sa_limit::none;   // as above; the SA carries nothing any more
  std::uint16_t tfc_padding = 0;
  outer_header outer;
  lifetime_limits soft, hard;
  std::uint8_t esn = 0, udp_encapsulation = 0;
  std::uint16_t local_port = 0, remote_port = 0, worker = 0;
  std::uint32_t spi = 0, replay_window = 0, order = 0;
  ip_address local, remote;
  std::int16_t protocol = -1;
  port_range local_ports, remote_ports;
  std::uint64_t dscp = 0;
  std::uint16_t local_count = 0, remote_count = 0;
  std::array<ip_range, ranges_per_side> local_ranges, remote_ranges;
  text<16> engine;
  std::uint64_t installed_unix_ns = 0, last_used_unix_ns = 0;
  std::uint64_t installed_seconds = 0;   // on the monotonic clock, by which lifetimes go
  std::uint64_t packets = 0, bytes = 0;  // bytes of inner IP packets
  std::uint64_t sequence = 0;            // last sent, or highest accepted
  std::uint64_t replayed = 0, integrity_failed = 0, selector_mismatch = 0;
  std::uint64_t misdirected = 0;  // other addresses or encapsulation than the SA's
  std::uint64_t malformed = 0;    // lengths, padding or next header are not those of RFC 4303
  std::uint64_t dummies = 0;      // RFC 4303 2.6
  std::uint64_t after_expiry = 0;
  std::uint64_t other_drops = 0;
  std::uint64_t path_mtu_age_ms = 0;
  std::uint32_t path_mtu_learned = 0, path_mtu_refused = 0;  // ICMP reports about this SA's packets
  std::uint16_t path_mtu = 0;                                // as reported by the network; 0: the port's
};

enum class event_kind : std::uint8_t {
  started,             // the data plane runs
  soft_expire,         // an SA should be replaced
  hard_expire,         // an SA stopped
  sequence_near_end,   // an outbound SA has used 15/16 of its sequence numbers
  sequence_exhausted,  // an outbound SA stopped: it has used its last one
  unknown_spi,         // ESP for this gateway that no SA is for; at most one a second
  acquire,             // a packet wants a child that has no SA; at most one a second and child
  peer_moved,          // authentic ESP came from another address or port than the SA's; at most one a second and SA
};

// What happened. Numbers rise by one: a gap says that this reader was too slow for what lay between.
struct event {
  std::uint64_t number = 0;
  std::uint64_t unix_ns = 0;  // later than the event before
  std::uint64_t value = 0;    // of the limit
  event_kind kind{};
  sa_limit limit = sa_limit::none;  // which was reached
  sa_direction direction{};
  std::uint32_t spi = 0;
  name tunnel, child;             // empty for what concerns no SA
  ip_address source;              // of unknown_spi and peer_moved
  std::uint16_t source_port = 0;  // of peer_moved
  std::uint32_t pair = 0;         // as in sa_record
};

// How much one SA of a negotiated pair has carried.
struct sa_use {
  std::uint32_t pair = 0;
  sa_direction direction{};
  std::uint64_t packets = 0, bytes = 0;  // bytes of inner IP packets
  std::uint64_t idle_ms = 0;             // since its last packet (inbound: that was authentic), or since it is there
};
inline constexpr std::size_t use_limit = (message_limit - sizeof(header)) / sizeof(std::uint32_t);
inline constexpr std::size_t uses_per_message = (message_limit - sizeof(header)) / sizeof(sa_use);

struct policy_status {
  policy_record configured;
  std::uint32_t order = 0;
  std::uint64_t flows = 0;  // flows that matched first here
};

enum class route_kind : std::uint8_t { forward, local, unreachable };
struct route_status {
  ip_prefix destination;
  ip_address via;
  name port;
  route_kind kind{};
  std::uint8_t resolved = 0;
  std::array<std::uint8_t, 6> neighbour_mac{};
};

struct stage_status {
  text<24> stage;
  std::uint16_t worker = 0;
  std::uint64_t packets = 0, bursts = 0, cycles = 0;
};

struct worker_status {
  std::uint16_t worker = 0;
  std::int16_t cpu = -1;
  std::uint64_t busy_cycles = 0, idle_cycles = 0, sleeps = 0, flow_hits = 0, flow_misses = 0, handed_over = 0;
};

struct drop_status {
  std::uint16_t worker = 0;
  std::uint8_t reason = 0;  // trunkgate::drop_reason
  std::uint64_t packets = 0;
};

struct algorithm_status {
  text<32> algorithm;
  text<16> engine;
  text<96> note;  // why not another engine
};

}  // namespace trunkgate::api
