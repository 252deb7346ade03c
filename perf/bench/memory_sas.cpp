// Memory and time of security associations: added through sa_set, as a batch from the control daemon is.
#include <algorithm>

#include "dataplane/main/sa_set.hpp"
#include "perf/bench/gateway_pair.hpp"
#include "perf/bench/memory_meter.hpp"
#include "perf/bench/memory_run.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {
namespace {

constexpr esp_suite suite = esp_suite::aes128gcm16;
constexpr std::uint32_t replay_window_packets = 4096;
constexpr std::size_t last_adds = 1000;

// The tables that hold SAs, of one gateway without workers.
struct sa_side {
  std::unique_ptr<sequence_store> store;  // outlives the SAs
  std::unique_ptr<rcu_domain> rcu;
  std::unique_ptr<forwarding_tables> tables;
  std::unique_ptr<sa_set> sas;

  [[nodiscard]] static result<sa_side> make(const crypto_engines& engines) {
    sa_side made;
    auto store = sequence_store::open();
    if (!store) return std::unexpected(store.error());
    made.store = std::move(*store);
    auto rcu = rcu_domain::make(1);
    if (!rcu) return std::unexpected(rcu.error());
    made.rcu = std::move(*rcu);
    made.tables = std::make_unique<forwarding_tables>(*made.rcu);
    made.tables->selectors = selector_table::make(*made.rcu);
    made.sas = std::make_unique<sa_set>(
        *made.tables, engines, *made.store, 1, [](std::string_view) { return no_port; }, [](const api::event&) {});
    return made;
  }
  // What the data plane does with a batch that adds SAs.
  [[nodiscard]] result<void> add(std::deque<api::sa_record>& records) {
    auto change = sas->prepare({.sas = records, .removed = {}, .moved = {}});
    if (!change) return std::unexpected(change.error());
    sas->commit(**change);
    rcu->reclaim();
    return {};
  }
};

void verify(const sa_side& outbound, const sa_side& inbound, std::uint32_t count, object_figures& figures) {
  for (std::uint32_t i = 0; i < count; ++i) {
    flow_key key;
    key.family = ip_family::v4;
    key.source = ip_address::v4(0xc0a80001).bytes;
    key.destination = ip_address::v4(flow_network(i) + 1).bytes;
    const auto* out = outbound.tables->selectors->match(key);
    auto* const* in = inbound.tables->inbound.find(first_spi + i);
    const bool right = out != nullptr && out->record.spi == first_spi + i && in != nullptr &&
                       (*in)->record.spi == first_spi + i && (*in)->window.size() == replay_window_packets;
    ++(right ? figures.verified : figures.wrong);
  }
}

// `batch` pairs at a time. The records are made beforehand: what arrives over the socket is not counted.
result<object_figures> add_pairs(const crypto_engines& engines, std::uint32_t count, std::uint32_t batch) {
  auto outbound = sa_side::make(engines), inbound = sa_side::make(engines);
  if (!outbound) return std::unexpected(outbound.error());
  if (!inbound) return std::unexpected(inbound.error());
  object_figures figures;
  std::vector<double> microseconds;
  microseconds.reserve(count / batch + 1);
  const auto before = memory_now();
  for (std::uint32_t done = 0; done < count; done += batch) {
    std::deque<api::sa_record> out, in;
    for (std::uint32_t i = done; i < std::min(count, done + batch); ++i) {
      auto record = outbound_record(suite, i);
      if (!record) return std::unexpected(record.error());
      record->replay_window = replay_window_packets;
      out.push_back(*record);
      in.push_back(mirrored(*record));
      wipe(record->key.data(), record->key.size());
    }
    const auto pairs = static_cast<double>(out.size());
    const stopwatch clock;
    if (auto added = outbound->add(out); !added) return std::unexpected(added.error());
    if (auto added = inbound->add(in); !added) return std::unexpected(added.error());
    const double seconds = clock.seconds();
    figures.add_seconds += seconds;
    microseconds.push_back(seconds * 1e6 / pairs);
  }
  figures.bytes_each = (memory_now() - before).heap / count;
  if (batch == 1 && microseconds.size() > last_adds)
    microseconds.erase(microseconds.begin(), microseconds.end() - last_adds);
  figures.last_add_us = spread_of(std::move(microseconds));
  verify(*outbound, *inbound, count, figures);
  return figures;
}

}  // namespace

result<object_figures> measure_sa_pairs(const crypto_engines& engines, std::uint32_t count) {
  return add_pairs(engines, count, 1);
}
result<object_figures> measure_batched_sa_pairs(const crypto_engines& engines, std::uint32_t count) {
  return add_pairs(engines, count, 1000);
}

result<object_figures> measure_sequence_slots(const crypto_engines&, std::uint32_t count) {
  object_figures figures;
  auto store = sequence_store::open();
  if (!store) return std::unexpected(store.error());
  const auto before = memory_now();
  const stopwatch clock;
  for (std::uint32_t i = 0; i < count; ++i) {
    sequence_identity identity{};
    // Spread as a digest's first bytes are.
    const std::uint64_t mixed = (i + 1) * 0x9e3779b97f4a7c15u;
    std::memcpy(identity.data(), &mixed, sizeof mixed);
    auto taken = (*store)->take(identity);
    if (!taken) return std::unexpected(taken.error());
    ++(!taken->resumed && taken->slot->identity == identity ? figures.verified : figures.wrong);
  }
  figures.add_seconds = clock.seconds();
  figures.bytes_each = (memory_now() - before).resident / count;
  return figures;
}

}  // namespace trunkgate::bench
