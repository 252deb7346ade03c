// Every suite, with and without extended sequence numbers, at every length up to 2,000 in bursts of 257, against the
// judge; and one wrong bit in every byte that counts.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

constexpr std::uint32_t longest = 2000;
constexpr std::size_t burst = 257;  // two of IPsec-MB's bursts, and one packet
constexpr std::uint32_t high = 0x8badf00d;

bytes make_material(const esp_suite_info& row) {
  bytes material(row.key_material());
  for (std::size_t i = 0; i < material.size(); ++i) material[i] = static_cast<std::uint8_t>(i * 29 + 5);
  return material;
}

bytes make_clear(const esp_suite_info& row, std::uint32_t length) {
  bytes clear(8u + row.iv + length);
  for (std::size_t i = 0; i < clear.size(); ++i) clear[i] = static_cast<std::uint8_t>(i * 13 + length * 7 + 1);
  return clear;
}

struct one_suite {
  const esp_suite_info& row;
  bool esn;
  bytes material = make_material(row);
  std::vector<bytes> clear{}, sealed{};

  void add(std::uint32_t length) {
    clear.push_back(make_clear(row, length));
    sealed.push_back(esp_seal(row.suite, material, esn, high, clear.back()));
  }
  [[nodiscard]] std::uint32_t length(std::size_t i) const {
    return static_cast<std::uint32_t>(clear[i].size() - 8 - row.iv);
  }
};

std::vector<esp_op*> pointers(std::vector<esp_op>& ops) {
  std::vector<esp_op*> out;
  for (auto& op : ops) out.push_back(&op);
  return out;
}

// Packets [from, to) through the engine, there and back.
void check_burst(const one_suite& s, const esp_key& key, esp_processor& processor, std::size_t from, std::size_t to) {
  std::vector<bytes> packets;
  std::vector<esp_op> ops;
  for (std::size_t i = from; i < to; ++i) {
    packets.push_back(s.clear[i]);
    packets.back().resize(s.sealed[i].size());
  }
  for (std::size_t i = from; i < to; ++i) ops.push_back({packets[i - from].data(), s.length(i), high, &key, false});
  processor.encrypt(pointers(ops));
  for (std::size_t i = from; i < to; ++i) {
    ASSERT_TRUE(ops[i - from].ok);
    ASSERT_EQ(packets[i - from], s.sealed[i]) << s.row.name << " " << key.engine.name() << " " << s.length(i);
    ops[i - from].ok = false;
  }
  processor.decrypt(pointers(ops));
  for (std::size_t i = from; i < to; ++i) {
    ASSERT_TRUE(ops[i - from].ok) << s.row.name << " " << key.engine.name() << " " << s.length(i);
    ASSERT_TRUE(std::equal(s.clear[i].begin(), s.clear[i].end(), packets[i - from].begin())) << s.row.name;
  }
}

class crypto_lengths : public testing::TestWithParam<std::size_t> {};

TEST_P(crypto_lengths, every_length_is_what_the_judge_makes) {
  const auto& row = esp_suites[GetParam()];
  for (const bool esn : {false, true}) {
    one_suite s{row, esn};
    for (std::uint32_t length = 0; length <= longest; length += row.block == 4 ? 1 : row.block) s.add(length);
    for (const auto& engine : all_engines()) {
      if (!engine->supports(row.suite)) continue;
      const auto key = engine->prepare(row.suite, s.material, esn).value();
      const auto processor = engine->make_processor().value();
      for (std::size_t from = 0; from < s.clear.size(); from += burst)
        ASSERT_NO_FATAL_FAILURE(check_burst(s, *key, *processor, from, std::min(from + burst, s.clear.size())));
    }
  }
}

// Header, IV, payload and ICV, byte by byte; the high half of the number; and in between packets that nobody touched.
TEST_P(crypto_lengths, a_wrong_bit_anywhere_is_refused) {
  const auto& row = esp_suites[GetParam()];
  for (const bool esn : {false, true}) {
    one_suite s{row, esn};
    s.add(48);
    for (const auto& engine : all_engines()) {
      if (!engine->supports(row.suite)) continue;
      const auto key = engine->prepare(row.suite, s.material, esn).value();
      const auto processor = engine->make_processor().value();
      std::vector<bytes> packets(2 * s.sealed[0].size() + 64, s.sealed[0]);
      std::vector<esp_op> ops;
      std::vector<bool> wrong;
      for (std::size_t i = 0; i < packets.size(); ++i) {
        wrong.push_back(i % 2 == 1);
        ops.push_back({packets[i].data(), 48, high, key.get(), wrong[i]});
        if (!wrong[i]) continue;
        if (i / 2 < packets[i].size())
          packets[i][i / 2] ^= static_cast<std::uint8_t>(1u << i / 2 % 8);
        else
          ops.back().sequence_high ^= 1u << (i / 2 - packets[i].size());
        if (i / 2 >= packets[i].size() && !esn) wrong[i] = false;  // without ESN nobody reads it
      }
      processor->decrypt(pointers(ops));
      for (std::size_t i = 0; i < packets.size(); ++i)
        EXPECT_EQ(ops[i].ok, !wrong[i]) << row.name << " " << engine->name() << " byte " << i / 2;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(suites, crypto_lengths, testing::Range(std::size_t{0}, esp_suite_count), [](const auto& p) {
  std::string name(esp_suites[p.param].name);
  std::ranges::replace(name, '-', '_');
  return name;
});

}  // namespace
}  // namespace trunkgate::test
