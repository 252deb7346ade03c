// What a change of the SPD costs with 100,000 SAs installed, counted as work and not as time: it must not grow with
// them.
#include <atomic>
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "dataplane/state/rcu.hpp"
#include "dataplane/state/spd.hpp"

namespace {

std::atomic<std::size_t> allocations{0}, allocated_bytes{0};

}  // namespace

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // those have allocation functions of their own
#define TRUNKGATE_COUNTS_ALLOCATIONS
// Of the whole program: it only counts.
void* operator new(std::size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  allocated_bytes.fetch_add(size, std::memory_order_relaxed);
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace trunkgate {
namespace {

outbound_sa* fake_sa(std::uintptr_t number) { return reinterpret_cast<outbound_sa*>(number * 64); }

// As a peer's tunnel: one network on this side, and one prefix, or a ragged range, of its own behind it.
api::sa_record numbered(std::uint32_t n, bool ragged) {
  api::sa_record record;
  record.order = n;
  record.local_count = record.remote_count = 1;
  record.local_ranges[0] = parse_ip_range("10.0.0.0/8").value();
  const std::uint32_t network = 0x40000000u + n * 64;
  if (ragged)
    record.remote_ranges[0] = {ip_address::v4(network + 3), ip_address::v4(network + 60)};
  else
    record.remote_ranges[0] = ip_prefix{ip_address::v4(network), 26};
  return record;
}

struct work {
  std::size_t allocations, bytes;
};
template <class Change>
work count(Change&& change) {
  const std::size_t before = allocations, bytes_before = allocated_bytes;
  change();
  return {allocations - before, allocated_bytes - bytes_before};
}

TEST(selector_work, of_one_sa_does_not_grow_with_the_others) {
#ifndef TRUNKGATE_COUNTS_ALLOCATIONS
  GTEST_SKIP() << "nothing counts allocations here";
#endif
  constexpr std::uint32_t present = 100'000;
  auto rcu = rcu_domain::make(1).value();
  auto table = selector_table::make(*rcu);
  for (const bool ragged : {false, true}) table->add(numbered(0, ragged), fake_sa(1 + ragged));
  const auto add = [&](std::uint32_t n, bool ragged) { table->add(numbered(n, ragged), fake_sa(n + 10)); };
  const auto remove = [&](std::uint32_t n, bool ragged) { table->remove(numbered(n, ragged), fake_sa(n + 10)); };
  const auto alone = count([&] { add(1, false); }), ragged_alone = count([&] { add(2, true); });
  const auto gone_alone = count([&] { remove(1, false); });
  for (std::uint32_t n = 3; n < present; ++n) add(n, n % 2 == 0);
  rcu->reclaim();
  const auto one = count([&] { add(present, false); }), ragged_one = count([&] { add(present + 1, true); });
  const auto gone = count([&] { remove(present, false); });
  EXPECT_EQ(one.allocations, alone.allocations);
  EXPECT_EQ(one.bytes, alone.bytes);
  EXPECT_EQ(ragged_one.allocations, ragged_alone.allocations);
  EXPECT_EQ(ragged_one.bytes, ragged_alone.bytes);
  EXPECT_EQ(gone.allocations, gone_alone.allocations);
  EXPECT_LT(one.bytes, 1024u);
}

}  // namespace
}  // namespace trunkgate
