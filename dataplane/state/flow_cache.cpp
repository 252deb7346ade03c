#include "dataplane/state/flow_cache.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <type_traits>

namespace trunkgate {

namespace {

// Without a branch per byte; the compiler makes three vector compares of it.
bool same(const flow_key& a, const flow_key& b) noexcept {
  const auto left = std::bit_cast<flow_words>(a), right = std::bit_cast<flow_words>(b);
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) difference |= left[i] ^ right[i];
  return difference == 0;
}

}  // namespace

flow_cache flow_cache::make(std::uint32_t entries) {
  constexpr std::uint32_t smallest = 64, largest = 1u << 28;
  const std::uint32_t count = std::bit_ceil(std::clamp(entries, smallest, largest));
  flow_cache cache;
  cache.entries_ = std::make_unique<entry[]>(count);
  cache.mask_ = count / ways - 1;
  return cache;
}

const flow_verdict* flow_cache::find(const flow_key& key, std::uint32_t hash, std::uint32_t generation) noexcept {
  entry* set = &entries_[std::size_t{hash & mask_} * ways];
  for (entry* at = set; at != set + ways; ++at)
    if (at->hash == hash && at->generation == generation && same(at->key, key)) {
      at->used = ++clock_;
      return &at->verdict;
    }
  return nullptr;
}

void flow_cache::store(const flow_key& key, std::uint32_t hash, std::uint32_t generation,
                       const flow_verdict& verdict) noexcept {
  entry* set = &entries_[std::size_t{hash & mask_} * ways];
  // The flow's own entry before a worthless one, a worthless one before the one not used for longest; of equals the
  // first, which prefetch() fetches.
  entry* victim = set;
  std::uint64_t best = 0;
  for (entry* at = set; at != set + ways; ++at) {
    std::uint64_t worth = clock_ - at->used;  // modulo 2^32: right across the clock's wrap
    if (at->hash == 0 || at->generation != generation) worth = 1ull << 32;
    if (at->hash == hash && at->key == key) worth = 1ull << 33;
    if (worth > best) {
      best = worth;
      victim = at;
    }
  }
  *victim = {.key = key, .hash = hash, .generation = generation, .used = ++clock_, .verdict = verdict};
}

}  // namespace trunkgate
