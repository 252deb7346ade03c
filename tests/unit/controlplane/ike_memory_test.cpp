#include "controlplane/main/ike_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/cli/ike_file.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t header_size = ike_memory::header_size, half_size = ike_memory::half_size;
// Of the header and of a half, as they lie in the file.
constexpr std::size_t at_version = 8, at_boot = 16, at_written = 56, at_offset = 64;

ike::ike_snapshot record(std::uint64_t spi, std::uint32_t number = 1) {
  ike::ike_snapshot out;
  out.tunnel = "hq";
  out.initiator_spi = spi;
  out.responder_spi = 7;
  out.messages.at.next_request = number;
  const std::vector<std::uint8_t> key(32, 0xa7);
  out.keys.d = secret(key);
  return out;
}

class ike_memory_test : public testing::Test {
 protected:
  void SetUp() override {
    descriptor_ = create_ike_file().value();
    setenv(ike_descriptor_variable, std::to_string(descriptor_).c_str(), 1);
  }
  void TearDown() override {
    unsetenv(ike_descriptor_variable);
    close(descriptor_);
  }
  template <class Value>
  [[nodiscard]] Value peek(std::size_t offset) const {
    Value value{};
    EXPECT_EQ(pread(descriptor_, &value, sizeof value, static_cast<off_t>(offset)), ssize_t{sizeof value});
    return value;
  }
  template <class Value>
  void poke(std::size_t offset, const Value& value) const {
    ASSERT_EQ(pwrite(descriptor_, &value, sizeof value, static_cast<off_t>(offset)), ssize_t{sizeof value});
  }
  static std::vector<ike::ike_snapshot> left() { return ike_memory::open()->read(); }
  // Keys anywhere in what the file has pages for.
  [[nodiscard]] bool holds_key() const {
    std::vector<std::uint8_t> content(header_size + 16 * half_size);
    EXPECT_EQ(pread(descriptor_, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    const std::vector<std::uint8_t> key(32, 0xa7);
    return !std::ranges::search(content, key).empty();
  }
  int descriptor_ = -1;
};

TEST_F(ike_memory_test, KeepsWhatWasWrittenLast) {
  {
    auto memory = ike_memory::open();
    ASSERT_TRUE(memory->survives()) << memory->trouble();
    EXPECT_TRUE(memory->trouble().empty()) << "a new file is no trouble";
    for (std::uint32_t number = 1; number <= 5; ++number) ASSERT_TRUE(memory->write(11, record(11, number)));
    ASSERT_TRUE(memory->write(12, record(12, 9)));
  }
  const auto read = left();
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].initiator_spi, 11u);
  EXPECT_EQ(read[0].messages.at.next_request, 5u);
  EXPECT_EQ(read[1].messages.at.next_request, 9u);
}

TEST_F(ike_memory_test, ARecordThatWasBeingWrittenIsAsIfItHadNotBegun) {
  {
    auto memory = ike_memory::open();
    ASSERT_TRUE(memory->write(11, record(11, 1)));
    ASSERT_TRUE(memory->write(11, record(11, 2)));
  }
  const auto first = peek<std::uint64_t>(header_size), second = peek<std::uint64_t>(header_size + half_size);
  const auto newest = header_size + (first > second ? 0 : half_size);
  poke(newest + 40, std::uint8_t{0xee});
  auto read = left();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].messages.at.next_request, 1u) << "what the damaged one says was never told to anybody";
  const auto other = header_size + (first > second ? half_size : 0);
  poke(other + 40, std::uint8_t{0xee});
  EXPECT_TRUE(left().empty());
  EXPECT_FALSE(holds_key()) << "what can't be used is wiped";
}

TEST_F(ike_memory_test, AnyOctetOfARecordIsChecked) {
  {
    auto memory = ike_memory::open();
    ASSERT_TRUE(memory->write(11, record(11, 1)));
  }
  const std::size_t length = peek<std::uint32_t>(header_size + half_size + 16) != 0
                                 ? peek<std::uint32_t>(header_size + half_size + 16)
                                 : peek<std::uint32_t>(header_size + 16);
  const auto half = header_size + (peek<std::uint64_t>(header_size) != 0 ? 0 : half_size);
  std::vector<std::uint8_t> whole(24 + length);
  for (std::size_t at = 0; at < 24 + length; ++at) {
    ASSERT_EQ(pread(descriptor_, whole.data(), whole.size(), static_cast<off_t>(half)),
              static_cast<ssize_t>(whole.size()));
    poke(half + at, static_cast<std::uint8_t>(whole[at] ^ 0x10));
    EXPECT_TRUE(left().empty()) << at;
    // It was wiped: it is put back for the next round.
    ASSERT_EQ(pwrite(descriptor_, whole.data(), whole.size(), static_cast<off_t>(half)),
              static_cast<ssize_t>(whole.size()));
  }
  EXPECT_EQ(left().size(), 1u);
}

TEST_F(ike_memory_test, OfAnotherBootVersionOrTimeItIsDiscarded) {
  const auto write = [] { ASSERT_TRUE(ike_memory::open()->write(11, record(11))); };
  const auto expect_discarded = [&](const char* what) {
    auto memory = ike_memory::open();
    EXPECT_TRUE(memory->survives());
    EXPECT_FALSE(memory->trouble().empty()) << what;
    EXPECT_TRUE(memory->read().empty()) << what;
    EXPECT_FALSE(holds_key()) << what;
    ASSERT_TRUE(memory->write(11, record(11)));
    EXPECT_EQ(left().size(), 1u) << "and is usable";
  };
  write();
  EXPECT_EQ(left().size(), 1u);
  poke(at_boot, std::uint8_t{'x'});
  expect_discarded("another boot");
  poke(at_version, std::uint32_t{77});
  expect_discarded("another version");
  poke(at_written, peek<std::int64_t>(at_written) + std::int64_t{3'600'000'000'000});
  expect_discarded("written in the future: the machine was put back");
  poke(at_offset, peek<std::int64_t>(at_offset) - std::int64_t{60'000'000'000});
  expect_discarded("the wall clock went on without us: a restored snapshot");
  poke(at_offset, peek<std::int64_t>(at_offset) + std::int64_t{60'000'000'000});
  expect_discarded("the wall clock went back");
}

TEST_F(ike_memory_test, WhatIsForgottenIsWiped) {
  auto memory = ike_memory::open();
  ASSERT_TRUE(memory->write(11, record(11, 1)));
  ASSERT_TRUE(memory->write(11, record(11, 2)));
  EXPECT_TRUE(holds_key());
  memory->forget(11);
  EXPECT_FALSE(holds_key());
  memory->forget(11);
  EXPECT_TRUE(left().empty());
  // Its place is used again.
  for (std::uint64_t spi = 100; spi < 100 + 3 * ike_memory::slot_count; ++spi) {
    ASSERT_TRUE(memory->write(spi, record(spi)));
    memory->forget(spi);
  }
}

TEST_F(ike_memory_test, WhatNobodyTookOverIsWiped) {
  {
    auto memory = ike_memory::open();
    ASSERT_TRUE(memory->write(11, record(11)));
    ASSERT_TRUE(memory->write(12, record(12)));
  }
  auto memory = ike_memory::open();
  EXPECT_EQ(memory->read().size(), 2u);
  ASSERT_TRUE(memory->write(12, record(12)));
  memory->forget_unwritten();
  const auto read = left();
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].initiator_spi, 12u);
}

TEST_F(ike_memory_test, WhatIsTooLongHasNoRecord) {
  auto memory = ike_memory::open();
  ASSERT_TRUE(memory->write(11, record(11)));
  auto large = record(11, 2);
  large.messages.answered.push_back({.id = 1, .digest = 1, .datagrams = {std::vector<std::uint8_t>(20000)}});
  const auto written = memory->write(11, large);
  ASSERT_FALSE(written);
  EXPECT_TRUE(left().empty()) << "the record before is out of date";
  EXPECT_FALSE(holds_key());
}

TEST_F(ike_memory_test, TheFileIsSealedAndNobodyElses) {
  auto memory = ike_memory::open();
  EXPECT_NE(ftruncate(descriptor_, 4096), 0);
  EXPECT_NE(ftruncate(descriptor_, static_cast<off_t>(ike_memory::file_size) * 2), 0);
  struct stat about{};
  ASSERT_EQ(fstat(descriptor_, &about), 0);
  EXPECT_EQ(about.st_mode & 07777, 0u);
  EXPECT_EQ(fcntl(descriptor_, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  // Its pages are in no core file: "dd" of the mapping's VmFlags.
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  bool inside = false, excluded = false;
  while (std::getline(maps, line)) {
    if (line.find("/memfd:trunkgate-ike") != std::string::npos) inside = true;
    if (inside && line.starts_with("VmFlags:")) {
      excluded = line.find(" dd") != std::string::npos;
      break;
    }
  }
  EXPECT_TRUE(inside);
  EXPECT_TRUE(excluded) << line;
}

TEST_F(ike_memory_test, TheSupervisorWipesIt) {
  {
    auto memory = ike_memory::open();
    for (std::uint64_t spi = 1; spi < 20; ++spi) ASSERT_TRUE(memory->write(spi, record(spi)));
  }
  EXPECT_TRUE(holds_key());
  wipe_ike_file(descriptor_);
  EXPECT_FALSE(holds_key());
}

TEST_F(ike_memory_test, WithoutAFileNothingIsKept) {
  for (const char* text : {"", "x", "-1", "9999", "0"}) {
    setenv(ike_descriptor_variable, text, 1);
    auto memory = ike_memory::open();
    EXPECT_FALSE(memory->survives()) << text;
    EXPECT_FALSE(memory->trouble().empty());
    EXPECT_TRUE(memory->write(1, record(1)));
    EXPECT_TRUE(memory->read().empty());
    memory->forget(1);
    memory->forget_unwritten();
  }
}

// The process is killed at whatever moment: what is left is a whole record, the last or the one before.
TEST_F(ike_memory_test, KillMinusNineLeavesWholeRecords) {
  (void)ike_memory::open();
  for (int round = 0; round < 20; ++round) {
    const auto child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto memory = ike_memory::open();
      for (std::uint32_t number = 1;; ++number)
        for (std::uint64_t spi = 1; spi <= 4; ++spi) (void)memory->write(spi, record(spi, number));
    }
    usleep(static_cast<useconds_t>(5000 + 977 * round));  // a moment as good as any other
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const auto read = left();
    for (const auto& one : read) {
      EXPECT_EQ(one.tunnel, "hq");
      EXPECT_EQ(one.keys.d.size(), 32u);
      EXPECT_GE(one.messages.at.next_request, 1u);
    }
    EXPECT_EQ(read.size(), 4u);
  }
}

}  // namespace
}  // namespace trunkgate
