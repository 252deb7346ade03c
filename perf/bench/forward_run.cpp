#include "perf/bench/forward_run.hpp"

namespace trunkgate::bench {

operator_rules::rule bypass_all(counter* flows) {
  operator_rules::rule rule{.record = {}, .from = no_port, .to = no_port, .flows = flows};
  rule.record.policy = api::name("pass");
  rule.record.action = api::policy_action::bypass;
  return rule;
}

result<forward_bench> forward_bench::make(rte_mempool* pool, const crypto_engines& engines, std::uint32_t flows) {
  forward_bench made;
  made.flows_ = flows;
  made.rule_flows_ = std::make_unique<counter>();
  auto side = gateway_side::make(pool, engines, first_gateway(), flows);
  if (!side) return std::unexpected(side.error());
  made.side_ = std::move(*side);
  const auto pass = bypass_all(made.rule_flows_.get());
  auto rules = operator_rules::build(std::span(&pass, 1));
  if (!rules) return std::unexpected(rules.error());
  made.side_->publish_rules(std::move(*rules));
  return made;
}

std::optional<pass_figures> forward_bench::run(rte_mempool* pool, checker& checked, std::uint32_t packets,
                                               const std::atomic<bool>& stop) {
  const std::uint32_t rounds = (packets + round_packets - 1) / round_packets;
  const auto count = static_cast<double>(rounds) * round_packets;
  const stage_totals before(side_->only_worker(), stage_id::forward);
  std::uint64_t cycles = 0;
  chunk buffers;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    if (stop.load(std::memory_order_relaxed)) return std::nullopt;
    checked.begin_round(next_number_, round_packets);
    for (std::uint32_t done = 0; done < round_packets; done += chunk_packets) {
      if (!fill_chunk(pool, buffers, [&](rte_mbuf* buffer, std::size_t) {
            write_frame(buffer, side_->clear->description().mac,
                        {next_number_, flow_of(next_number_, flows_), checked.sizes().of(next_number_)});
            ++next_number_;
          }))
        break;
      cycles += side_->pass(*side_->clear, buffers);
    }
    take_all(*side_->wire, [&](rte_mbuf* frame) { compare(checked, frame, 1); });
    checked.end_round();
  }
  pass_figures figures;
  figures.total = static_cast<double>(cycles) / count;
  fill_stages(figures, before, {side_->only_worker(), stage_id::forward}, count);
  return figures;
}

}  // namespace trunkgate::bench
