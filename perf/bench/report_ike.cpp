#include "controlplane/cli/table.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/report.hpp"
#include "perf/bench/report_figures.hpp"

namespace trunkgate::bench {
namespace {

using enum table::alignment;

}  // namespace

std::string ike_table(const std::vector<ike_result>& list) {
  table rows({{"AUTH"},
              {"KEY EXCHANGE"},
              {"ROLE"},
              {"PER S MIN", right},
              {"MEDIAN", right},
              {"MAX", right},
              {"ALONE, US", right},
              {"RATIO", right},
              {"BYTES", right}});
  for (const auto& result : list) {
    const auto rates = spread_of(result.rates);
    const auto alone = spread_of(result.baseline).median;
    rows.add(severity::fine, {result.kind.auth, result.kind.key_exchange, result.initiator ? "initiator" : "responder",
                              number(rates.min), number(rates.median), number(rates.max), number(alone * 1e6),
                              number(1 / rates.median / alone, 2), number(result.bytes)});
  }
  std::string out = rows.text({}) +
                    "Handshakes with one child for each second of a processor's time. Alone: their public-key\n"
                    "operations without IKE; ratio: handshake to those, at the median. Bytes: heap of a peer with\n"
                    "one child";
  if (!list.empty()) out += "; a tunnel that is only configured takes " + number(list.front().configured_bytes);
  return out + ".\n";
}

std::string scale_text(const scale_figures& figures) {
  table rows({{"TUNNELS AT ONCE"}, {count(figures.peers), right}, {""}});
  const auto row = [&rows](bool good, const char* what, const std::string& value, const std::string& note) {
    rows.add(good ? severity::fine : severity::problem, {what, value, note});
  };
  const auto lifetime = count(figures.lifetime) + " s";
  row(figures.up == figures.peers, "up at the end", count(figures.up), "with their child");
  row(true, "seconds until all were up", number(figures.seconds_to_up, 1), "");
  row(true, "rekeys of children", count(figures.child_rekeys), "in two lifetimes of " + lifetime);
  row(true, "rekeys of IKE SAs", count(figures.ike_rekeys), "likewise");
  row(figures.not_rekeyed == 0, "not rekeyed in time", count(figures.not_rekeyed),
      "an SA older than " + number(figures.lifetime + rekey_grace) + " s");
  row(figures.failures == 0, "failures", count(figures.failures),
      figures.first_failure.empty() ? "attempts and tunnels that ended" : figures.first_failure);
  row(true, "oldest child, s", number(figures.oldest_child, 1), "due at 90 to 100 % of " + lifetime);
  row(true, "oldest IKE SA, s", number(figures.oldest_ike_sa, 1), "likewise");
  row(!figures.liveness_late(), "longest silence, s", number(figures.longest_silence, 1),
      "a liveness check is late above " + number(figures.silence_limit));
  row(true, "latest timer, ms", number(figures.latest_timer_ms, 1), "behind its time");
  row(true, "of a processor", number(100 * figures.cpu_share, 1) + " %", "both ends, once all were up");
  return rows.text({});
}

std::uint64_t wrong_in(const scale_figures& figures) {
  return figures.peers - figures.up + figures.not_rekeyed + figures.failures + (figures.liveness_late() ? 1 : 0);
}

}  // namespace trunkgate::bench
