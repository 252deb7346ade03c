#include "dataplane/state/sequence_store.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/core/sequence_file.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t header_size = 4096;
constexpr std::size_t slot_count = 131072;

sequence_identity identity_of(std::uint32_t number) {
  sequence_identity identity{};
  std::memcpy(identity.data(), &number, sizeof number);
  identity[15] = 0x5a;
  return identity;
}

class sequence_store_test : public testing::Test {
 protected:
  void SetUp() override {
    descriptor_ = create_sequence_file().value();
    hand_over(std::to_string(descriptor_));
  }
  void TearDown() override {
    unsetenv(sequence_descriptor_variable);
    close(descriptor_);
  }
  static void hand_over(const std::string& text) { setenv(sequence_descriptor_variable, text.c_str(), 1); }
  static bool survives() { return sequence_store::open().value()->survives(); }
  void poke(std::size_t offset, std::string_view bytes) const {
    ASSERT_EQ(pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
  }
  int descriptor_ = -1;
};

TEST_F(sequence_store_test, what_is_given_back_is_free_when_nobody_uses_it) {
  auto store = sequence_store::open().value();
  auto* slot = store->take(identity_of(1)).value().slot;
  slot->reserved.store(500);
  EXPECT_TRUE(store->take(identity_of(1)).value().resumed);
  store->give_back(identity_of(1));
  EXPECT_EQ(slot->used.load(), 1u) << "one still uses it";
  store->give_back(identity_of(1));
  EXPECT_EQ(slot->used.load(), 0u);
  store->give_back(identity_of(1));
  store->give_back(identity_of(2));
  for (std::uint32_t n = 0; n < 3 * slot_count; ++n) {
    ASSERT_FALSE(store->take(identity_of(n)).value().resumed) << n;
    store->give_back(identity_of(n));
  }
}

TEST_F(sequence_store_test, numbers_outlive_a_killed_process) {
  const pid_t child = fork();
  if (child == 0) {
    auto store = sequence_store::open();
    if (!store || !(*store)->survives()) _exit(1);
    for (std::uint32_t n = 0; n < 10; ++n)
      if (!(*store)->take(identity_of(n))) _exit(1);
    auto mine = (*store)->take(identity_of(77));
    if (!mine || mine->resumed) _exit(1);
    mine->slot->epoch.store(1000);
    mine->slot->reserved.store(4096);
    mine->slot->highest_accepted.store(99);
    kill(getpid(), SIGKILL);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

  auto store = sequence_store::open().value();
  ASSERT_TRUE(store->survives());
  const auto again = store->take(identity_of(77)).value();
  EXPECT_TRUE(again.resumed);
  EXPECT_EQ(again.slot->reserved.load(), 4096u);
  EXPECT_EQ(again.slot->highest_accepted.load(), 99u);
  EXPECT_EQ(again.slot->epoch.load(), 1001u);
  EXPECT_FALSE(store->take(identity_of(78)).value().resumed);
}

TEST_F(sequence_store_test, fresh_epochs_are_spread_over_16_bits) {
  auto store = sequence_store::open().value();
  std::uint32_t seen = 0;
  for (std::uint32_t n = 0; n < 64; ++n) {
    const std::uint32_t epoch = store->take(identity_of(n)).value().slot->epoch.load();
    EXPECT_LE(epoch, 0xffffu);
    seen |= epoch;
  }
  EXPECT_EQ(seen, 0xffffu);
}

TEST_F(sequence_store_test, fails_when_full) {
  auto store = sequence_store::open().value();
  for (std::uint32_t n = 0; n < slot_count; ++n) ASSERT_TRUE(store->take(identity_of(n)));
  EXPECT_FALSE(store->take(identity_of(slot_count)));
  EXPECT_TRUE(store->take(identity_of(17)).value().resumed);
}

TEST_F(sequence_store_test, an_untouched_file_costs_next_to_nothing) {
  auto store = sequence_store::open().value();
  ASSERT_TRUE(store->take(identity_of(1)));
  struct stat about{};
  ASSERT_EQ(fstat(descriptor_, &about), 0);
  EXPECT_LE(about.st_blocks * 512, 64 * 1024);
}

TEST_F(sequence_store_test, a_worn_out_epoch_is_refused) {
  auto store = sequence_store::open().value();
  store->take(identity_of(1)).value().slot->epoch.store(0xffffffff);
  const auto again = store->take(identity_of(1));
  ASSERT_FALSE(again);
  EXPECT_NE(again.error().reason.find("new key"), std::string::npos);
}

TEST_F(sequence_store_test, two_records_of_one_sa_become_the_safer_one) {
  auto store = sequence_store::open().value();
  auto one = store->take(identity_of(1)).value();
  auto two = store->take(identity_of(2)).value();
  one.slot->reserved.store(10);
  one.slot->epoch.store(9);
  two.slot->reserved.store(20);
  two.slot->epoch.store(3);
  two.slot->identity = identity_of(1);
  const auto kept = sequence_store::open().value()->take(identity_of(1)).value();
  EXPECT_TRUE(kept.resumed);
  auto reopened = sequence_store::open().value();
  const auto read = reopened->take(identity_of(1)).value();
  EXPECT_EQ(read.slot->reserved.load(), 20u);
  EXPECT_EQ(read.slot->epoch.load(), 11u);
}

TEST_F(sequence_store_test, only_a_right_file_is_taken) {
  EXPECT_TRUE(survives());
  poke(0, "X");
  EXPECT_FALSE(survives()) << "magic";
  poke(0, "T");
  EXPECT_TRUE(survives());
  poke(8, "\x7f");
  EXPECT_FALSE(survives()) << "version";
  poke(8, "\x02");
  poke(12, "\x7f");
  EXPECT_FALSE(survives()) << "slot count";
  poke(12, std::string_view("\0", 1));
  EXPECT_TRUE(survives());
  poke(16, "zz");
  EXPECT_FALSE(survives()) << "boot id";
}

TEST_F(sequence_store_test, another_size_is_refused) {
  ASSERT_EQ(ftruncate(descriptor_, static_cast<off_t>(header_size + slot_count * 64 - 1)), 0);
  EXPECT_FALSE(survives());
  ASSERT_EQ(ftruncate(descriptor_, 1), 0);
  EXPECT_FALSE(survives());
}

TEST_F(sequence_store_test, a_file_that_was_sized_but_not_set_up_is_as_good_as_empty) {
  ASSERT_EQ(ftruncate(descriptor_, static_cast<off_t>(header_size + slot_count * 64)), 0);
  EXPECT_TRUE(survives());
}

TEST_F(sequence_store_test, a_file_on_disk_is_refused_and_left_alone) {
  char path[] = "/var/tmp/sequence_store_test.XXXXXX";
  const int file = mkstemp(path);
  ASSERT_GE(file, 0);
  unlink(path);
  hand_over(std::to_string(file));
  EXPECT_FALSE(survives());
  EXPECT_EQ(lseek(file, 0, SEEK_END), 0);
  close(file);
}

TEST_F(sequence_store_test, no_descriptor_or_nonsense_means_a_private_store_that_works) {
  unsetenv(sequence_descriptor_variable);
  EXPECT_FALSE(survives());
  for (const char* text : {"", "x", "-1", "3x", "99999", "99999999999999999999"}) {
    hand_over(text);
    auto store = sequence_store::open();
    ASSERT_TRUE(store) << text;
    EXPECT_FALSE((*store)->survives()) << text;
    EXPECT_FALSE((*store)->take(identity_of(1)).value().resumed);
    EXPECT_TRUE((*store)->take(identity_of(1)).value().resumed);
  }
  const int device = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  hand_over(std::to_string(device));
  EXPECT_FALSE(survives());
  close(device);
}

TEST_F(sequence_store_test, garbled_slots_do_no_harm) {
  ASSERT_TRUE(survives());  // sets the file up
  unsigned seed = 7;
  for (int round = 0; round < 20; ++round) {
    std::vector<char> noise(64 * 64);
    for (char& byte : noise) byte = static_cast<char>(rand_r(&seed) % 3);
    poke(header_size, {noise.data(), noise.size()});
    poke(56, std::string_view("\x40\0\0\0", 4));  // 64 slots were touched
    auto store = sequence_store::open().value();
    ASSERT_TRUE(store->survives());
    for (std::uint32_t n = 100; n < 300; ++n) ASSERT_TRUE(store->take(identity_of(n)));
  }
}

TEST_F(sequence_store_test, what_a_dead_process_left_of_negotiated_keys_is_freed) {
  {
    auto dead = sequence_store::open().value();
    for (std::uint32_t n = 0; n < 3; ++n) (void)dead->take(identity_of(n), slot_life::negotiated).value();
    (void)dead->take(identity_of(3), slot_life::for_ever).value();
  }
  auto store = sequence_store::open().value();
  EXPECT_TRUE(store->take(identity_of(1), slot_life::negotiated).value().resumed) << "put in again in time";
  EXPECT_EQ(store->give_back_orphans(), 2u);
  EXPECT_EQ(store->give_back_orphans(), 0u);
  auto next = sequence_store::open().value();
  EXPECT_FALSE(next->take(identity_of(0)).value().resumed);
  EXPECT_TRUE(next->take(identity_of(1)).value().resumed);
  EXPECT_FALSE(next->take(identity_of(2)).value().resumed);
  EXPECT_TRUE(next->take(identity_of(3)).value().resumed) << "a key by hand may come back";
}

}  // namespace
}  // namespace trunkgate
