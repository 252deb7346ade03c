#include "drivers/crypto/self_test.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {
namespace {

// Short, a few blocks, more than a kernel's longest stride, and a full packet.
constexpr std::array<std::uint32_t, 4> lengths{16, 112, 528, 1424};
constexpr std::uint32_t sequence_high = 0x01020304;

struct known_answer {
  esp_suite suite;
  bool esn;
  std::array<std::string_view, lengths.size()> icv;  // hexadecimal; it covers the ciphertext too
};

// Computed with Python's cryptography and hmac modules from the keys and packets that make_material() and fill() make.
constexpr known_answer known_answers[] = {
    {esp_suite::aes128gcm16,
     false,
     {"fd9f695639fc0b4dc26d8b875753657c", "258d48360cb48ff5feff9507a58533c3", "ac0424d44f73682adc2bf33ff0b2a5c6",
      "a6ebda1af333e4419e47ae5f2e509c66"}},
    {esp_suite::aes128gcm16,
     true,
     {"d017840c857793f1873c5dc5061c211e", "f494a4deece839c86270f2760ab90d79", "0236caeff131eed465c43b684bbe637b",
      "c9141af1ba9516d169675111cfe4e330"}},
    {esp_suite::aes256gcm16,
     false,
     {"5c7da787423a3f1f735ec037a656192d", "fce0310b615032e693c5f4facf29dd9a", "e2d8d87a25870fd0af078216394dad2d",
      "64b4cf4a63b095ced6b429cf833cbe9d"}},
    {esp_suite::aes256gcm16,
     true,
     {"7939641253efeb800db24aeb0f2aca8e", "6c46e01c4c9d71d9f36fd75a3577e689", "1fcba5229dee22ee47804d3302026b3a",
      "108a1cd1ac74a1de19bece0cf07c292c"}},
    {esp_suite::aes128cbc_sha1,
     false,
     {"9061d8dd7d6f6f370b4826e0", "8b59959feb165f684ceeaded", "8ad44f9c7c351235476a603c", "613a2af9f51f3a5273287aba"}},
    {esp_suite::aes128cbc_sha1,
     true,
     {"af23fd026ef032cb64aa0f21", "bd29913f086dcf17b8a93c4d", "12e3e7a7de4152a3e7c023e6", "93b56f15765730e1c63b17f3"}},
    {esp_suite::aes256cbc_sha1,
     false,
     {"16b18613265790a8551265b5", "ff2bc7e95ce28eba350ccaad", "43ab584fd8710a8622d84c37", "08e16b429d0a288f64ecc29f"}},
    {esp_suite::aes256cbc_sha1,
     true,
     {"d43aa624a7e34ea22a13ac81", "c5e05914f805886dde6cdef0", "ac262620a9fa8abb8e8d9494", "7d9390fd96b222329b0696fa"}},
    {esp_suite::aes128cbc_sha256,
     false,
     {"ac1fca815404350f3e8137321134f3d9", "b295a7136e45c5d3b93e00d55742679e", "2c271928cbe79e2ae990ffbef240c5b0",
      "e6931b3dfa919da3b0fa67da38af48b1"}},
    {esp_suite::aes128cbc_sha256,
     true,
     {"8f08f232e9585ca4748ae2d5134e6aad", "aee66ff6084199f7e4b48e1c334eb82c", "18572cab73847696a3447d7cbefa21bc",
      "48ca3c186b3848ea9128a85f25057395"}},
    {esp_suite::aes256cbc_sha256,
     false,
     {"291cfd22bceedcd450a6f27653fd804d", "96cbd233a2fecd1fc877cc897e7723b9", "8a2335205f091ee3a78391568a2f75d1",
      "7b03afc6dc02e6c47a6554c6d3f307f5"}},
    {esp_suite::aes256cbc_sha256,
     true,
     {"3be5b43576182abbacea277868468202", "bc966abc8e0178fca10fdbaceea15c87", "cf32fe8713bce28ef60ac5098198570b",
      "2cdcc76c20fd98dde424ad37a3619277"}},
};

constexpr std::size_t overhead = 8 + 16 + 16;  // header, longest IV, longest ICV
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

result<void> self_test(const esp_engine& engine, esp_suite suite) {
  auto processor = engine.make_processor();
  if (!processor) return std::unexpected(processor.error());
  const auto material = make_material(info(suite));
  for (const auto& answer : known_answers) {
    if (answer.suite != suite) continue;
    auto key = engine.prepare(suite, material, answer.esn);
    if (!key) return std::unexpected(key.error());
    if (!passes(**processor, **key, answer))
      return failure(std::string(engine.name()) + " failed its self-test of " + std::string(info(suite).name));
  }
  return {};
}

}  // namespace trunkgate
