#include "dataplane/state/rcu.hpp"

#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "dataplane/state/rcu_hash.hpp"

namespace trunkgate {
namespace {

struct poor_hash {  // collides on purpose: chains are exercised
  std::uint32_t operator()(int key) const noexcept { return static_cast<std::uint32_t>(key) / 8; }
};

TEST(rcu_domain, refuses_no_readers) { EXPECT_FALSE(rcu_domain::make(0)); }

TEST(rcu_domain, frees_only_after_every_online_reader_was_quiescent) {
  auto rcu = rcu_domain::make(2).value();
  rcu->online(0);
  rcu->online(1);
  bool freed = false;
  rcu->retire([&] { freed = true; });
  rcu->reclaim();
  EXPECT_FALSE(freed);
  rcu->quiescent(0);
  rcu->reclaim();
  EXPECT_FALSE(freed);
  rcu->quiescent(1);
  rcu->reclaim();
  EXPECT_TRUE(freed);
  rcu->offline(0);
  rcu->offline(1);
}

TEST(rcu_domain, a_sleeping_reader_delays_nobody) {
  auto rcu = rcu_domain::make(1).value();
  rcu->online(0);
  int freed = 0;
  rcu->retire([&] { ++freed; });
  rcu->offline(0);
  rcu->reclaim();
  EXPECT_EQ(freed, 1);
  rcu->retire([&] {
    ++freed;
    rcu->retire([&] { ++freed; });  // what is freed may retire more
  });
  rcu->wait();
  EXPECT_EQ(freed, 3);
}

TEST(rcu_domain, the_destructor_frees_what_is_left) {
  auto watched = std::make_shared<int>(1);
  auto rcu = rcu_domain::make(1).value();
  rcu->retire([keep = watched] {});
  rcu->retire(std::make_unique<std::shared_ptr<int>>(watched));
  EXPECT_EQ(watched.use_count(), 3);
  rcu.reset();
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(rcu_hash, is_a_map) {
  auto rcu = rcu_domain::make(1).value();
  rcu_hash<int, int, poor_hash> table(*rcu, 4);
  std::map<int, int> model;
  std::mt19937 random(1);
  for (int step = 0; step < 20000; ++step) {
    const int key = static_cast<int>(random() % 300);
    if (random() % 2 != 0) {
      EXPECT_EQ(table.insert(key, step).second, model.emplace(key, step).second);
    } else {
      EXPECT_EQ(table.erase(key), model.erase(key) == 1);
    }
    const int* found = table.find(key);
    ASSERT_EQ(found != nullptr, model.contains(key));
    if (found != nullptr) {
      ASSERT_EQ(*found, model.at(key));
    }
    if (step % 100 == 0) rcu->reclaim();
  }
  std::map<int, int> seen;
  table.for_each([&](int key, int value) { seen.emplace(key, value); });
  EXPECT_EQ(seen, model);
  EXPECT_EQ(table.size(), model.size());
}

// Every value repeats its key, and a freed one is poisoned: a reader that sees something else found a torn or freed
// node.
TEST(rcu_hash, a_reader_never_sees_a_freed_node) {
  struct value {
    explicit value(int k) : copy(k) {}
    ~value() { copy = -1; }
    int copy;
  };
  auto rcu = rcu_domain::make(1).value();
  rcu_hash<int, value, poor_hash> table(*rcu, 4);
  for (int key = 0; key < 64; key += 2) table.insert(key, key);  // these stay
  std::atomic<bool> stop{false}, online{false};
  std::size_t wrong = 0, seen = 0;
  std::thread reader([&] {
    std::mt19937 random(2);
    rcu->online(0);
    online = true;
    while (!stop.load(std::memory_order_relaxed)) {
      for (int i = 0; i < 32; ++i) {
        const int key = static_cast<int>(random() % 64);
        const value* found = table.find(key);
        if (found != nullptr) ++seen;
        if (found != nullptr ? found->copy != key : key % 2 == 0) ++wrong;
      }
      rcu->quiescent(0);
    }
    rcu->offline(0);
  });
  while (!online) std::this_thread::yield();
  std::mt19937 random(3);
  for (int step = 0; step < 100000; ++step) {
    const int key = static_cast<int>(random() % 32) * 2 + 1;
    if (!table.erase(key)) table.insert(key, key);
    if (step % 16 == 0) rcu->reclaim();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(wrong, 0u);
  EXPECT_GT(seen, 0u);
}

}  // namespace
}  // namespace trunkgate
