// AES-GCM by our own kernels, both widths that the processor has: every length of a packet, what lies beside it, bursts
// of everything mixed.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

constexpr esp_suite suites[] = {esp_suite::aes128gcm16, esp_suite::aes192gcm16, esp_suite::aes256gcm16};
constexpr std::uint32_t high = 0xfeedface;

std::vector<std::unique_ptr<esp_engine>> own_engines() {
  std::vector<std::unique_ptr<esp_engine>> engines;
  for (const auto width : {vaes_width::bits_256, vaes_width::bits_512})
    if (auto engine = make_vaes_gcm_engine(width)) engines.push_back(std::move(*engine));
  return engines;
}

bytes make_material(esp_suite suite, std::size_t number) {
  bytes material(info(suite).key_material());
  for (std::size_t i = 0; i < material.size(); ++i) material[i] = static_cast<std::uint8_t>(i * 31 + number * 17 + 3);
  return material;
}

bytes make_clear(std::uint32_t length) {
  bytes clear(16 + length);
  for (std::size_t i = 0; i < clear.size(); ++i) clear[i] = static_cast<std::uint8_t>(i * 7 + length * 3 + (i >> 8));
  return clear;
}

TEST(gcm, a_processor_with_the_wide_kernel_has_the_narrow_one) {
  EXPECT_TRUE(!make_vaes_gcm_engine(vaes_width::bits_512) || make_vaes_gcm_engine(vaes_width::bits_256));
  // and the tests of all engines run both
  EXPECT_EQ(std::ranges::count_if(all_engines(), [](const auto& e) { return e->name().starts_with("vaes"); }),
            static_cast<std::ptrdiff_t>(own_engines().size()));
}

// One packet of each length, at every alignment in turn, all in one burst; then each third of them forged.
void every_length(const esp_engine& engine, esp_suite suite, bool esn, std::uint32_t longest) {
  const auto material = make_material(suite, 1);
  const auto key = engine.prepare(suite, material, esn).value();
  const auto processor = engine.make_processor().value();
  constexpr std::uint32_t burst = 128;
  for (std::uint32_t from = 0; from <= longest; from += burst) {
    std::vector<bytes> clear, sealed, memory;
    std::vector<esp_op> ops;
    std::vector<esp_op*> pointers;
    for (std::uint32_t length = from; length < from + burst; ++length) {
      clear.push_back(make_clear(length));
      sealed.push_back(esp_seal(suite, material, esn, high, clear.back()));
      memory.emplace_back(sealed.back().size() + 64, 0xa5);
      std::ranges::copy(clear.back(), memory.back().begin() + length % 64);
    }
    for (std::uint32_t i = 0; i < burst; ++i)
      ops.push_back({memory[i].data() + (from + i) % 64, from + i, high, key.get(), false});
    for (auto& op : ops) pointers.push_back(&op);
    processor->encrypt(pointers);
    for (std::uint32_t i = 0; i < burst; ++i) {
      ASSERT_TRUE(ops[i].ok);
      ASSERT_TRUE(std::ranges::equal(sealed[i], std::span(ops[i].esp, sealed[i].size())))
          << engine.name() << " " << info(suite).name << " " << from + i;
      if (i % 3 == 0) ops[i].esp[sealed[i].size() - 1 - i % 16] ^= static_cast<std::uint8_t>(1u << i % 8);
      ops[i].ok = i % 3 == 0;
    }
    processor->decrypt(pointers);
    for (std::uint32_t i = 0; i < burst; ++i) {
      ASSERT_EQ(ops[i].ok, i % 3 != 0) << engine.name() << " " << info(suite).name << " " << from + i;
      if (!ops[i].ok) continue;
      ASSERT_TRUE(std::ranges::equal(clear[i], std::span(ops[i].esp, clear[i].size())))
          << engine.name() << " " << info(suite).name << " " << from + i;
      // the ICV stands as it came, and nothing around the packet was written
      ASSERT_TRUE(std::equal(sealed[i].end() - 16, sealed[i].end(), ops[i].esp + clear[i].size()));
      const auto before = static_cast<std::ptrdiff_t>((from + i) % 64);
      const auto& all = memory[i];
      const auto untouched = [](auto byte) { return byte == 0xa5; };
      ASSERT_TRUE(std::all_of(all.begin(), all.begin() + before, untouched));
      ASSERT_TRUE(
          std::all_of(all.begin() + before + static_cast<std::ptrdiff_t>(sealed[i].size()), all.end(), untouched));
    }
  }
}

TEST(gcm, every_length_up_to_9000) {
  for (const auto& engine : own_engines())
    for (const auto suite : suites)
      for (const bool esn : {false, true}) ASSERT_NO_FATAL_FAILURE(every_length(*engine, suite, esn, 9000));
}

// A packet that ends where its memory does, and one that begins there: a byte read or written outside ends the test.
TEST(gcm, nothing_outside_of_the_packet_is_touched) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  auto* const map =
      static_cast<std::uint8_t*>(mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(map, MAP_FAILED);
  ASSERT_EQ(mprotect(map, page, PROT_NONE), 0);
  ASSERT_EQ(mprotect(map + 2 * page, page, PROT_NONE), 0);
  for (const auto& engine : own_engines())
    for (const auto suite : suites) {
      const auto material = make_material(suite, 2);
      const auto key = engine->prepare(suite, material, false).value();
      const auto processor = engine->make_processor().value();
      for (std::uint32_t length = 0; length <= 1100; ++length) {
        const auto clear = make_clear(length);
        const auto sealed = esp_seal(suite, material, false, 0, clear);
        for (auto* const at : {map + page, map + 2 * page - sealed.size()}) {
          std::ranges::copy(clear, at);
          esp_op op{at, length, 0, key.get(), false};
          esp_op* const one[] = {&op};
          processor->encrypt(one);
          ASSERT_TRUE(std::ranges::equal(sealed, std::span(at, sealed.size()))) << engine->name() << " " << length;
          processor->decrypt(one);
          ASSERT_TRUE(op.ok && std::ranges::equal(clear, std::span(at, clear.size())))
              << engine->name() << " " << length;
        }
      }
    }
  munmap(map, 3 * page);
}

struct mixed_key {
  esp_suite suite;
  bool esn;
  bytes material;
  std::unique_ptr<esp_key> key;
};

// A hundred thousand packets, each with one of thirty-six keys and any length, in bursts of any size, a third forged:
// those that are not must come back whatever stands beside them.
TEST(gcm, bursts_of_mixed_keys_and_lengths) {
  std::mt19937_64 randomness(20251107);
  const auto below = [&](std::size_t limit) { return randomness() % limit; };
  for (const auto& engine : own_engines()) {
    std::vector<mixed_key> keys;
    for (std::size_t i = 0; i < 36; ++i) {
      const auto suite = suites[i % 3];
      keys.push_back({suite, i % 2 == 1, make_material(suite, i), nullptr});
      keys.back().key = engine->prepare(suite, keys.back().material, keys.back().esn).value();
    }
    const auto processor = engine->make_processor().value();
    for (std::size_t done = 0; done < 100'000;) {
      struct made {
        const mixed_key* of;
        bytes clear, sealed, packet;
        bool forged;
      };
      std::vector<made> burst(1 + below(64));
      std::vector<esp_op> ops;
      std::vector<esp_op*> pointers;
      for (auto& one : burst) {
        one.of = &keys[below(keys.size())];
        one.clear = make_clear(static_cast<std::uint32_t>(below(8) == 0 ? below(9001) : below(400)));
        for (std::size_t i = 0; i < 16; ++i) one.clear[i] = static_cast<std::uint8_t>(randomness());
        one.sealed = esp_seal(one.of->suite, one.of->material, one.of->esn, high, one.clear);
        one.packet = one.clear;
        one.packet.resize(one.sealed.size());
        one.forged = below(3) == 0;
      }
      for (auto& one : burst)
        ops.push_back(
            {one.packet.data(), static_cast<std::uint32_t>(one.clear.size() - 16), high, one.of->key.get(), false});
      for (auto& op : ops) pointers.push_back(&op);
      processor->encrypt(pointers);
      for (auto& one : burst) {
        ASSERT_EQ(one.packet, one.sealed) << engine->name() << " " << one.clear.size() - 16;
        if (one.forged) one.packet[below(one.packet.size())] ^= static_cast<std::uint8_t>(1u << below(8));
      }
      processor->decrypt(pointers);
      for (std::size_t i = 0; i < burst.size(); ++i) {
        ASSERT_EQ(ops[i].ok, !burst[i].forged) << engine->name() << " " << burst[i].clear.size() - 16;
        if (burst[i].forged) continue;
        ASSERT_TRUE(std::ranges::equal(burst[i].clear, std::span(ops[i].esp, burst[i].clear.size())));
      }
      done += burst.size();
    }
  }
}

}  // namespace
}  // namespace trunkgate::test
