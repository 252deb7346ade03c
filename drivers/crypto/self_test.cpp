#include "drivers/crypto/self_test.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "drivers/crypto/known_answers.hpp"

namespace trunkgate {
namespace {

constexpr auto& lengths = known_answer::lengths;
constexpr std::uint32_t sequence_high = 0x01020304;

constexpr std::size_t overhead = 8 + 16 + 32;  // header, longest IV, longest ICV
constexpr std::size_t burst = 20;              // more packets than any kernel works on at once

std::vector<std::uint8_t> make_material(const esp_suite_info& row) {
  std::vector<std::uint8_t> material(row.key_material());
  for (std::size_t i = 0; i < material.size(); ++i) material[i] = static_cast<std::uint8_t>(7 * i + 1);
  return material;
}

std::uint8_t payload_byte(std::size_t i, std::uint32_t length) { return static_cast<std::uint8_t>(i * 11 + length); }

void fill(std::vector<std::uint8_t>& packet, const esp_suite_info& row, std::uint32_t length) {
  packet.assign(length + overhead, 0);
  constexpr std::uint8_t header[8] = {0xc0, 0xff, 0xee, 0x01, 0, 0, 0, 42};
  std::memcpy(packet.data(), header, sizeof header);
  for (std::size_t i = 0; i < row.iv; ++i) packet[8 + i] = static_cast<std::uint8_t>(0xa0 + i);
  for (std::size_t i = 0; i < length; ++i) packet[8 + row.iv + i] = payload_byte(i, length);
}

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

bool plain(const std::vector<std::uint8_t>& packet, const esp_suite_info& row, std::uint32_t length) {
  for (std::size_t i = 0; i < length; ++i)
    if (packet[8 + row.iv + i] != payload_byte(i, length)) return false;
  return true;
}

// A burst of packets of all lengths under one key.
struct test_burst {
  std::array<std::vector<std::uint8_t>, burst> packets;
  std::array<esp_op, burst> ops;
  std::array<esp_op*, burst> pointers;

  explicit test_burst(const esp_key& key) {
    for (std::size_t i = 0; i < burst; ++i) {
      const auto length = lengths[i % lengths.size()];
      fill(packets[i], info(key.suite), length);
      ops[i] = {packets[i].data(), length, sequence_high, &key, false};
      pointers[i] = &ops[i];
    }
  }
};

bool encrypts(esp_processor& processor, test_burst& test, const esp_suite_info& row, const known_answer& answer) {
  processor.encrypt(test.pointers);
  for (std::size_t i = 0; i < burst; ++i) {
    const auto icv = std::span(test.packets[i]).subspan(8u + row.iv + test.ops[i].payload_length, row.icv);
    if (!test.ops[i].ok || hex(icv) != answer.icv[i % lengths.size()]) return false;
  }
  return true;
}

// Exactly the packets that are not forged must come back, and in plain.
bool decrypts(esp_processor& processor, test_burst& test, const esp_suite_info& row, bool forge) {
  for (std::size_t i = 0; i < burst; ++i) {
    const bool forged = forge && i % 2 == 1;
    if (forged) test.packets[i][i % 3 == 0 ? 0 : 8u + row.iv + i % row.icv] ^= 0x10;
    test.ops[i].ok = forged;
  }
  processor.decrypt(test.pointers);
  for (std::size_t i = 0; i < burst; ++i) {
    const bool forged = forge && i % 2 == 1;
    if (test.ops[i].ok == forged) return false;
    if (!forged && !plain(test.packets[i], row, test.ops[i].payload_length)) return false;
  }
  return true;
}

bool passes(esp_processor& processor, const esp_key& key, const known_answer& answer) {
  const auto& row = info(answer.suite);
  for (const bool forge : {false, true}) {
    test_burst test(key);
    if (!encrypts(processor, test, row, answer) || !decrypts(processor, test, row, forge)) return false;
  }
  return true;
}

}  // namespace

result<void> self_test(const esp_engine& engine, esp_processor& processor, esp_suite suite) {
  const auto material = make_material(info(suite));
  for (const auto& answer : known_answers()) {
    if (answer.suite != suite) continue;
    auto key = engine.prepare(suite, material, answer.esn);
    if (!key) return std::unexpected(key.error());
    if (!passes(processor, **key, answer))
      return failure(std::string(engine.name()) + " failed its self-test of " + std::string(info(suite).name));
  }
  return {};
}

}  // namespace trunkgate
