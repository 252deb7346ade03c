// A chained hash table that one thread changes while others read it without locks.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

#include "dataplane/state/rcu.hpp"

namespace trunkgate {

// The number of buckets is fixed; their array is zero pages until touched. `Hash` is a default-constructible function
// object from Key to 32 bits. A Value is not moved while it is in the table: what is inside may change by atomics.
template <class Key, class Value, class Hash>
class rcu_hash {
 public:
  explicit rcu_hash(rcu_domain& rcu, unsigned bucket_bits = 17)
      : rcu_(rcu), mask_((std::size_t{1} << bucket_bits) - 1), buckets_(allocate(mask_ + 1)) {}
  // Readers are gone by now.
  ~rcu_hash() {
    for (std::size_t i = 0; size_ != 0 && i <= mask_; ++i)
      for (node* at = buckets_[i].load(std::memory_order_relaxed); at != nullptr; --size_)
        delete std::exchange(at, at->next.load(std::memory_order_relaxed));
  }
  rcu_hash(const rcu_hash&) = delete;
  rcu_hash& operator=(const rcu_hash&) = delete;

  // Any thread. A reader may use the value until its next quiescent state.
  [[nodiscard]] Value* find(const Key& key) const noexcept {
    for (node* at = bucket(key).load(std::memory_order_acquire); at != nullptr;
         at = at->next.load(std::memory_order_acquire))
      if (at->key == key) return &at->value;
    return nullptr;
  }

  // Any thread, for many keys at once: first the one for each, then the other, then find().
  void prefetch_bucket(const Key& key) const noexcept { __builtin_prefetch(&bucket(key)); }
  void prefetch_entry(const Key& key) const noexcept {
    __builtin_prefetch(bucket(key).load(std::memory_order_relaxed));
  }

  // Writer. The value that is there now, and whether it was made from `args` by this call.
  template <class... Args>
  std::pair<Value*, bool> insert(const Key& key, Args&&... args) {
    if (Value* there = find(key)) return {there, false};
    auto& head = bucket(key);
    auto* fresh = new node(key, std::forward<Args>(args)...);
    fresh->next.store(head.load(std::memory_order_relaxed), std::memory_order_relaxed);
    head.store(fresh, std::memory_order_release);
    ++size_;
    return {&fresh->value, true};
  }
  // Writer. The node is freed when no reader can see it.
  bool erase(const Key& key) {
    std::atomic<node*>* link = &bucket(key);
    for (node* at = link->load(std::memory_order_relaxed); at != nullptr; at = link->load(std::memory_order_relaxed)) {
      if (at->key == key) {
        link->store(at->next.load(std::memory_order_relaxed), std::memory_order_release);
        --size_;
        rcu_.retire(std::unique_ptr<node>(at));
        return true;
      }
      link = &at->next;
    }
    return false;
  }
  // Writer. `visit(key, value)` must not change the table.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (std::size_t i = 0; i <= mask_; ++i)
      for (node* at = buckets_[i].load(std::memory_order_relaxed); at != nullptr;
           at = at->next.load(std::memory_order_relaxed))
        visit(at->key, at->value);
  }
  [[nodiscard]] std::size_t size() const { return size_; }  // writer

 private:
  struct node {
    template <class... Args>
    explicit node(const Key& k, Args&&... args) : key(k), value(std::forward<Args>(args)...) {}
    Key key;
    Value value;
    std::atomic<node*> next{nullptr};
  };
  struct release {
    void operator()(std::atomic<node*>* memory) const { std::free(memory); }
  };
  static std::atomic<node*>* allocate(std::size_t count) {
    static_assert(sizeof(std::atomic<node*>) == sizeof(node*));  // all zero bytes: a null pointer
    void* memory = std::calloc(count, sizeof(std::atomic<node*>));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<std::atomic<node*>*>(memory);
  }
  [[nodiscard]] std::atomic<node*>& bucket(const Key& key) const noexcept { return buckets_.get()[Hash{}(key)&mask_]; }

  rcu_domain& rcu_;
  std::size_t mask_;
  std::unique_ptr<std::atomic<node*>[], release> buckets_;
  std::size_t size_ = 0;
};

}  // namespace trunkgate
