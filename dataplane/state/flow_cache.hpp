// A worker's memory of what policy and routing said about a flow. One thread; no allocation after make().
#pragma once

#include <bit>
#include <cstdint>
#include <memory>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/port_index.hpp"
#include "dataplane/state/flow_key.hpp"

namespace trunkgate {

struct outbound_sa;
struct trap;
struct adjacency;

struct flow_verdict {
  std::uint8_t path = 0;  // path_id; with a drop it does not count
  drop_reason drop = drop_reason::none;
  std::uint16_t egress = no_port;
  outbound_sa* sa = nullptr;
  adjacency* next_hop = nullptr;  // nullptr: forward asks the FIB
  trap* demanded = nullptr;       // dropped for want of an SA of this child
};

// Set-associative: four entries to a set, the oldest use is replaced. An entry of another generation is a miss: so
// table changes invalidate lazily and no pointer outlives its object (objects are retired after the generation was
// bumped).
class flow_cache {
 public:
  [[nodiscard]] static flow_cache make(std::uint32_t entries);  // rounded up to a power of two, at least 64
  flow_cache(flow_cache&&) noexcept = default;
  flow_cache& operator=(flow_cache&&) noexcept = default;

  [[nodiscard]] const flow_verdict* find(const flow_key& key, std::uint32_t hash, std::uint32_t generation) noexcept;
  void store(const flow_key& key, std::uint32_t hash, std::uint32_t generation, const flow_verdict& verdict) noexcept;
  void prefetch(std::uint32_t hash) const noexcept {
    const auto* first = &entries_[std::size_t{hash & mask_} * ways];
    __builtin_prefetch(first);
    __builtin_prefetch(&first->verdict);
  }

  [[nodiscard]] static std::uint32_t hash(const flow_words& key) noexcept;  // never 0
  [[nodiscard]] static std::uint32_t hash(const flow_key& key) noexcept { return hash(std::bit_cast<flow_words>(key)); }

 private:
  flow_cache() = default;
  [[nodiscard]] static std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept;
  static constexpr unsigned ways = 4;
  struct alignas(64) entry {  // what is compared in one cache line, what is taken from it in the next
    flow_key key;
    std::uint32_t hash = 0;
    std::uint32_t generation = 0;
    std::uint32_t used = 0;
    alignas(64) flow_verdict verdict;
  };
  std::unique_ptr<entry[]> entries_;
  std::uint32_t mask_ = 0;  // of sets
  std::uint32_t clock_ = 0;
};

// Two of the key's words in one, each bit of the result from all of both: the halves of their product.
inline std::uint64_t flow_cache::mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9e37'79b9'7f4a'7c15) * (b ^ 0xd1b5'4a32'd192'ed03);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Of IPv4, the addresses' front words are half a word each, and their back words nothing: together they lose no bit.
inline std::uint32_t flow_cache::hash(const flow_words& key) noexcept {
  const std::uint64_t front = key[0] + std::rotl(key[2], 32), back = key[1] + std::rotl(key[3], 32);
  const std::uint64_t mixed = mix(front, key[4]) + mix(back, std::rotl(key[5], 24));
  const auto value = static_cast<std::uint32_t>(mixed ^ mixed >> 32);
  return value == 0 ? 1 : value;
}

}  // namespace trunkgate
