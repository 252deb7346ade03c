// Read-copy-update: one writer publishes, workers read without locks, what was replaced is freed when no worker can see
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>

#include "dataplane/core/result.hpp"

struct rte_rcu_qsbr;

namespace trunkgate {

// Readers are numbered 0 to limit-1. retire() and reclaim() belong to the one writer thread.
class rcu_domain {
 public:
  [[nodiscard]] static result<std::unique_ptr<rcu_domain>> make(unsigned reader_limit);
  ~rcu_domain();

  // Reader thread: while online it must call quiescent() regularly, between bursts, holding no pointer across it.
  void online(unsigned reader) noexcept;
  void offline(unsigned reader) noexcept;  // before it sleeps: it holds no pointer and delays nobody
  void quiescent(unsigned reader) noexcept;

  // Writer: runs `free` once every reader has passed a quiescent state. Call after the new pointer was published.
  void retire(std::function<void()> free);
  template <class T>
  void retire(std::unique_ptr<T> old) {
    retire([shared = std::shared_ptr<T>(std::move(old))]() mutable { shared.reset(); });
  }
  void reclaim();  // frees what may be freed; call now and then
  void wait();     // blocks until everything retired is freed

  [[nodiscard]] rte_rcu_qsbr* qsbr() noexcept { return state_; }  // for DPDK tables that do their own reclaiming

 private:
  explicit rcu_domain(rte_rcu_qsbr* state) : state_(state) {}
  struct entry {
    std::uint64_t token;
    std::function<void()> free;
  };
  rte_rcu_qsbr* state_;
  std::deque<entry> retired_;
};

}  // namespace trunkgate
