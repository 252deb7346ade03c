#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

listing list_workers(std::span<const api::worker_status> workers) {
  using enum table::alignment;
  listing out{.short_view = table({{"WORKER", right},
                                   {"CPU", right},
                                   {"BUSY", right},
                                   {"SLEEPS", right},
                                   {"FLOW HITS", right},
                                   {"FLOW MISSES", right},
                                   {"HANDED OVER", right}})};
  for (const auto& worker : workers) {
    out.short_view.add(severity::fine,
                       {std::to_string(worker.worker), worker.cpu < 0 ? "any" : std::to_string(worker.cpu),
                        share_text(worker.busy_cycles, worker.idle_cycles), std::to_string(worker.sleeps),
                        share_text(worker.flow_hits, worker.flow_misses), std::to_string(worker.flow_misses),
                        std::to_string(worker.handed_over)});
    out.objects.push_back({{"worker", worker.worker},
                           {"cpu", worker.cpu},
                           {"busy_cycles", worker.busy_cycles},
                           {"idle_cycles", worker.idle_cycles},
                           {"sleeps", worker.sleeps},
                           {"flow_hits", worker.flow_hits},
                           {"flow_misses", worker.flow_misses},
                           {"handed_over", worker.handed_over}});
  }
  return out;
}

}  // namespace trunkgate
