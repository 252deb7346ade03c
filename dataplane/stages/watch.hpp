// The worker's end of a watch (`trunkgate trace`, `trunkgate capture`): it notes what happens to the packets that the
// filter names, as fixed-size records in a ring that the control thread empties. Numbers only: names come later.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <span>

#include <rte_mbuf.h>

#include "dataplane/core/counter.hpp"
#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/watch_event.hpp"
#include "dataplane/packet/meta.hpp"
#include "dataplane/packet/watch_filter.hpp"
#include "dataplane/stages/ids.hpp"

namespace trunkgate {

struct stage_context;

enum class watch_sa : std::uint8_t { none, out, in };

struct watch_record {
  std::uint64_t tsc = 0;
  watch_event event{};
  std::uint8_t trace_id = 0;
  stage_id stage{};
  std::uint8_t path = 0;                 // path_id
  drop_reason drop = drop_reason::none;  // why, or on the path `errors` what the sender is told
  std::uint8_t protocol = 0, ip_version = 0;
  std::uint16_t error_mtu = 0;
  std::uint16_t worker = 0;
  std::uint16_t ingress = no_port, egress = no_port;
  std::uint16_t source_port = 0, destination_port = 0;
  bool has_ports = false;
  bool inner = false;   // dropped: it was what a tunnel carries, in clear
  bool framed = false;  // the bytes begin with an Ethernet header
  watch_sa sa = watch_sa::none;
  std::uint32_t spi = 0;     // of `sa`, host order
  std::uint32_t length = 0;  // of the packet as it is now, with its frame header if it has one
  std::uint32_t captured = 0;
  std::uint16_t position = 0;  // in its burst, while it is not sent yet
  packet_addresses addresses{};
};

// Single-producer, single-consumer ring of records, each with room for a packet's bytes behind it. A record is filled
// in place, and may be filled without being shown yet.
class watch_ring {
 public:
  // `memory` is room for `slots` (a power of two) of slot_size(captured) bytes, aligned to 64.
  watch_ring(std::uint8_t* memory, std::uint32_t slots, std::uint32_t captured) noexcept
      : memory_(memory), slots_(slots), captured_(captured) {}
  [[nodiscard]] static constexpr std::size_t slot_size(std::uint32_t captured) noexcept {
    return (sizeof(watch_record) + captured + 63) / 64 * 64;
  }
  [[nodiscard]] static std::uint8_t* bytes_of(watch_record* record) noexcept {
    return reinterpret_cast<std::uint8_t*>(record + 1);
  }
  [[nodiscard]] static const std::uint8_t* bytes_of(const watch_record* record) noexcept {
    return reinterpret_cast<const std::uint8_t*>(record + 1);
  }
  [[nodiscard]] std::uint32_t captured() const noexcept { return captured_; }

  // ---- worker ----
  // The next free slot, not shown before publish(); nullptr: full, one more record is lost.
  [[nodiscard]] watch_record* stage() noexcept {
    const auto at = tail_.load(std::memory_order_relaxed) + staged_;
    if (at - head_.load(std::memory_order_acquire) >= slots_) {
      lost.add(1);
      return nullptr;
    }
    ++staged_;
    return slot(at);
  }
  [[nodiscard]] watch_record* staged(std::uint32_t i) noexcept {
    return slot(tail_.load(std::memory_order_relaxed) + i);
  }
  [[nodiscard]] std::uint32_t staged_count() const noexcept { return staged_; }
  // Shows the first `count` of the staged records and forgets the others.
  void publish(std::uint32_t count) noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + count, std::memory_order_release);
    staged_ = 0;
  }

  // ---- control thread ----
  [[nodiscard]] const watch_record* front() noexcept {
    const auto at = head_.load(std::memory_order_relaxed);
    return at == tail_.load(std::memory_order_acquire) ? nullptr : slot(at);
  }
  void pop() noexcept { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  counter lost;  // records for which there was no room

 private:
  [[nodiscard]] watch_record* slot(std::uint32_t at) noexcept {
    return reinterpret_cast<watch_record*>(memory_ + (at & (slots_ - 1)) * slot_size(captured_));
  }
  std::uint8_t* memory_;
  std::uint32_t slots_, captured_;
  std::uint32_t staged_ = 0;
  alignas(64) std::atomic<std::uint32_t> tail_{0};
  alignas(64) std::atomic<std::uint32_t> head_{0};
};

// What all workers share: written before the watch is published, but for `begun`.
struct watch_plan {
  watch_filter filter;
  bool capture = false;              // else a trace
  bool wire = false, inner = false;  // views of a capture
  std::uint8_t first_id = 1;         // a trace gives its packets first_id and on, a capture gives first_id to all
  std::uint32_t limit = 0;           // packets to trace, at most 200
  alignas(64) std::atomic<std::uint32_t> begun{0};  // packets traced so far

  static constexpr std::uint32_t ids = 255;  // 1 to 255; 0 is for packets that nobody watches
  [[nodiscard]] std::uint8_t id(std::uint32_t n) const noexcept {
    return static_cast<std::uint8_t>((first_id - 1u + n) % ids + 1);
  }
};

// Worker thread; the control thread only at `ring`'s other end.
class worker_watch {
 public:
  worker_watch(watch_plan& plan, std::uint8_t* memory, std::uint32_t slots, std::uint32_t captured) noexcept
      : ring(memory, slots, captured), plan_(plan) {}

  // The burst is about to run through `stage`.
  void entered(const stage_context& context, stage_id stage, std::span<rte_mbuf* const> burst) noexcept;
  void dropped(const stage_context& context, rte_mbuf* packet, drop_reason reason) noexcept;
  // Around the moment in which packets become somebody else's: notes them before, shows the first `taken` after it.
  void leaving(const stage_context& context, watch_event event, std::span<rte_mbuf* const> packets) noexcept;
  void left(std::size_t taken) noexcept;

  watch_ring ring;

 private:
  [[nodiscard]] bool watched(const packet_meta& m) const noexcept;
  [[nodiscard]] bool begin(const stage_context& context, stage_id stage, rte_mbuf* packet) noexcept;
  void note_begun(const stage_context& context, stage_id stage, rte_mbuf* packet) noexcept;
  void note_entered(const stage_context& context, stage_id stage, rte_mbuf* packet, std::uint64_t tsc) noexcept;
  void capture_inner(const stage_context& context, stage_id stage, rte_mbuf* packet, std::uint64_t tsc) noexcept;
  [[nodiscard]] watch_record* note(const stage_context& context, watch_event event, rte_mbuf* packet,
                                   std::uint64_t tsc) noexcept;
  void copy(watch_record* record, rte_mbuf* packet, std::uint32_t skipped,
            std::uint32_t limit = UINT32_MAX) const noexcept;

  watch_plan& plan_;
  stage_id stage_{};  // that runs
};

}  // namespace trunkgate
