// A destroyed key leaves nothing behind: the program's own operator delete looks at the memory before it is given back.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace {

// The last over-aligned allocation: keys are the only ones here.
std::uint8_t* last_block = nullptr;
std::size_t last_size = 0;
trunkgate::test::bytes* freed_into = nullptr;

}  // namespace

void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto step = static_cast<std::size_t>(alignment);
  void* memory = std::aligned_alloc(step, (size + step - 1) / step * step);
  if (memory == nullptr) throw std::bad_alloc();
  std::memset(memory, 0, size);
  last_block = static_cast<std::uint8_t*>(memory);
  last_size = size;
  return memory;
}
void operator delete(void* memory, std::align_val_t) noexcept {
  if (memory == last_block && freed_into != nullptr) freed_into->assign(last_block, last_block + last_size);
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
  operator delete(memory, alignment);
}

namespace trunkgate::test {
namespace {

bool holds_part(const bytes& memory, const bytes& material) {
  for (std::size_t i = 0; i + 4 <= material.size(); ++i)
    if (std::search(memory.begin(), memory.end(), material.begin() + static_cast<std::ptrdiff_t>(i),
                    material.begin() + static_cast<std::ptrdiff_t>(i + 4)) != memory.end())
      return true;
  return false;
}

TEST(crypto_keys, destroyed_keys_are_wiped) {
  // virtual table, engine, suite and ESN, and the size of what follows; everything behind derives from the key
  constexpr std::ptrdiff_t public_part = 24;
  for (const auto& engine : all_engines())
    for (const auto& row : esp_suites) {
      if (!engine->supports(row.suite)) continue;
      bytes material(row.key_material());
      for (std::size_t i = 0; i < material.size(); ++i) material[i] = static_cast<std::uint8_t>(0x91 + 5 * i);
      auto key = engine->prepare(row.suite, material, true).value();
      ASSERT_EQ(static_cast<void*>(key.get()), last_block);
      const bytes alive(last_block, last_block + last_size);
      // Without a cipher nothing of the key stands there as it was given.
      EXPECT_TRUE(holds_part(alive, material) || row.cipher == esp_cipher::null) << "the search is blind";
      bytes freed;
      freed_into = &freed;
      key.reset();
      freed_into = nullptr;
      ASSERT_EQ(freed.size(), alive.size());
      EXPECT_FALSE(holds_part(freed, material)) << engine->name() << " " << row.name;
      EXPECT_TRUE(std::all_of(freed.begin() + public_part, freed.end(), [](auto byte) { return byte == 0; }))
          << engine->name() << " " << row.name;
    }
}

TEST(crypto_keys, keys_are_compact_and_aligned) {
  for (const auto& engine : all_engines())
    for (const auto& row : esp_suites) {
      if (!engine->supports(row.suite)) continue;
      const auto key = engine->prepare(row.suite, bytes(row.key_material(), 1), false).value();
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(key.get()) % 64, 0u);
      EXPECT_LE(last_size, engine->name().starts_with("vaes") ? 512u : 64u + 1280u);
      RecordProperty(std::string(engine->name()) + "_" + std::to_string(static_cast<int>(row.suite)),
                     static_cast<int>(last_size));
    }
}

}  // namespace
}  // namespace trunkgate::test
