#include "dataplane/state/rcu.hpp"

#include <cassert>
#include <cstring>
#include <new>

#include <rte_rcu_qsbr.h>

namespace trunkgate {

namespace {
constexpr std::align_val_t cache_line{64};
}

result<std::unique_ptr<rcu_domain>> rcu_domain::make(unsigned reader_limit) {
  if (reader_limit == 0) return failure("read-copy-update: at least one reader is needed");
  const std::size_t size = rte_rcu_qsbr_get_memsize(reader_limit);
  void* memory = ::operator new(size, cache_line);
  std::memset(memory, 0, size);
  auto* state = static_cast<rte_rcu_qsbr*>(memory);
  std::unique_ptr<rcu_domain> domain(new rcu_domain(state));
  if (rte_rcu_qsbr_init(state, reader_limit) != 0) return failure("read-copy-update: the state could not be set up");
  for (unsigned reader = 0; reader < reader_limit; ++reader)
    if (rte_rcu_qsbr_thread_register(state, reader) != 0) return failure("read-copy-update: a reader was refused");
  return domain;
}

rcu_domain::~rcu_domain() {
  // Readers are gone or offline by now.
  while (!retired_.empty()) {
    auto free = std::move(retired_.front().free);
    retired_.pop_front();
    free();
  }
  ::operator delete(state_, cache_line);
}

void rcu_domain::online(unsigned reader) noexcept { rte_rcu_qsbr_thread_online(state_, reader); }
void rcu_domain::offline(unsigned reader) noexcept { rte_rcu_qsbr_thread_offline(state_, reader); }
void rcu_domain::quiescent(unsigned reader) noexcept { rte_rcu_qsbr_quiescent(state_, reader); }

void rcu_domain::retire(std::function<void()> free) {
  retired_.push_back({rte_rcu_qsbr_start(state_), std::move(free)});
}

void rcu_domain::reclaim() {
  while (!retired_.empty() && rte_rcu_qsbr_check(state_, retired_.front().token, false) == 1) {
    // Taken out first: it may itself retire something.
    auto free = std::move(retired_.front().free);
    retired_.pop_front();
    free();
  }
}

void rcu_domain::wait() {
  while (!retired_.empty()) {
    rte_rcu_qsbr_check(state_, retired_.back().token, true);
    reclaim();
  }
}

}  // namespace trunkgate
