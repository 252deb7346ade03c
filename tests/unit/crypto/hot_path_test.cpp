// What workers call makes no system call (seccomp's strict mode kills the one that does) and allocates nothing.
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <new>

#include <gtest/gtest.h>
#include <linux/seccomp.h>
#include <openssl/crypto.h>

#include "tests/unit/crypto/judge.hpp"

namespace {

std::size_t allocations = 0;

void* counted_malloc(std::size_t size, const char*, int) {
  ++allocations;
  return std::malloc(size);
}
void* counted_realloc(void* memory, std::size_t size, const char*, int) {
  ++allocations;
  return std::realloc(memory, size);
}
void plain_free(void* memory, const char*, int) { std::free(memory); }

// OpenSSL takes its allocator before its first use only.
const bool openssl_is_counted = CRYPTO_set_mem_functions(counted_malloc, counted_realloc, plain_free) == 1;

}  // namespace

// AddressSanitizer brings operators of its own; there OpenSSL's allocations alone are counted.
#ifndef __SANITIZE_ADDRESS__
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace trunkgate::test {
namespace {

struct prepared_burst {
  std::vector<std::unique_ptr<esp_key>> keys;
  std::vector<bytes> packets;
  std::vector<esp_op> ops;
  std::vector<esp_op*> pointers;

  explicit prepared_burst(const esp_engine& engine) {
    for (std::size_t i = 0; i < 150; ++i) {
      const auto& row = esp_suites[i % esp_suite_count];
      if (!engine.supports(row.suite)) continue;
      keys.push_back(
          engine.prepare(row.suite, bytes(row.key_material(), static_cast<std::uint8_t>(i)), i % 2 == 0).value());
      packets.emplace_back(8u + row.iv + 16 * i + row.icv);
      ops.push_back({packets.back().data(), static_cast<std::uint32_t>(16 * i), 1, keys.back().get(), false});
    }
    for (auto& op : ops) pointers.push_back(&op);
  }

  // Well, forged, and well again: true if every verdict is right.
  bool round(esp_processor& processor) noexcept {
    processor.encrypt(pointers);
    for (std::size_t i = 0; i < ops.size(); i += 3) packets[i].back() ^= 1;
    processor.decrypt(pointers);
    bool right = true;
    for (std::size_t i = 0; i < ops.size(); ++i) right = right && ops[i].ok == (i % 3 != 0);
    return right;
  }
};

// Runs `work` in a child that may only read, write and exit; says whether it returned true.
template <class Work>
bool without_system_calls(Work work) {
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(2);
    const bool ok = work();
    syscall(SYS_exit, ok ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(hot_path, the_check_sees_system_calls) {
  EXPECT_TRUE(without_system_calls([] { return true; }));
  EXPECT_FALSE(without_system_calls([] { return getppid() != 0; }));
}

TEST(hot_path, engines_make_no_system_call) {
  for (const auto& engine : all_engines()) {
    prepared_burst burst(*engine);
    const auto processor = engine->make_processor().value();
#ifdef __SANITIZE_ADDRESS__
    ASSERT_TRUE(burst.round(*processor));  // the sanitizer maps memory for a function's locals at its first call
#endif
    EXPECT_TRUE(without_system_calls([&] { return burst.round(*processor) && burst.round(*processor); }))
        << engine->name();
  }
}

TEST(hot_path, iv_source_makes_no_system_call) {
  auto source = iv_source::make().value();
  EXPECT_TRUE(without_system_calls([&] {
    std::uint8_t iv[16];
    for (int i = 0; i < 100'000; ++i) source.fill(iv, sizeof iv);
    return true;
  }));
}

TEST(hot_path, nothing_is_allocated) {
  ASSERT_TRUE(openssl_is_counted);
  auto source = iv_source::make().value();
  for (const auto& engine : all_engines()) {
    prepared_burst burst(*engine);
    const auto processor = engine->make_processor().value();
    const auto before = allocations;
    ASSERT_NE(before, 0u);
    EXPECT_TRUE(burst.round(*processor));
    std::uint8_t iv[16];
    for (int i = 0; i < 1000; ++i) source.fill(iv, sizeof iv);
    EXPECT_EQ(allocations, before) << engine->name();
  }
}

}  // namespace
}  // namespace trunkgate::test
