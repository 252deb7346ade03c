// The self-test and the choice of engines, the worker that sorts by engine, the source of IVs.
#include <algorithm>
#include <array>
#include <random>

#include <gtest/gtest.h>

#include "drivers/crypto/self_test.hpp"
#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

enum class fault : std::uint8_t { none, ciphertext, icv, accepts_forgery, rejects_all, wrong_plaintext };

// Passes everything to a real engine and spoils one thing.
class faulty_engine final : public esp_engine {
 public:
  faulty_engine(std::unique_ptr<esp_engine> real, fault what) : real_(std::move(real)), what_(what) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "faulty"; }
  [[nodiscard]] bool supports(esp_suite suite) const noexcept override { return real_->supports(suite); }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    return real_->prepare(suite, material, esn);
  }
  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    return std::make_unique<processor>(real_->make_processor().value(), what_);
  }

 private:
  class processor final : public esp_processor {
   public:
    processor(std::unique_ptr<esp_processor> real, fault what) : real_(std::move(real)), what_(what) {}
    void encrypt(std::span<esp_op* const> ops) noexcept override {
      real_->encrypt(ops);
      const auto& op = *ops.back();
      const auto payload = op.esp + 8 + info(op.key->suite).iv;
      if (what_ == fault::ciphertext) payload[3] ^= 4;
      if (what_ == fault::icv) payload[op.payload_length] ^= 1;
    }
    void decrypt(std::span<esp_op* const> ops) noexcept override {
      real_->decrypt(ops);
      auto& op = *ops.front();
      if (what_ == fault::wrong_plaintext) op.esp[8 + info(op.key->suite).iv] ^= 4;
      for (auto* each : ops) {
        if (what_ == fault::accepts_forgery) each->ok = true;
        if (what_ == fault::rejects_all) each->ok = false;
      }
    }

   private:
    std::unique_ptr<esp_processor> real_;
    fault what_;
  };
  std::unique_ptr<esp_engine> real_;
  fault what_;
};

std::unique_ptr<esp_engine> make_faulty(fault what) {
  return std::make_unique<faulty_engine>(make_openssl_engine().value(), what);
}

TEST(crypto_engines, every_engine_passes_its_self_test) {
  for (const auto& engine : all_engines()) {
    const auto processor = engine->make_processor().value();
    for (const auto& row : esp_suites) {
      if (!engine->supports(row.suite)) continue;
      EXPECT_TRUE(self_test(*engine, *processor, row.suite)) << engine->name() << " " << row.name;
    }
  }
}

TEST(crypto_engines, the_double_without_fault_passes) {
  const auto engine = make_faulty(fault::none);
  const auto processor = engine->make_processor().value();
  for (const auto& row : esp_suites) EXPECT_TRUE(self_test(*engine, *processor, row.suite)) << row.name;
}

TEST(crypto_engines, a_faulty_engine_is_passed_over) {
  for (const auto what : {fault::icv, fault::accepts_forgery, fault::rejects_all, fault::wrong_plaintext}) {
    std::vector<std::unique_ptr<esp_engine>> candidates;
    candidates.push_back(make_faulty(what));
    candidates.push_back(make_openssl_engine().value());
    const auto choices = choose_engines(candidates);
    ASSERT_TRUE(choices) << choices.error().reason;
    ASSERT_EQ(choices->size(), esp_suite_count);
    for (const auto& choice : *choices) {
      EXPECT_EQ(choice.engine, candidates[1].get());
      EXPECT_EQ(choice.note, "faulty failed its self-test");
    }
  }
}

// The wider of our own kernels spoilt: the narrower takes its place, and never the spoilt one.
TEST(crypto_engines, a_faulty_kernel_gives_way_to_the_other_width) {
  for (const auto spoilt : {vaes_width::bits_512, vaes_width::bits_256}) {
    if (!make_vaes_gcm_engine(spoilt)) continue;  // a processor without
    for (const auto what : {fault::ciphertext, fault::icv, fault::accepts_forgery, fault::rejects_all}) {
      std::vector<std::unique_ptr<esp_engine>> candidates;
      candidates.push_back(std::make_unique<faulty_engine>(make_vaes_gcm_engine(spoilt).value(), what));
      candidates.push_back(make_vaes_gcm_engine(vaes_width::bits_256).value());
      candidates.push_back(make_openssl_engine().value());
      const auto choices = choose_engines(candidates);
      ASSERT_TRUE(choices) << choices.error().reason;
      for (const auto suite : {esp_suite::aes128gcm16, esp_suite::aes192gcm16, esp_suite::aes256gcm16}) {
        const auto& choice = (*choices)[static_cast<std::size_t>(suite)];
        EXPECT_EQ(choice.engine->name(), "vaes256-gcm");
        EXPECT_EQ(choice.note, "faulty failed its self-test");
      }
    }
  }
}

TEST(crypto_engines, the_note_names_every_engine_that_failed) {
  std::vector<std::unique_ptr<esp_engine>> candidates;
  candidates.push_back(make_faulty(fault::icv));
  candidates.push_back(make_faulty(fault::rejects_all));
  candidates.push_back(make_openssl_engine().value());
  const auto choices = choose_engines(candidates);
  ASSERT_TRUE(choices);
  for (const auto& choice : *choices)
    EXPECT_EQ(choice.note, "faulty failed its self-test, faulty failed its self-test");
}

TEST(crypto_engines, a_suite_without_engine_is_an_error) {
  std::vector<std::unique_ptr<esp_engine>> candidates;
  candidates.push_back(make_faulty(fault::ciphertext));
  const auto choices = choose_engines(candidates);
  ASSERT_FALSE(choices);
  EXPECT_EQ(choices.error().reason, "suite aes128gcm16 has no working engine: faulty failed its self-test");
}

// Our own kernels for AES-GCM, the widest that the processor runs; then IPsec-MB; OpenSSL for what nobody else does.
TEST(crypto_engines, start_takes_the_fastest) {
  const bool own = make_vaes_gcm_engine(vaes_width::bits_256).has_value();
  const bool wide = make_vaes_gcm_engine(vaes_width::bits_512).has_value();
  const auto engines = crypto_engines::start();
  ASSERT_TRUE(engines) << engines.error().reason;
  ASSERT_EQ(engines->choices().size(), esp_suite_count);
  for (const auto& choice : engines->choices()) {
    const auto& row = info(choice.suite);
    const auto name = choice.engine->name();
    if (row.cipher == esp_cipher::aes_gcm && own)
      EXPECT_EQ(name, wide ? "vaes512-gcm" : "vaes256-gcm") << row.name << ": " << choice.note;
    else
      EXPECT_EQ(name.starts_with("ipsec-mb"), !row.legacy) << row.name << ": " << choice.note;
    EXPECT_EQ(choice.note, "");
  }
}

TEST(crypto_engines, material_of_wrong_size_is_refused) {
  for (const auto& engine : all_engines())
    for (const auto& row : esp_suites) {
      if (!engine->supports(row.suite)) continue;
      EXPECT_FALSE(engine->prepare(row.suite, bytes(row.key_material() - 1), false));
      EXPECT_FALSE(engine->prepare(row.suite, bytes(row.key_material() + 1), false));
    }
}

TEST(crypto_engines, cbc_payload_of_partial_blocks_is_refused) {
  for (const auto& engine : all_engines()) {
    if (!engine->supports(esp_suite::aes128cbc_sha1)) continue;
    const auto key = engine->prepare(esp_suite::aes128cbc_sha1, bytes(36), false).value();
    const auto processor = engine->make_processor().value();
    const bytes before(200, 0x77);
    auto packet = before;
    esp_op op{packet.data(), 40, 0, key.get(), true};
    esp_op* const ops[] = {&op};
    processor->encrypt(ops);
    EXPECT_FALSE(op.ok);
    op.ok = true;
    processor->decrypt(ops);
    EXPECT_FALSE(op.ok);
    EXPECT_EQ(packet, before);
  }
}

// The engines that start() chooses, and one set in which GCM and CBC go to different engines.
void serves_all_suites_in_one_burst(const crypto_engines& engines) {
  auto worker = crypto_worker::make(engines).value();
  std::vector<std::unique_ptr<esp_key>> keys;
  std::vector<bytes> clear, packets, materials;
  std::vector<esp_op> ops;
  for (std::size_t i = 0; i < crypto_worker::burst_limit; ++i) {
    const auto& row = esp_suites[i % esp_suite_count];
    materials.emplace_back(row.key_material(), static_cast<std::uint8_t>(i));
    keys.push_back(engines.prepare(row.suite, materials.back(), i % 4 < 2).value());
    clear.emplace_back(8u + row.iv + 16 * (i % 40), static_cast<std::uint8_t>(i * 3));
    packets.push_back(clear.back());
    packets.back().resize(clear.back().size() + row.icv);
  }
  for (std::size_t i = 0; i < packets.size(); ++i)
    ops.push_back({packets[i].data(), static_cast<std::uint32_t>(16 * (i % 40)), 9, keys[i].get(), false});
  worker.encrypt(ops);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    EXPECT_TRUE(ops[i].ok);
    EXPECT_EQ(packets[i], esp_seal(keys[i]->suite, materials[i], keys[i]->esn, 9, clear[i]));
    if (i % 5 == 0) packets[i].back() ^= 1;
  }
  worker.decrypt(ops);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    ASSERT_EQ(ops[i].ok, i % 5 != 0);
    if (!ops[i].ok) continue;
    EXPECT_TRUE(std::equal(clear[i].begin(), clear[i].end(), packets[i].begin()));
  }
  worker.encrypt({});
}

TEST(crypto_worker, serves_all_suites_in_one_burst) { serves_all_suites_in_one_burst(crypto_engines::start().value()); }

TEST(crypto_worker, sorts_a_burst_by_engine) {
  std::vector<std::unique_ptr<esp_engine>> candidates;
  auto gcm_only = make_ipsec_mb_vaes_engine();
  if (!gcm_only) GTEST_SKIP() << gcm_only.error().reason;
  candidates.push_back(std::move(*gcm_only));
  candidates.push_back(make_openssl_engine().value());
  const auto engines = crypto_engines::start(std::move(candidates)).value();
  const auto chosen = [&](esp_suite suite) {
    return engines.choices()[static_cast<std::size_t>(suite)].engine->name();
  };
  EXPECT_EQ(chosen(esp_suite::aes128gcm16), "ipsec-mb-vaes");
  EXPECT_EQ(chosen(esp_suite::aes128cbc_sha1), "openssl");
  serves_all_suites_in_one_burst(engines);
}

TEST(crypto_worker, serves_all_suites_by_the_narrow_kernel_too) {
  std::vector<std::unique_ptr<esp_engine>> candidates;
  if (auto own = make_vaes_gcm_engine(vaes_width::bits_256)) candidates.push_back(std::move(*own));
  candidates.push_back(make_ipsec_mb_engine().value());
  candidates.push_back(make_openssl_engine().value());
  serves_all_suites_in_one_burst(crypto_engines::start(std::move(candidates)).value());
}

TEST(iv_source, a_million_values_without_repeat_and_even) {
  auto source = iv_source::make().value();
  std::vector<std::array<std::uint8_t, 16>> values(1'000'000);
  std::array<double, 256> counts{};
  for (auto& value : values) {
    source.fill(value.data(), value.size());
    for (const auto byte : value) counts[byte] += 1;
  }
  double chi_square = 0;
  const double expected = 16e6 / 256;
  for (const auto count : counts) chi_square += (count - expected) * (count - expected) / expected;
  EXPECT_LT(chi_square, 400);  // 255 degrees of freedom: exceeded once in a hundred million runs
  EXPECT_GT(chi_square, 130);
  std::ranges::sort(values);
  EXPECT_TRUE(std::ranges::adjacent_find(values) == values.end());
}

TEST(iv_source, instances_differ) {
  auto one = iv_source::make().value(), other = iv_source::make().value();
  std::vector<std::array<std::uint8_t, 16>> values(2000);
  for (std::size_t i = 0; i < values.size(); ++i) (i % 2 ? one : other).fill(values[i].data(), 16);
  std::ranges::sort(values);
  EXPECT_TRUE(std::ranges::adjacent_find(values) == values.end());
}

TEST(iv_source, writes_only_what_was_asked) {
  auto source = iv_source::make().value();
  for (std::size_t size = 0; size <= 16; ++size)
    for (int round = 0; round < 300; ++round) {
      bytes at(32, 0xee);
      source.fill(at.data() + 8, size);
      EXPECT_TRUE(std::all_of(at.begin(), at.begin() + 8, [](auto b) { return b == 0xee; }));
      EXPECT_TRUE(
          std::all_of(at.begin() + 8 + static_cast<std::ptrdiff_t>(size), at.end(), [](auto b) { return b == 0xee; }));
    }
}

}  // namespace
}  // namespace trunkgate::test
