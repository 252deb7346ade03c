// What a stage sees of the worker it runs on: the tables, the worker's own state, and the ways a packet can leave a
// stage.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>

#include <rte_ip_frag.h>
#include <rte_mbuf.h>

#include "dataplane/core/counter.hpp"
#include "dataplane/core/drop_reason.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/stages/ids.hpp"
#include "dataplane/stages/policer.hpp"
#include "dataplane/stages/watch.hpp"
#include "dataplane/state/flow_cache.hpp"
#include "dataplane/state/fragment_table.hpp"
#include "dataplane/state/tables.hpp"
#include "drivers/crypto/engine.hpp"

namespace trunkgate {

inline constexpr std::size_t burst_limit = 256;  // packets a stage gets at once

// Room for one value per packet of a burst. Not cleared: that would cost more than many a stage does.
template <class T>
class burst_array {
 public:
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);
  burst_array() noexcept {}
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return values_[i]; }
  [[nodiscard]] std::span<T> first(std::size_t count) noexcept { return {values_.data(), count}; }

 private:
  union {
    std::array<T, burst_limit> values_;
  };
};

// Packets that wait at a stage for its next run. Fixed room: what does not fit is dropped by name.
struct stage_queue {
  static constexpr std::size_t room = 2048;
  std::array<rte_mbuf*, room> packets;
  std::size_t count = 0;
};

struct stage_counters {
  counter packets, bursts, cycles;
};

// A neighbour the kernel should resolve, on its way to the control thread.
struct alignas(4) resolve_request {
  ip_address address;
  std::uint16_t port = no_port;
};

// ICMP errors that icmp_error makes out of the packet it gets; kept in packet_meta::error.
enum class icmp_error_kind : std::uint8_t { none, too_big, hop_limit_expired, no_route, unreachable };

// What the sender is told of a drop, if anything.
[[nodiscard]] constexpr icmp_error_kind error_for(drop_reason reason) noexcept {
  switch (reason) {
    case drop_reason::packet_too_big: return icmp_error_kind::too_big;
    case drop_reason::hop_limit_expired: return icmp_error_kind::hop_limit_expired;
    case drop_reason::no_route: return icmp_error_kind::no_route;
    case drop_reason::route_unreachable:
    case drop_reason::neighbour_unresolved: return icmp_error_kind::unreachable;
    default: return icmp_error_kind::none;
  }
}

// Where packets go that leave this worker; implemented by the pipeline over rings. Never blocks.
struct worker_outlets {
  void* pipeline;
  bool (*hand_over)(void* pipeline, std::uint16_t to_worker, rte_mbuf* packet) noexcept;  // false: ring full
  bool (*punt)(void* pipeline, rte_mbuf* packet) noexcept;                                // to the host thread
  bool (*resolve)(void* pipeline, const resolve_request& request) noexcept;
  bool (*tell)(void* pipeline, const api::event& event) noexcept;  // to the control thread
};

struct stage_context {
  // ---- inputs ----
  forwarding_tables& tables;
  const std::array<std::array<stage_id, stage_count>, path_count>& next;
  worker_outlets outlets;
  std::uint16_t worker;
  std::uint32_t generation = 0;  // of the tables, read at the start of the turn
  std::uint64_t now_ms = 0;      // since the process started
  std::uint64_t now_tsc = 0;
  worker_watch* watch = nullptr;  // nearly always: nobody watches; read at the start of the turn
  rte_mempool* pool = nullptr;
  // ---- the worker's own ----
  flow_cache flows;
  fragment_table fragments;
  crypto_worker crypto;
  iv_source ivs;
  punt_policer policer;
  rte_ip_frag_tbl* reassembly = nullptr;
  rte_ip_frag_death_row death_row{};
  unsigned fragments_held = 0, fragments_limit = 0;  // buffers in the reassembly table
  std::uint32_t outer_fragments = 0;                 // packets that fragment_outer has cut
  std::array<stage_queue, stage_count> queues;
  stage_queue waiting;  // for a neighbour's address
  // ---- outputs ----
  std::array<stage_counters, stage_count> stages;
  std::array<counter, drop_reason_count> drops;
  counter flow_hits, flow_misses, handed_over;
  std::uint64_t icmp_errors_left = 0;  // of this second
  std::uint64_t icmp_errors_second = 0;
  std::uint64_t last_resolve_ms = 0;  // of a neighbour that had failed
  std::uint64_t last_unknown_spi_ms = 0;
  std::array<counter, port_limit> punted;

  // Puts the packet before `stage`.
  [[gnu::always_inline]] void put(rte_mbuf* packet, stage_id stage) noexcept {
    auto& queue = queues[static_cast<std::size_t>(stage)];
    if (queue.count == stage_queue::room) [[unlikely]]
      return drop(packet, drop_reason::stage_queue_full);
    queue.packets[queue.count++] = packet;
  }
  // The packet goes to what follows `from` on its path.
  [[gnu::always_inline]] void go_on(rte_mbuf* packet, stage_id from) noexcept {
    put(packet, next[meta(packet).path][static_cast<std::size_t>(from)]);
  }
  // The same, past follow_fragments, which stands behind `from`, for what is no fragment: a stage less for most
  // packets.
  void go_on_to_selectors(rte_mbuf* packet, stage_id from) noexcept {
    if (meta(packet).fragment) [[unlikely]]
      return go_on(packet, from);
    go_on(packet, stage_id::follow_fragments);
  }
  // The packet changes to another path and goes on behind `from` there.
  [[gnu::always_inline]] void switch_path(rte_mbuf* packet, path_id path, stage_id from) noexcept {
    meta(packet).path = static_cast<std::uint8_t>(path);
    go_on(packet, from);
  }
  void drop(rte_mbuf* packet, drop_reason reason) noexcept {
    drops[static_cast<std::size_t>(reason)].add(1);
    if (watch != nullptr) [[unlikely]]
      watch->dropped(*this, packet, reason);
    rte_pktmbuf_free(packet);
  }
  // The same for a packet of an SA, which counts it too.
  void drop(rte_mbuf* packet, sa_counters& of, drop_reason reason) noexcept {
    of.dropped(reason);
    drop(packet, reason);
  }
  // The packet goes on at `stage` of the worker that owns what it needs there.
  void hand_over(rte_mbuf* packet, std::uint16_t to_worker, stage_id stage) noexcept {
    meta(packet).stage = static_cast<std::uint8_t>(stage);
    if (!outlets.hand_over(outlets.pipeline, to_worker, packet)) return drop(packet, drop_reason::handover_ring_full);
    handed_over.add(1);
  }
  // The packet becomes an ICMP error to its sender, and counts as dropped; `mtu` for packet_too_big. Without an error
  // for this reason it is just dropped.
  void answer_error(rte_mbuf* packet, drop_reason reason, std::uint16_t mtu = 0) noexcept {
    if (error_for(reason) == icmp_error_kind::none) return drop(packet, reason);
    auto& m = meta(packet);
    drops[static_cast<std::size_t>(reason)].add(1);
    m.error = static_cast<std::uint8_t>(error_for(reason));
    m.size_limit = mtu;
    m.path = static_cast<std::uint8_t>(path_id::errors);
    put(packet, stage_id::icmp_error);
  }
};

// A stage takes the packets that wait before it and hands each one on, or drops it by name.
using stage_function = void (*)(stage_context&, std::span<rte_mbuf* const>) noexcept;

void classify(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void reassemble(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
// Drops the fragments whose rest did not come in time; to be called now and then, with or without packets.
void expire_fragments(stage_context& context) noexcept;
void esp_decapsulate(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void follow_fragments(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
// Drops what waits for a first fragment that did not come in time; to be called now and then.
void expire_followed(stage_context& context) noexcept;
void verify_selectors(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void policy(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void mss_clamp(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void fragment(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void esp_encapsulate(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void fragment_outer(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void icmp_in(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void icmp_error(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void punt(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;
void forward(stage_context& context, std::span<rte_mbuf* const> burst) noexcept;

}  // namespace trunkgate
