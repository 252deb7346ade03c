#include "perf/bench/gateway_pair.hpp"

#include <openssl/rand.h>

#include "perf/bench/memory_meter.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

result<api::sa_record> outbound_record(esp_suite suite, std::uint32_t index) {
  api::sa_record record;
  record.tunnel = api::name("bench-" + std::to_string(index));
  record.child = api::name("all");
  record.suite = suite;
  record.spi = first_spi + index;
  record.local = first_gateway().own;
  record.remote = second_gateway().own;
  record.local_count = record.remote_count = 1;
  record.local_ranges[0] = senders_side();
  record.remote_ranges[0] = ip_prefix{ip_address::v4(flow_network(index)), flow_prefix_length};
  record.key_length = static_cast<std::uint8_t>(info(suite).key_material());
  if (RAND_bytes(record.key.data(), record.key_length) != 1) return failure("openssl: no random bytes");
  return record;
}

api::sa_record mirrored(const api::sa_record& outbound) {
  auto record = outbound;
  record.direction = api::sa_direction::inbound;
  std::swap(record.local, record.remote);
  std::swap(record.local_ranges, record.remote_ranges);
  return record;
}

result<std::unique_ptr<esp_key>> gateway_pair::judge_key(std::uint32_t sa) const {
  return judge_->prepare(suite_, materials_[sa].bytes(), false);
}

result<void> gateway_pair::add_tunnel(const crypto_engines& engines, std::uint32_t index) {
  auto record = outbound_record(suite_, index);
  if (!record) return std::unexpected(record.error());
  materials_.emplace_back(std::span<const std::uint8_t>(record->key.data(), record->key_length));
  auto other = mirrored(*record);
  auto out = make_outbound_sa(*record, engines, *sender_store_, 0);
  auto in = make_inbound_sa(other, engines, *receiver_store_, 0);
  if (!out) return std::unexpected(out.error());
  if (!in) return std::unexpected(in.error());
  sender->tables().selectors->add((*out)->record, out->get());
  receiver->tables().inbound.insert((*in)->record.spi, in->get());
  outbound.push_back(std::move(*out));
  inbound.push_back(std::move(*in));
  return {};
}

result<gateway_pair> gateway_pair::make(rte_mempool* pool, const crypto_engines& engines, esp_suite suite,
                                        std::uint32_t sas) {
  gateway_pair pair;
  pair.suite_ = suite;
  for (auto* store : {&pair.sender_store_, &pair.receiver_store_}) {
    auto opened = sequence_store::open();
    if (!opened) return std::unexpected(opened.error());
    *store = std::move(*opened);
  }
  auto judge = make_openssl_engine();
  if (!judge) return std::unexpected(judge.error());
  pair.judge_ = std::move(*judge);
  auto first = gateway_side::make(pool, engines, first_gateway(), sas);
  if (!first) return std::unexpected(first.error());
  auto second = gateway_side::make(pool, engines, second_gateway(), sas);
  if (!second) return std::unexpected(second.error());
  pair.sender = std::move(*first);
  pair.receiver = std::move(*second);
  pair.materials_.reserve(sas);
  pair.outbound.reserve(sas);
  pair.inbound.reserve(sas);
  const stopwatch clock;
  const auto before = memory_now();
  for (std::uint32_t i = 0; i < sas; ++i)
    if (auto added = pair.add_tunnel(engines, i); !added) return std::unexpected(added.error());
  pair.add_seconds = clock.seconds();
  pair.bytes_per_sa = (memory_now() - before).resident / static_cast<double>(sas);
  return pair;
}

}  // namespace trunkgate::bench
