// A hundred thousand random packets: every engine against OpenSSL's one-shot calls, in bursts of mixed keys.
#include <algorithm>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

constexpr std::size_t cases = 100'000;
constexpr std::size_t guard = 64;  // bytes before and behind each packet that must stay as they are
constexpr std::size_t keys_per_suite = 12;

std::mt19937_64 randomness(20240607);
std::size_t below(std::size_t limit) { return randomness() % limit; }
void randomise(std::span<std::uint8_t> to) {
  for (auto& byte : to) byte = static_cast<std::uint8_t>(randomness());
}

struct tested_engine {
  std::unique_ptr<esp_engine> engine;
  std::unique_ptr<esp_processor> processor;
  std::vector<std::unique_ptr<esp_key>> keys;  // in the order of `shared_keys`; null where unsupported
};

struct shared_key {
  esp_suite suite;
  bool esn;
  bytes material;
};

struct packet {
  std::size_t key;
  std::uint32_t high;
  std::uint32_t payload;
  bytes clear, sealed;
  std::size_t place;  // offset in the arena
};

std::vector<shared_key> make_keys() {
  std::vector<shared_key> keys;
  for (const auto& row : esp_suites)
    for (std::size_t i = 0; i < keys_per_suite; ++i) {
      bytes material(row.key_material());
      randomise(material);
      keys.push_back({row.suite, i % 2 == 1, std::move(material)});
    }
  return keys;
}

std::uint32_t payload_length(const esp_suite_info& row) {
  const std::size_t longest = below(4) == 0 ? 9000 : 600;
  const std::size_t unit = row.block == 4 ? 1 : row.block;  // a stream takes any length, even one ESP never has
  return static_cast<std::uint32_t>(below(longest / unit + 1) * unit);
}

packet make_packet(const std::vector<shared_key>& keys, std::size_t& end) {
  packet made{};
  made.key = below(keys.size());
  const auto& row = info(keys[made.key].suite);
  made.high = static_cast<std::uint32_t>(randomness());
  made.payload = payload_length(row);
  made.clear.resize(8u + row.iv + made.payload);
  randomise(std::span(made.clear).first(8u + row.iv));
  const auto first = static_cast<std::uint8_t>(randomness());
  for (std::size_t i = 0; i < made.payload; ++i)
    made.clear[8u + row.iv + i] = static_cast<std::uint8_t>(first + i * 37);
  made.sealed = esp_seal(row.suite, keys[made.key].material, keys[made.key].esn, made.high, made.clear);
  made.place = end + guard + below(64);
  end = made.place + made.sealed.size() + guard;
  return made;
}

// Flips one bit of SPI, sequence number, IV, payload, ICV or the high half of the extended sequence number.
void forge(std::uint8_t* esp, esp_op& op, const packet& p, const esp_suite_info& row) {
  const std::size_t iv = 8, payload = iv + row.iv, icv = payload + p.payload;
  const auto flip = [&](std::size_t from, std::size_t size) { esp[from + below(size)] ^= std::uint8_t{1} << below(8); };
  switch (below(6)) {
    case 0: return flip(0, 4);
    case 1: return flip(4, 4);
    case 2: return row.iv != 0 ? flip(iv, row.iv) : flip(icv, row.icv);
    case 3: return p.payload != 0 ? flip(payload, p.payload) : flip(icv, row.icv);
    case 4:
      if (op.key->esn) {
        op.sequence_high ^= std::uint32_t{1} << below(32);
        return;
      }
      [[fallthrough]];
    default: return flip(icv, row.icv);
  }
}

class burst_check {
 public:
  burst_check(const std::vector<shared_key>& keys, const std::vector<packet>& packets, std::size_t size)
      : keys_(keys), packets_(packets), background_(size) {
    randomise(std::span(background_).first(std::min<std::size_t>(size, 4096)));
    for (std::size_t i = 4096; i < size; ++i) background_[i] = background_[i - 4096];
  }

  void encrypts(tested_engine& engine) {
    const auto ops = lay_out(engine, false);
    engine.processor->encrypt(ops);
    for (auto& [op, p] : laid_) {
      EXPECT_TRUE(op.ok);
      ASSERT_TRUE(std::equal(p->sealed.begin(), p->sealed.end(), op.esp)) << describe(engine, *p);
    }
    guards_hold(engine);
  }

  // Forges the packets whose index is odd or even; the others must come back.
  void decrypts(tested_engine& engine, bool odd) {
    const auto ops = lay_out(engine, true);
    std::size_t index = odd ? 1 : 0;
    std::vector<bool> forged;
    for (auto& [op, p] : laid_) {
      forged.push_back(index++ % 2 == 0);
      if (forged.back()) forge(op.esp, op, *p, info(keys_[p->key].suite));
      op.ok = forged.back();
    }
    engine.processor->decrypt(ops);
    for (std::size_t i = 0; i < laid_.size(); ++i) {
      const auto& [op, p] = laid_[i];
      ASSERT_EQ(op.ok, !forged[i]) << describe(engine, *p);
      if (!op.ok) continue;
      ASSERT_TRUE(std::equal(p->clear.begin(), p->clear.end(), op.esp)) << describe(engine, *p);
    }
    guards_hold(engine);
  }

 private:
  struct laid {
    esp_op op;
    const packet* p;
  };

  std::vector<esp_op*> lay_out(tested_engine& engine, bool sealed) {
    arena_ = background_;
    laid_.clear();
    for (const auto& p : packets_) {
      const auto* key = engine.keys[p.key].get();
      if (key == nullptr) continue;
      const auto& from = sealed ? p.sealed : p.clear;
      std::copy(from.begin(), from.end(), arena_.begin() + static_cast<std::ptrdiff_t>(p.place));
      laid_.push_back({{arena_.data() + p.place, p.payload, p.high, key, false}, &p});
    }
    std::vector<esp_op*> ops;
    for (auto& l : laid_) ops.push_back(&l.op);
    return ops;
  }

  void guards_hold(const tested_engine& engine) const {
    std::size_t from = 0;
    const auto same = [&](std::size_t to) {
      return std::memcmp(arena_.data() + from, background_.data() + from, to - from) == 0;
    };
    for (const auto& l : laid_) {
      ASSERT_TRUE(same(l.p->place)) << "bytes before: " << describe(engine, *l.p);
      from = l.p->place + l.p->sealed.size();
    }
    ASSERT_TRUE(same(arena_.size())) << "bytes behind the last packet";
  }

  [[nodiscard]] std::string describe(const tested_engine& engine, const packet& p) const {
    return std::string(engine.engine->name()) + " " + std::string(info(keys_[p.key].suite).name) + " payload " +
           std::to_string(p.payload) + (keys_[p.key].esn ? " esn" : "");
  }

  const std::vector<shared_key>& keys_;
  const std::vector<packet>& packets_;
  bytes background_, arena_;
  std::vector<laid> laid_;
};

TEST(crypto_random, engines_agree_with_openssl) {
  const auto keys = make_keys();
  std::vector<tested_engine> engines;
  for (auto& engine : all_engines()) {
    tested_engine tested{std::move(engine), nullptr, {}};
    tested.processor = tested.engine->make_processor().value();
    for (const auto& key : keys)
      tested.keys.push_back(tested.engine->supports(key.suite)
                                ? tested.engine->prepare(key.suite, key.material, key.esn).value()
                                : nullptr);
    engines.push_back(std::move(tested));
  }
  ASSERT_GE(engines.size(), 2u) << "ipsec-mb does not run here";
  for (std::size_t done = 0; done < cases;) {
    std::vector<packet> packets;
    std::size_t size = 0;
    for (std::size_t count = 1 + below(300); packets.size() < count;) packets.push_back(make_packet(keys, size));
    burst_check check(keys, packets, size);
    for (auto& engine : engines) {
      ASSERT_NO_FATAL_FAILURE(check.encrypts(engine));
      ASSERT_NO_FATAL_FAILURE(check.decrypts(engine, false));
      ASSERT_NO_FATAL_FAILURE(check.decrypts(engine, true));
    }
    done += packets.size();
  }
}

}  // namespace
}  // namespace trunkgate::test
