#include "perf/bench/crypto_run.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <openssl/rand.h>
#include <rte_cycles.h>

#include "dataplane/packet/headers.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::size_t chunk = 256, judge_every = 64;

}  // namespace

result<crypto_bench> crypto_bench::make(const esp_engine& engine, esp_suite suite, std::uint32_t keys) {
  crypto_bench made;
  made.suite_ = suite;
  auto judge = make_openssl_engine();
  if (!judge) return std::unexpected(judge.error());
  made.judge_ = std::move(*judge);
  auto processor = engine.make_processor(), judges = made.judge_->make_processor();
  if (!processor) return std::unexpected(processor.error());
  if (!judges) return std::unexpected(judges.error());
  made.processor_ = std::move(*processor);
  made.judge_processor_ = std::move(*judges);
  std::vector<std::uint8_t> material(info(suite).key_material());
  for (std::uint32_t i = 0; i < keys; ++i) {
    if (RAND_bytes(material.data(), static_cast<int>(material.size())) != 1) return failure("openssl: no random bytes");
    auto key = engine.prepare(suite, material, false);
    if (!key) return std::unexpected(key.error());
    made.keys_.push_back(std::move(*key));
    made.materials_.emplace_back(material);
  }
  wipe(material.data(), material.size());
  return made;
}

// ESP packets with numbered packets inside, not yet protected.
void crypto_bench::write_chunk(packet_sizes sizes) {
  const auto& row = info(suite_);
  places_.clear();
  bytes_.clear();
  for (std::size_t i = 0; i < chunk; ++i, ++next_number_) {
    const std::uint16_t size = sizes.of(next_number_);
    const std::uint32_t payload = (size + 2u + row.block - 1) / row.block * row.block;
    const auto whole = static_cast<std::uint32_t>(sizeof(esp_header) + row.iv + payload + row.icv);
    const auto key = flow_of(next_number_, static_cast<std::uint32_t>(keys_.size()));
    places_.push_back({bytes_.size(), payload, whole, key});
    bytes_.resize((bytes_.size() + whole + 63) / 64 * 64);
    auto* at = &bytes_[places_.back().offset];
    const esp_header header{be32(key + 1), be32(static_cast<std::uint32_t>(next_number_))};
    std::memcpy(at, &header, sizeof header);
    const be64 counter(next_number_);  // an IV that no packet had before; the rest of a longer one stays zero
    std::memcpy(at + sizeof header, &counter, std::min<std::size_t>(sizeof counter, row.iv));
    numbered_packet{next_number_, key, size}.write(at + sizeof header + row.iv);
    at[sizeof header + row.iv + payload - 2] = static_cast<std::uint8_t>(payload - size - 2);
    at[sizeof header + row.iv + payload - 1] = protocol_ipv4;
  }
  plain_ = bytes_;
  ops_.clear();
  op_pointers_.clear();
  for (const auto& at : places_)
    ops_.push_back({.esp = &bytes_[at.offset],
                    .payload_length = at.payload,
                    .sequence_high = 0,
                    .key = keys_[at.key].get(),
                    .ok = false});
  for (auto& op : ops_) op_pointers_.push_back(&op);
}

std::uint64_t crypto_bench::timed(void (esp_processor::*work)(std::span<esp_op* const>) noexcept) {
  std::uint64_t cycles = 0;
  for (std::size_t done = 0; done < op_pointers_.size(); done += crypto_burst) {
    const auto burst = std::span(op_pointers_).subspan(done, std::min(crypto_burst, op_pointers_.size() - done));
    const std::uint64_t start = rte_rdtsc();
    ((*processor_).*work)(burst);
    cycles += rte_rdtsc() - start;
  }
  return cycles;
}

// What the engine made of some packets must open elsewhere, too.
void crypto_bench::ask_judge() {
  for (std::size_t i = 0; i < places_.size(); i += judge_every) {
    const auto& at = places_[i];
    opened_.assign(&bytes_[at.offset], &bytes_[at.offset] + at.whole);
    const auto key = judge_->prepare(suite_, materials_[at.key].bytes(), false);
    esp_op op{.esp = opened_.data(), .payload_length = at.payload, .sequence_high = 0, .key = nullptr, .ok = false};
    esp_op* const one = &op;
    if (key) {
      op.key = key->get();
      judge_processor_->decrypt(std::span(&one, 1));
    }
    const std::size_t payload_at = sizeof(esp_header) + info(suite_).iv;
    if (op.ok && std::memcmp(&opened_[payload_at], &plain_[at.offset + payload_at], at.payload) == 0)
      ++judged_;
    else
      ++wrong_;
  }
}

// Opened again, every packet is what it was.
void crypto_bench::compare_chunk() {
  for (std::size_t i = 0; i < places_.size(); ++i) {
    const auto& at = places_[i];
    const std::size_t compared = at.whole - info(suite_).icv;
    if (ops_[i].ok && std::memcmp(&bytes_[at.offset], &plain_[at.offset], compared) == 0)
      ++verified_;
    else
      ++wrong_;
  }
}

std::optional<crypto_figures> crypto_bench::run(packet_sizes sizes, std::uint32_t packets,
                                                const std::atomic<bool>& stop) {
  const std::size_t chunks = (packets + chunk - 1) / chunk;
  std::uint64_t encrypt = 0, decrypt = 0;
  for (std::size_t i = 0; i < chunks; ++i) {
    if (stop.load(std::memory_order_relaxed)) return std::nullopt;
    write_chunk(sizes);
    encrypt += timed(&esp_processor::encrypt);
    ask_judge();
    decrypt += timed(&esp_processor::decrypt);
    compare_chunk();
  }
  const auto count = static_cast<double>(chunks * chunk);
  return crypto_figures{static_cast<double>(encrypt) / count, static_cast<double>(decrypt) / count};
}

}  // namespace trunkgate::bench
