// Security associations as the data path uses them: hot records, separate from what was configured.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/api/messages.hpp"
#include "dataplane/core/bytes.hpp"
#include "dataplane/core/counter.hpp"
#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/port_index.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/state/path_mtu.hpp"
#include "dataplane/state/replay_window.hpp"
#include "dataplane/state/sa_lifetime.hpp"
#include "dataplane/state/sequence_store.hpp"
#include "drivers/crypto/engine.hpp"

namespace trunkgate {

inline constexpr std::size_t outer_header_limit = 48;  // IPv6 and UDP

// Written by the worker that owns the SA, read by anybody.
struct sa_counters {
  counter packets, bytes;  // inner IP packets
  counter last_used_ms;    // TSC milliseconds
  counter replayed, integrity_failed, selector_mismatch, misdirected, malformed, dummies, after_expiry, other_drops;

  void dropped(drop_reason reason) noexcept;
};

// Where an SA comes from. Written once, by the control thread.
struct sa_origin {
  sequence_identity identity{};
  bool fresh_slot = false;  // its sequence numbers began with it
  std::uint64_t age = 0;    // of two SAs the later one has the higher number
  std::uint64_t installed_unix_ns = 0;
  std::uint64_t installed_ms = 0;  // monotonic
};

struct alignas(64) outbound_sa {
  // ---- read-only after installation: one cache line, with the template of IPv4 and UDP ----
  const esp_key* key = nullptr;
  learned_path_mtu learned_mtu;  // written by any worker, once in a while
  be32 spi{};
  std::uint16_t owner = 0;        // the one worker that numbers and encrypts
  std::uint16_t outer_sum = 0;    // of the IPv4 template's words (RFC 1071)
  std::uint16_t iv_epoch = 0;     // the top 16 bits of a counter IV
  std::uint16_t tfc_padding = 0;  // as in `record`
  std::uint8_t outer_length = 0;  // what is put in front of ESP: in tunnel mode IP; UDP if encapsulated
  std::uint8_t kept_length = 0;   // transport mode: the IP header that stays in front, without options
  std::uint8_t iv = 0, icv = 0, block = 0;
  std::uint8_t growth_limit = 0;  // bytes that it may put around a packet at most
  bool outer_v6 : 1 = false, udp : 1 = false, esn : 1 = false, counter_iv : 1 = false;
  bool transport : 1 = false;
  // What nearly every SA is: tunnel mode without padding, DSCP, ECN and DF copied as they are, and the flow label the
  // template's.
  bool plain : 1 = true;
  std::array<std::uint8_t, outer_header_limit>
      outer{};  // template: lengths, id, traffic class and checksum are filled per packet
  // ---- written by the owner: one cache line for the usual packet ----
  alignas(64) counter sequence;  // last used
  std::uint64_t reserved = 0;    // numbers up to here may be used without touching the slot
  sa_lifetime lifetime;
  sa_counters counters;
  std::uint64_t near_end = 0;  // somebody should know when it is used; told: above all
  sequence_slot* slot = nullptr;
  // ---- cold ----
  sa_origin origin;
  std::unique_ptr<esp_key> key_owner;
  api::sa_record record;                                      // without its key
  std::atomic<std::uint32_t> mtu_learned{0}, mtu_refused{0};  // reports of the path's MTU, by any worker

  // The largest inner packet whose protected form fits `path_mtu`, bytes (RFC 4303 2.4 padding included). In transport
  // mode that is the packet with its own IP header.
  [[nodiscard]] std::uint16_t inner_mtu(std::uint16_t path_mtu) const noexcept {
    const int room = path_mtu - kept_length - outer_length - 8 - iv - icv;
    return room < block ? 0 : static_cast<std::uint16_t>(kept_length + (room & -int{block}) - 2);  // a power of two
  }
  // What encapsulation reads and writes, on its way into the cache.
  void prefetch() const noexcept {
    __builtin_prefetch(this);
    if (outer_v6) __builtin_prefetch(outer.data() + outer.size() - 1);
    __builtin_prefetch(&sequence, 1);
  }
  // The next sequence number; 0 when they are used up (RFC 4303 3.3.3: never cycles). Owner only.
  [[nodiscard]] std::uint64_t next_sequence() noexcept;
};

// One range of IPv4 addresses on each side, host order, and whatever else there is; by default empty ranges.
struct ipv4_selectors {
  std::uint32_t remote_first = 1, remote_last = 0, local_first = 1, local_last = 0;
};

struct alignas(64) inbound_sa {
  // ---- read-only after installation: one cache line ----
  const esp_key* key = nullptr;
  std::uint16_t owner = 0;
  // The port where its packets come in; no_port: the one that their ESP came in at.
  std::atomic<std::uint16_t> port{no_port};
  std::uint8_t iv = 0, icv = 0, block = 0;
  bool udp : 1 = false, esn : 1 = false, transport : 1 = false;
  bool follow_peer : 1 = false;
  ip_address local, remote;  // outer addresses, as in `record`
  // ---- read or written by the owner: two cache lines for the usual packet ----
  alignas(64) replay_window window{64};
  sa_lifetime lifetime;
  sequence_slot* slot = nullptr;
  ipv4_selectors usual_selectors;  // part of what `record` allows
  sa_counters counters;
  std::uint64_t peer_told_ms = 0;  // when it was told last that the peer is elsewhere
  // ---- cold ----
  sa_origin origin;
  std::unique_ptr<esp_key> key_owner;
  api::sa_record record;  // without its key

  // What decapsulation reads and writes, on its way into the cache.
  void prefetch() const noexcept {
    __builtin_prefetch(&window, 1);
    __builtin_prefetch(&counters, 1);
  }
  [[nodiscard]] std::uint64_t highest_accepted() const noexcept {
    return slot->highest_accepted.load(std::memory_order_relaxed);
  }
};

// Numbers reserved at a time in the slot: a process that dies wastes at most this many.
inline constexpr std::uint64_t sequence_reservation = 1u << 16;

inline constexpr std::uint64_t above_all = ~0ull;  // what outbound_sa::near_end is once it was told

[[nodiscard]] constexpr std::uint64_t last_sequence(bool esn) { return esn ? ~0ull : 0xffffffffull; }

inline std::uint64_t outbound_sa::next_sequence() noexcept {
  const std::uint64_t limit = last_sequence(esn);
  const std::uint64_t last = sequence.get();
  if (last >= limit) return 0;
  const std::uint64_t next = last + 1;
  sequence.set(next);
  if (next > reserved) {
    reserved = limit - next < sequence_reservation ? limit : next + sequence_reservation;
    if (next >= near_end)
      lifetime.make_due();
    else if (reserved >= near_end)
      reserved = near_end - 1;
    slot->reserved.store(reserved, std::memory_order_release);  // before the number goes on the wire
  }
  return next;
}

// CLOCK_MONOTONIC, by which lifetimes go.
[[nodiscard]] std::uint64_t monotonic_ms();

// Who an SA is: direction, suite, SPI and key; with a key by hand, which may serve several peers, also the endpoints.
// Two SAs share sequence numbers only if all of it is the same.
[[nodiscard]] sequence_identity identify(const api::sa_record& record);

// Build the hot record from what was asked for. `record.key` is wiped. The slot's numbers are taken up: an outbound SA
// goes on above its reservation, an inbound one refuses what was accepted before. Control thread.
[[nodiscard]] result<std::unique_ptr<outbound_sa>> make_outbound_sa(api::sa_record& record,
                                                                    const crypto_engines& engines,
                                                                    sequence_store& store, std::uint16_t owner);
[[nodiscard]] result<std::unique_ptr<inbound_sa>> make_inbound_sa(api::sa_record& record, const crypto_engines& engines,
                                                                  sequence_store& store, std::uint16_t owner);

// The SA is as `record` says from now on, but for who it is: its key, numbers, window and counters go on. No worker may
// know it meanwhile. Control thread.
void reshape(outbound_sa& sa, const api::sa_record& record);
void reshape(inbound_sa& sa, const api::sa_record& record);

}  // namespace trunkgate
