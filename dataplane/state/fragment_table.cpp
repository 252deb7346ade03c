#include "dataplane/state/fragment_table.hpp"

#include <random>
#include <utility>

#include "dataplane/state/crc_hash.hpp"

namespace trunkgate {

namespace {

constexpr std::uint32_t unit = 8, longest = 65535;

}  // namespace

fragment_table fragment_table::make() {
  fragment_table table;
  table.storage_ = std::make_unique<storage>();
  for (std::size_t i = 0; i < waiting_limit; ++i)
    table.storage_->slots[i] = {nullptr, static_cast<std::uint16_t>(i + 1 < waiting_limit ? i + 2 : 0)};
  table.free_slot_ = 1;
  table.seed_ = std::random_device{}();  // so that nobody outside can aim at one set
  return table;
}

fragment_table::datagram* fragment_table::find_or_make(const fragment_key& key, std::uint64_t now_ms) noexcept {
  const std::uint32_t hash = crc_hash(key, seed_);
  datagram* set = &storage_->datagrams[(hash % sets) * ways];
  datagram* room = nullptr;
  for (datagram* at = set; at != set + ways; ++at) {
    // One whose time is over is not gone on with; what waits there is for expire().
    const bool over = at->used && now_ms >= at->deadline_ms;
    if (over && at->waiting_count == 0) forget(*at);
    if (at->used && !over && at->key == key) return at;
    if (!at->used && room == nullptr) room = at;
  }
  if (room == nullptr) return nullptr;
  room->used = true;
  room->key = key;
  room->deadline_ms = now_ms + lifetime_ms;
  room->known = false;
  room->poison = drop_reason::none;
  room->total = room->received = room->piece_count = room->waiting_count = room->waiting_head = 0;
  ++datagrams_;
  return room;
}

// RFC 791 3.2, RFC 8200 4.5: pieces are whole numbers of eight bytes but for the last, and none reaches beyond 65,535.
// RFC 5722, RFC 8200 4.5: where two overlap, all of the datagram goes; an exact copy goes alone.
drop_reason fragment_table::add_piece(datagram& at, const fragment_part& part) noexcept {
  if (part.end <= part.first || part.end > longest || (part.more && part.end % unit != 0))
    return drop_reason::fragment_malformed;
  const piece fresh{static_cast<std::uint16_t>(part.first / unit),
                    static_cast<std::uint16_t>((part.end + unit - 1) / unit)};
  for (const piece& old : std::span(at.pieces).first(at.piece_count)) {
    if (old.first == fresh.first && old.end == fresh.end) return drop_reason::fragment_duplicate;
    if (fresh.first < old.end && old.first < fresh.end) return drop_reason::fragment_overlapping;
    if (!part.more && old.end > fresh.end) return drop_reason::fragment_malformed;  // behind the end
  }
  if (at.total != 0 && (!part.more || fresh.end > at.total)) return drop_reason::fragment_malformed;
  if (at.piece_count == pieces_per_datagram) return drop_reason::fragment_limit;
  at.pieces[at.piece_count++] = fresh;
  at.received = static_cast<std::uint16_t>(at.received + fresh.end - fresh.first);
  if (!part.more) at.total = fresh.end;
  return drop_reason::none;
}

fragment_table::verdict fragment_table::first(const fragment_key& key, const fragment_part& part,
                                              const transport_selectors& selectors, std::uint64_t now_ms) noexcept {
  datagram* at = find_or_make(key, now_ms);
  if (at == nullptr) return {.what = answer::drop, .why = drop_reason::fragment_limit};
  if (at->poison != drop_reason::none) return {.what = answer::drop, .why = at->poison};
  if (const auto wrong = add_piece(*at, part); wrong == drop_reason::fragment_duplicate)
    return {.what = answer::drop, .why = wrong};
  else if (wrong != drop_reason::none)
    return poison(*at, wrong);
  at->known = true;
  at->selectors = selectors;
  const verdict passed{.selectors = selectors, .waited = take_all_waiting(*at)};
  forget_if_whole(*at);
  return passed;
}

fragment_table::verdict fragment_table::later(const fragment_key& key, const fragment_part& part, rte_mbuf* packet,
                                              std::uint64_t now_ms) noexcept {
  datagram* at = find_or_make(key, now_ms);
  if (at == nullptr) return {.what = answer::drop, .why = drop_reason::fragment_limit};
  if (at->poison != drop_reason::none) return {.what = answer::drop, .why = at->poison};
  if (const auto wrong = add_piece(*at, part); wrong == drop_reason::fragment_duplicate)
    return {.what = answer::drop, .why = wrong};
  else if (wrong != drop_reason::none)
    return poison(*at, wrong);
  if (!at->known) return keep(*at, packet) ? verdict{.what = answer::wait} : poison(*at, drop_reason::fragment_limit);
  const verdict passed{.selectors = at->selectors};
  forget_if_whole(*at);
  return passed;
}

fragment_table::verdict fragment_table::refuse(const fragment_key& key, drop_reason why,
                                               std::uint64_t now_ms) noexcept {
  datagram* at = find_or_make(key, now_ms);
  if (at == nullptr) return {.what = answer::drop, .why = why};
  return poison(*at, why);
}

rte_mbuf* fragment_table::expire(std::uint64_t now_ms) noexcept {
  if (datagrams_ == 0) return nullptr;
  for (; swept_ < storage_->datagrams.size(); ++swept_) {
    datagram& at = storage_->datagrams[swept_];
    if (!at.used || now_ms < at.deadline_ms) continue;
    if (at.waiting_count != 0) return take_waiting(at);
    forget(at);
  }
  swept_ = 0;
  return nullptr;
}

bool fragment_table::keep(datagram& at, rte_mbuf* packet) noexcept {
  if (free_slot_ == 0 || at.waiting_count == waiting_per_datagram) return false;
  slot& taken = storage_->slots[free_slot_ - 1u];
  const std::uint16_t number = std::exchange(free_slot_, taken.next);
  taken = {packet, at.waiting_head};
  at.waiting_head = number;
  ++at.waiting_count;
  return true;
}

rte_mbuf* fragment_table::take_waiting(datagram& at) noexcept {
  slot& freed = storage_->slots[at.waiting_head - 1u];
  const std::uint16_t number = std::exchange(at.waiting_head, freed.next);
  freed.next = std::exchange(free_slot_, number);
  --at.waiting_count;
  return std::exchange(freed.packet, nullptr);
}

// In the order in which they came.
std::span<rte_mbuf* const> fragment_table::take_all_waiting(datagram& at) noexcept {
  const std::size_t count = at.waiting_count;
  for (std::size_t i = count; i-- > 0;) storage_->handed_back[i] = take_waiting(at);
  return std::span(storage_->handed_back).first(count);
}

fragment_table::verdict fragment_table::poison(datagram& at, drop_reason why) noexcept {
  at.poison = why;
  return {.what = answer::drop, .why = why, .waited = take_all_waiting(at)};
}

void fragment_table::forget_if_whole(datagram& at) noexcept {
  if (at.total != 0 && at.received == at.total) forget(at);
}

void fragment_table::forget(datagram& at) noexcept {
  at.used = false;
  --datagrams_;
}

}  // namespace trunkgate
