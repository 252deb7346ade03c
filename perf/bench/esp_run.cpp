#include "perf/bench/esp_run.hpp"

#include <algorithm>
#include <cstring>

#include <rte_cycles.h>

#include "perf/bench/judge.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::size_t judge_every = 64;
constexpr std::uint8_t hops_behind = 2;

}  // namespace

result<esp_bench> esp_bench::make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                  std::uint32_t sas) {
  auto pair = gateway_pair::make(pool, engines, suite, sas);
  if (!pair) return std::unexpected(pair.error());
  auto crypto = crypto_worker::make(engines);
  if (!crypto) return std::unexpected(crypto.error());
  auto judge = pair->judge().make_processor();
  if (!judge) return std::unexpected(judge.error());
  return esp_bench(std::move(*pair), std::move(*crypto), std::move(*judge), sas, suite);
}

std::uint32_t esp_bench::sa_of(const std::uint8_t* frame) const {
  be32 spi;
  std::memcpy(&spi, frame + esp_at, sizeof spi);
  return std::min(spi.host() - first_spi, sas_ - 1);
}

// Plain packets into the sender; what it puts on the wire goes to wire_.
std::uint64_t esp_bench::send_round(rte_mempool* pool, packet_sizes sizes) {
  auto& side = *pair_.sender;
  std::uint64_t cycles = 0;
  chunk buffers;
  for (std::uint32_t done = 0; done < round_packets; done += chunk_packets) {
    if (!fill_chunk(pool, buffers, [&](rte_mbuf* buffer, std::size_t) {
          write_frame(buffer, side.clear->description().mac,
                      {next_number_, flow_of(next_number_, sas_), sizes.of(next_number_)});
          ++next_number_;
        }))
      break;
    cycles += side.pass(*side.clear, buffers);
  }
  wire_.clear();
  wire_bytes_.clear();
  take_all(*side.wire, [this](rte_mbuf* frame) {
    const auto* at = rte_pktmbuf_mtod(frame, const std::uint8_t*);
    wire_.push_back({wire_bytes_.size(), rte_pktmbuf_data_len(frame)});
    wire_bytes_.insert(wire_bytes_.end(), at, at + rte_pktmbuf_data_len(frame));
  });
  return cycles;
}

// The wire's frames into the receiver; every packet that comes out is compared.
std::uint64_t esp_bench::receive_round(rte_mempool* pool, checker& checked) {
  auto& side = *pair_.receiver;
  std::uint64_t cycles = 0;
  chunk buffers;
  for (std::size_t done = 0; done < wire_.size(); done += chunk_packets) {
    const auto count = std::min<std::size_t>(chunk_packets, wire_.size() - done);
    if (!fill_chunk(pool, buffers, [&](rte_mbuf* buffer, std::size_t i) {
          if (i >= count) return;
          const auto& frame = wire_[done + i];
          std::memcpy(rte_pktmbuf_mtod(buffer, void*), &wire_bytes_[frame.offset], frame.length);
          buffer->pkt_len = buffer->data_len = static_cast<std::uint16_t>(frame.length);
        }))
      break;
    cycles += side.pass(*side.wire, std::span(buffers).first(count));
    free_all(std::span(buffers).subspan(count));
  }
  take_all(*side.clear, [&](rte_mbuf* frame) { compare(checked, frame, hops_behind); });
  return cycles;
}

// The engine alone over the round's frames, in bursts as large as the stage's: first opened, then closed again.
void esp_bench::time_crypto(rte_mempool* pool, checker& checked, std::size_t burst, crypto_cycles& into) {
  chunk buffers;
  std::array<esp_op, chunk_packets> ops;
  for (std::size_t done = 0; done + chunk_packets <= wire_.size(); done += chunk_packets) {
    if (!fill_chunk(pool, buffers, [&](rte_mbuf* buffer, std::size_t i) {
          const auto& frame = wire_[done + i];
          auto* at = rte_pktmbuf_mtod(buffer, std::uint8_t*);
          std::memcpy(at, &wire_bytes_[frame.offset], frame.length);
          ops[i] = esp_operation(suite_, at, frame.length, pair_.inbound[sa_of(at)]->key);
        }))
      return;
    for (std::size_t at = 0; at < chunk_packets; at += burst) {
      const auto part = std::span(ops).subspan(at, std::min(burst, chunk_packets - at));
      const std::uint64_t start = rte_rdtsc();
      crypto_.decrypt(part);
      into.decrypt += rte_rdtsc() - start;
    }
    checked.count_wrong(static_cast<std::uint64_t>(std::ranges::count_if(ops, [](const auto& op) { return !op.ok; })));
    for (auto& op : ops) op.key = pair_.outbound[sa_of(op.esp - esp_at)]->key;
    for (std::size_t at = 0; at < chunk_packets; at += burst) {
      const auto part = std::span(ops).subspan(at, std::min(burst, chunk_packets - at));
      const std::uint64_t start = rte_rdtsc();
      crypto_.encrypt(part);
      into.encrypt += rte_rdtsc() - start;
    }
    free_all(buffers);
  }
}

// A sample of what was on the wire, opened by an implementation that has no part in the gateway's path.
void esp_bench::ask_judge(checker& checked) {
  for (std::size_t i = 0; i < wire_.size(); i += judge_every) {
    auto* frame = &wire_bytes_[wire_[i].offset];  // nobody looks at it any more
    if (judge_agrees(pair_, *judge_, suite_, sa_of(frame), checked, std::span(frame, wire_[i].length)))
      ++judged_;
    else
      checked.count_wrong(1);
  }
}

std::optional<run_figures> esp_bench::run(rte_mempool* pool, checker& checked, std::uint32_t packets,
                                          const std::atomic<bool>& stop) {
  const std::uint32_t rounds = (packets + round_packets - 1) / round_packets;
  const auto count = static_cast<double>(rounds) * round_packets;
  auto &sends = pair_.sender->only_worker(), &receives = pair_.receiver->only_worker();
  const stage_totals out_before(sends, stage_id::esp_encapsulate), in_before(receives, stage_id::esp_decapsulate);
  std::uint64_t out_cycles = 0, in_cycles = 0;
  crypto_cycles crypto;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    if (stop.load(std::memory_order_relaxed)) return std::nullopt;
    checked.begin_round(next_number_, round_packets);
    out_cycles += send_round(pool, checked.sizes());
    in_cycles += receive_round(pool, checked);
    const stage_totals so_far(sends, stage_id::esp_encapsulate);
    const auto bursts = std::max<std::uint64_t>(1, so_far.bursts - out_before.bursts);
    const auto burst = std::clamp<std::size_t>((so_far.packets - out_before.packets) / bursts, 1, chunk_packets);
    time_crypto(pool, checked, burst, crypto);
    ask_judge(checked);
    checked.end_round();
  }
  run_figures figures;
  figures.out.total = static_cast<double>(out_cycles) / count;
  figures.in.total = static_cast<double>(in_cycles) / count;
  figures.out.crypto = static_cast<double>(crypto.encrypt) / count;
  figures.in.crypto = static_cast<double>(crypto.decrypt) / count;
  fill_stages(figures.out, out_before, {sends, stage_id::esp_encapsulate}, count);
  fill_stages(figures.in, in_before, {receives, stage_id::esp_decapsulate}, count);
  return figures;
}

}  // namespace trunkgate::bench
