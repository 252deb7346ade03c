#include "perf/bench/ike_baseline.hpp"
#include "perf/bench/ike_run.hpp"
#include "perf/bench/measure.hpp"

namespace trunkgate::bench {

namespace {

result<void> measure_kind(const bench_options& options, const observer& by, const ike_kind& kind, results& into) {
  ike_result initiator{.kind = kind, .initiator = true, .peers = options.peers};
  ike_result responder{.kind = kind, .initiator = false, .peers = options.peers};
  while (initiator.rates.size() < options.runs && !by.stop) {
    by.progress(kind.auth + ", " + kind.key_exchange + ": run " + std::to_string(initiator.rates.size() + 1) + " of " +
                std::to_string(options.runs));
    const auto alone = measure_baseline(kind);
    if (!alone) return std::unexpected(alone.error());
    const auto run = measure_handshakes(kind, options.peers, by.stop);
    if (!run) return std::unexpected(run.error());
    if (!*run) break;
    initiator.rates.push_back((*run)->initiator);
    responder.rates.push_back((*run)->responder);
    initiator.baseline.push_back(alone->initiator);
    responder.baseline.push_back(alone->responder);
  }
  if (initiator.rates.empty()) return {};
  by.progress(kind.auth + ", " + kind.key_exchange + ": memory");
  const auto memory = measure_peer_bytes(kind, options.peers, by.stop);
  if (!memory) return std::unexpected(memory.error());
  if (*memory) {
    initiator.bytes = (*memory)->initiator;
    responder.bytes = (*memory)->responder;
    initiator.configured_bytes = responder.configured_bytes = (*memory)->configured;
  }
  into.ike.push_back(std::move(responder));
  into.ike.push_back(std::move(initiator));
  return {};
}

}  // namespace

result<void> measure_ike(const bench_options& options, const observer& by, results& into) {
  if (options.scale != 0) {
    by.progress(std::to_string(options.scale) + " tunnels, for " + std::to_string(2 * options.lifetime) + " s");
    auto figures =
        measure_scale({options.auths.front(), options.key_exchanges.front()}, options.scale, options.lifetime, by.stop);
    if (!figures) return std::unexpected(figures.error());
    if (!by.stop) into.scale.push_back(*figures);
    return {};
  }
  for (const auto& auth : options.auths)
    for (const auto& key_exchange : options.key_exchanges)
      if (!by.stop)
        if (auto done = measure_kind(options, by, {auth, key_exchange}, into); !done) return done;
  return {};
}

}  // namespace trunkgate::bench
